#include "compiler/fusion/plan_builder.h"

#include "runtime/base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <set>

namespace gmc::fusion {

namespace {

// A library multiplies dense matrices.
bool library_takes(const View& view, int op) {
  const Op& o = view.ops()[static_cast<size_t>(op)];
  if (o.category != Category::matmul || o.index_space.size() != 2 || view.type(op).dtype != DType::f32) return false;
  for (size_t i = 0; i < 2; ++i) {
    Shape space = view.graph().type(view.node(op).inputs[i]).shape;
    if (element_count(space) == 0 || o.operands[i].base != 0 || !o.operands[i].axes.empty()) return false;
    if (view.node(op).flag(i == 0 ? "transpose_a" : "transpose_b")) std::swap(space[0], space[1]);
    const auto layout = matrix_layout(o.operands[i], space[0], space[1]);
    if (layout->leading != space[layout->transposed ? 0 : 1]) return false;
  }
  return true;
}

template <class T>
void make_set(std::vector<T>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

bool contains(const std::vector<int>& set, int x) { return std::binary_search(set.begin(), set.end(), x); }

// Bytes of a value that is a number or a few: to share it is no reason for anything.
constexpr int64_t largest_number = 8;

}  // namespace

PlanBuilder::PlanBuilder(const View& view, std::string library)
    : view_(view), library_(std::move(library)), order_(view), neighbours_(view.ops().size()) {
  if (!library_.empty() && library_ != "onednn") fail_usage("unknown library '{}': expected onednn or none", library_);
  std::map<Value, int> from_outside;
  const auto count_value = [&](const graph::TensorType& type) {
    value_bytes_.push_back(byte_size(type.dtype, type.shape));
    return static_cast<int>(value_bytes_.size() - 1);
  };
  for (size_t i = 0; i < view.ops().size(); ++i) {
    first_value_.push_back(static_cast<int>(value_bytes_.size()));
    for (const graph::TensorType& type : view.node(static_cast<int>(i)).types) count_value(type);
  }
  const auto first_outside = static_cast<int>(value_bytes_.size());
  const auto number_of = [&](Value v) {
    if (const int op = view.op_of(v); op >= 0) return first_value_[static_cast<size_t>(op)] + v.result;
    const auto [known, is_new] = from_outside.try_emplace(v, 0);
    if (is_new) known->second = count_value(view.graph().type(v));
    return known->second;
  };
  std::map<int, std::vector<int>> touching;  // per value: who computes or reads it
  for (size_t i = 0; i < view.ops().size(); ++i) {
    const int op = static_cast<int>(i);
    Slot slot;
    slot.product = view.ops()[i].category == Category::matmul ? op : -1;
    slot.reduces = view.ops()[i].category == Category::reduce;
    slot.kernel = {"", {{op}}, library_takes(view, op) ? library_ : library_of(view.ops()[i].category), ""};
    slot.work = flops(view, op);
    slot.widest = op;
    for (const Access& a : view.ops()[i].operands)
      if (!view.is_free(a.source)) slot.reads.push_back(number_of(a.source));
    make_set(slot.reads);
    for (size_t r = 0; r < view.node(op).types.size(); ++r)
      touching[first_value_[i] + static_cast<int>(r)].push_back(op);
    for (int v : slot.reads) slot.bytes += value_bytes_[static_cast<size_t>(v)], touching[v].push_back(op);
    if (view.leaves(op) || !view.readers(op).empty()) {
      slot.writes.push_back(op);
      slot.bytes += view.bytes(op);
    }
    slots_.push_back(std::move(slot));
  }
  const auto computed = [&](int value) { return value < first_outside; };
  for (const auto& [value, ops] : touching) {
    // Who computes a value and who reads it; and those that read it, where it is more than a number that everybody
    // reads.
    const bool joins_readers = value_bytes_[static_cast<size_t>(value)] > largest_number;
    for (size_t i = 0; i < ops.size(); ++i)
      for (size_t j = i + 1; j < ops.size(); ++j) {
        if (!joins_readers && !(computed(value) && i == 0)) continue;
        neighbours_[static_cast<size_t>(ops[i])].insert(ops[j]);
        neighbours_[static_cast<size_t>(ops[j])].insert(ops[i]);
      }
  }
}

std::vector<int> PlanBuilder::kernels() const {
  std::vector<int> out;
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].alive) out.push_back(static_cast<int>(i));
  return out;
}

bool PlanBuilder::is_inside(int op, int a, int b) const {
  const int kernel = order_.kernel_of(op);
  return kernel == a || kernel == b;
}

// By the model of plan.h: what both read is read once; what one reads of the other is not read, and not written either
// if nobody else wants it.
int64_t PlanBuilder::bytes_saved(int a, int b) const {
  const Slot &x = slots_[static_cast<size_t>(a)], &y = slots_[static_cast<size_t>(b)];
  int64_t sum = 0;
  for (size_t i = 0, j = 0; i < x.reads.size() && j < y.reads.size();) {
    if (x.reads[i] == y.reads[j]) sum += value_bytes_[static_cast<size_t>(x.reads[i])];
    x.reads[i] <= y.reads[j] ? ++i : ++j;
  }
  const auto handed_over = [&](const Slot& from, const Slot& to) {
    for (int op : from.writes) {
      const int first = first_value_[static_cast<size_t>(op)], results = static_cast<int>(view_.node(op).types.size());
      bool handed = false;
      for (int v = first; v < first + results; ++v) {
        if (!contains(to.reads, v)) continue;
        sum += value_bytes_[static_cast<size_t>(v)];
        handed = true;
      }
      const std::vector<int>& readers = view_.readers(op);
      if (handed && !view_.leaves(op) &&
          std::all_of(readers.begin(), readers.end(), [&](int reader) { return is_inside(reader, a, b); }))
        sum += view_.bytes(op);
    }
  };
  handed_over(x, y);
  handed_over(y, x);
  return sum;
}

std::variant<Merge, Refusal> PlanBuilder::judge(int a, int b, bool horizontal) const {
  const Slot &x = slots_[static_cast<size_t>(a)], &y = slots_[static_cast<size_t>(b)];
  if (!x.kernel.library.empty() || !y.kernel.library.empty()) return Refusal{"L7", "a call of a library stands alone"};
  if (horizontal) {
    if (x.product >= 0 || y.product >= 0) return Refusal{"L6", "a product does not share a launch"};
    return Merge{a, b, true, 0};
  }
  if (x.kernel.regions.size() != 1 || y.kernel.regions.size() != 1)
    return Refusal{"L6", "a launch of several regions does not fuse further"};
  const std::vector<int> region = joined(a, b);
  auto bound = bind_region(view_, region, stored_ops(view_, region));
  if (auto* refusal = std::get_if<Refusal>(&bound)) return *refusal;
  return Merge{a, b, false, bytes_saved(a, b)};
}

// The ops of two kernels of one region each.
std::vector<int> PlanBuilder::joined(int a, int b) const {
  const std::vector<int>&x = kernel(a).regions[0], &y = kernel(b).regions[0];
  std::vector<int> out(x.size() + y.size());
  std::merge(x.begin(), x.end(), y.begin(), y.end(), out.begin());
  return out;
}

// A product, or else the op with the most elements.
int PlanBuilder::widest_of(int a, int b) const {
  const Slot &x = slots_[static_cast<size_t>(a)], &y = slots_[static_cast<size_t>(b)];
  const auto rank = [&](const Slot& s) { return std::tuple(s.product >= 0, view_.elements(s.widest), -s.widest); };
  return rank(x) > rank(y) ? x.widest : y.widest;
}

double PlanBuilder::repeated_work(const std::vector<int>& region, const Shape& domain) const {
  constexpr double across = 4;  // additions in the time of reading an element against the grain
  if (domain.empty()) return 0;
  const auto of_domain = static_cast<double>(element_count(domain));
  double sum = 0;
  for (int op : region) {
    const Shape& own_space = space(op);
    if (own_space.empty() || own_space.back() == 1) continue;
    const auto own = static_cast<double>(view_.elements(op));
    if (own_space.back() == domain.back())
      sum += std::max(0.0, of_domain - own) * view_.node(op).op->cost;
    else if (own == of_domain)
      sum += own * across;
  }
  return sum;
}

// Of the region that the two would make.
double PlanBuilder::repeated_by(int a, int b) const {
  const Shape& domain = space(widest_of(a, b));
  double sum = 0;
  for (int k : {a, b}) {
    const Slot& slot = slots_[static_cast<size_t>(k)];
    const bool same = space(slot.widest) == domain;
    sum += same ? slot.repeated : repeated_work(slot.kernel.regions[0], domain);
  }
  return sum;
}

double PlanBuilder::added_work(const Merge& m) const {
  return repeated_by(m.a, m.b) - slots_[static_cast<size_t>(m.a)].repeated - slots_[static_cast<size_t>(m.b)].repeated;
}

bool PlanBuilder::feeds_product(int from, int to) const {
  const int product = slots_[static_cast<size_t>(to)].product;
  if (product < 0) return false;
  const std::vector<Access>& operands = view_.ops()[static_cast<size_t>(product)].operands;
  return std::any_of(operands.begin(), operands.end(), [&](const Access& a) {
    const int source = view_.op_of(a.source);
    return source >= 0 && order_.kernel_of(source) == from;
  });
}

// What rules of legality say of two kernels as a whole. Most pairs end here, and the binding of a region costs as much
// as it has ops.
bool PlanBuilder::might_fuse(int a, int b) const {
  const Slot &x = slots_[static_cast<size_t>(a)], &y = slots_[static_cast<size_t>(b)];
  if (!x.kernel.library.empty() || !y.kernel.library.empty()) return false;
  if (x.kernel.regions.size() != 1 || y.kernel.regions.size() != 1) return false;
  const bool has_product = x.product >= 0 || y.product >= 0;
  if ((x.product >= 0 && y.product >= 0) || (has_product && (x.reduces || y.reduces))) return false;
  if (feeds_product(a, b) || feeds_product(b, a)) return false;
  // The dimensions of all spaces are different axes of the domain.
  const int widest = widest_of(a, b);
  const Shape &domain = space(widest), &other = space(widest == x.widest ? y.widest : x.widest);
  return std::all_of(other.begin(), other.end(), [&](int64_t extent) {
    return extent == 1 ||
           std::count(other.begin(), other.end(), extent) <= std::count(domain.begin(), domain.end(), extent);
  });
}

// A merge that might be legal, from what costs little to find out.
std::optional<Merge> PlanBuilder::propose(int a, int b) const {
  if (!might_fuse(a, b)) return std::nullopt;
  return Merge{a, b, false, bytes_saved(a, b)};
}

// The verdict on two kernels as they are, without what depends on others.
const std::variant<Merge, Refusal>& PlanBuilder::judged(int a, int b, bool horizontal) {
  const int version_a = slots_[static_cast<size_t>(a)].version, version_b = slots_[static_cast<size_t>(b)].version;
  const auto known = cache_.find({a, b, horizontal});
  if (known != cache_.end() && known->second.version_a == version_a && known->second.version_b == version_b)
    return known->second.verdict;
  const Cached now{version_a, version_b, judge(a, b, horizontal)};
  return cache_.insert_or_assign({a, b, horizontal}, now).first->second.verdict;
}

std::optional<Refusal> PlanBuilder::refused_by_others(const Merge& m) {
  const auto dependence = order_.dependence(m.a, m.b);
  if (m.horizontal && dependence != KernelOrder::Dependence::none) return Refusal{"L6", "one depends on the other"};
  if (dependence == KernelOrder::Dependence::through_third)
    return Refusal{"L1", "a path leaves the kernel and comes back"};
  return std::nullopt;
}

std::variant<Merge, Refusal> PlanBuilder::try_merge(int a, int b, bool horizontal) {
  if (a > b) std::swap(a, b);
  const auto& verdict = judged(a, b, horizontal);
  if (const Merge* merge = std::get_if<Merge>(&verdict))
    if (auto refusal = refused_by_others(*merge)) return *std::move(refusal);
  return verdict;
}

void PlanBuilder::merge_best(const std::function<double(const Merge&)>& score,
                             const std::function<std::string(const Merge&)>& reason) {
  const auto later = [](const Candidate& x, const Candidate& y) {
    return std::tuple(x.score, -x.merge.a, -x.merge.b) < std::tuple(y.score, -y.merge.a, -y.merge.b);
  };
  std::priority_queue<Candidate, std::vector<Candidate>, decltype(later)> queue(later);
  const auto consider = [&](int a, int b) {
    if (a > b) std::swap(a, b);
    const std::optional<Merge> merge = propose(a, b);
    if (!merge) return;
    const double points = score(*merge);
    if (points > 0)
      queue.push({points, *merge, slots_[static_cast<size_t>(a)].version, slots_[static_cast<size_t>(b)].version});
  };
  for (int a : kernels()) {
    const std::set<int>& near = neighbours_[static_cast<size_t>(a)];
    for (auto b = near.upper_bound(a); b != near.end(); ++b) consider(a, *b);
  }
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    const Slot &a = slots_[static_cast<size_t>(c.merge.a)], &b = slots_[static_cast<size_t>(c.merge.b)];
    if (!a.alive || !b.alive || a.version != c.version_a || b.version != c.version_b) continue;
    // Most are replaced before their turn comes: legality is asked for last. Merges of others never take away a path,
    // so what is refused now stays so until one of the two changes.
    if (!std::holds_alternative<Merge>(judged(c.merge.a, c.merge.b, false))) continue;
    if (refused_by_others(c.merge)) continue;
    merge(c.merge, reason(c.merge));
    for (int other : neighbours_[static_cast<size_t>(c.merge.a)]) consider(c.merge.a, other);
  }
}

void PlanBuilder::merge(const Merge& m, std::string reason) {
  Slot &a = slots_[static_cast<size_t>(m.a)], &b = slots_[static_cast<size_t>(m.b)];
  a.bytes += b.bytes - bytes_saved(m.a, m.b);
  if (m.horizontal) {
    a.kernel.regions.insert(a.kernel.regions.end(), b.kernel.regions.begin(), b.kernel.regions.end());
  } else {
    a.repeated = repeated_by(m.a, m.b);
    a.widest = widest_of(m.a, m.b);
    a.kernel.regions[0] = joined(m.a, m.b);
  }
  order_.join(m.a, m.b);
  a.kernel.reason = std::move(reason);
  a.product = std::max(a.product, b.product);
  a.reduces |= b.reduces;
  a.work += b.work;
  const auto is_wanted = [&](int op) {
    const std::vector<int>& readers = view_.readers(op);
    return view_.leaves(op) ||
           std::any_of(readers.begin(), readers.end(), [&](int reader) { return !is_inside(reader, m.a, m.a); });
  };
  std::vector<int> made;  // values
  for (const std::vector<int>* writes : {&a.writes, &b.writes})
    for (int op : *writes)
      for (size_t r = 0; r < view_.node(op).types.size(); ++r)
        made.push_back(first_value_[static_cast<size_t>(op)] + static_cast<int>(r));
  std::sort(made.begin(), made.end());
  a.reads.insert(a.reads.end(), b.reads.begin(), b.reads.end());
  make_set(a.reads);
  std::erase_if(a.reads, [&](int v) { return contains(made, v); });
  a.writes.insert(a.writes.end(), b.writes.begin(), b.writes.end());
  std::sort(a.writes.begin(), a.writes.end());
  std::erase_if(a.writes, [&](int op) { return !is_wanted(op); });
  ++a.version;
  b.alive = false;
  auto& of_a = neighbours_[static_cast<size_t>(m.a)];
  for (int other : neighbours_[static_cast<size_t>(m.b)]) {
    neighbours_[static_cast<size_t>(other)].erase(m.b);
    if (other == m.a) continue;
    neighbours_[static_cast<size_t>(other)].insert(m.a);
    of_a.insert(other);
  }
  neighbours_[static_cast<size_t>(m.b)].clear();
}

Plan PlanBuilder::finish(std::string policy) {
  Plan plan{view_.graph().entry(), std::move(policy), graph_hash(view_.graph()), {}, {}};
  const std::vector<int> all = kernels();
  for (int handle : all) plan.kernels.push_back(kernel(handle));
  for (int a : all) {
    const std::set<int>& near = neighbours_[static_cast<size_t>(a)];
    for (auto other = near.upper_bound(a); other != near.end(); ++other) {
      const auto verdict = try_merge(a, *other, false);
      Decision d{view_.node(kernel(a).regions[0].back()).name, view_.node(kernel(*other).regions[0].back()).name, "",
                 "", ""};
      if (const Refusal* refusal = std::get_if<Refusal>(&verdict)) {
        d.result = "illegal";
        d.rule = refusal->rule;
        d.witness = refusal->witness;
      } else {
        d.result = "unprofitable";
        d.witness = fmt::format("saves {} bytes", std::get<Merge>(verdict).bytes_saved);
      }
      plan.decisions.push_back(std::move(d));
    }
  }
  order_kernels(view_, plan);
  for (size_t k = 0; k < plan.kernels.size(); ++k) plan.kernels[k].id = fmt::format("k{}", k);
  return plan;
}

}  // namespace gmc::fusion
