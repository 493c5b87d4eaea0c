#include "compiler/fusion/policy.h"

#include "runtime/base/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <queue>
#include <set>

namespace gmc::fusion {

const std::vector<Policy>& policies() {
  static const std::vector<Policy> list{
      {"none", "every op in a kernel of its own", policy_none},
      {"greedy", "the merge that saves the most bytes first; then independent kernels side by side", policy_greedy},
  };
  return list;
}

const Policy& policy_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Policy& policy : policies()) {
    if (name == policy.name) return policy;
    names.emplace_back(policy.name);
  }
  fail_usage("unknown policy '{}': expected one of {}", name, fmt::join(names, ", "));
}

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
    : view_(view), library_(std::move(library)), slot_of_(view.ops().size()), neighbours_(view.ops().size()) {
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
    slot.has_product = view.ops()[i].category == Category::matmul;
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
    slot_of_[i] = op;
    place_.push_back(op);
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

template <class Visit>
void PlanBuilder::each_after(int kernel_handle, Visit visit) const {
  for (const auto& region : kernel(kernel_handle).regions)
    for (int op : region)
      for (int reader : view_.readers(op))
        if (const int other = slot_of_[static_cast<size_t>(reader)]; other != kernel_handle) visit(other);
}

template <class Visit>
void PlanBuilder::each_before(int kernel_handle, Visit visit) const {
  for (const auto& region : kernel(kernel_handle).regions)
    for (int op : region)
      for (const Access& a : view_.ops()[static_cast<size_t>(op)].operands) {
        const int source = view_.op_of(a.source);
        if (source < 0) continue;
        if (const int other = slot_of_[static_cast<size_t>(source)]; other != kernel_handle) visit(other);
      }
}

// The kernels before `last` that depend on `first`: a path to `last` passes through no others.
std::vector<int> PlanBuilder::between_after(int first, int last) const {
  std::vector<int> found, stack{first};
  while (!stack.empty()) {
    const int at = stack.back();
    stack.pop_back();
    each_after(at, [&](int next) {
      if (place(next) >= place(last) || !marks_.add(next)) return;
      found.push_back(next);
      stack.push_back(next);
    });
  }
  marks_.clear(found);
  return found;
}

// The kernels behind `first` on which `last` depends.
std::vector<int> PlanBuilder::between_before(int first, int last) const {
  std::vector<int> found, stack{last};
  while (!stack.empty()) {
    const int at = stack.back();
    stack.pop_back();
    each_before(at, [&](int next) {
      if (place(next) <= place(first) || !marks_.add(next)) return;
      found.push_back(next);
      stack.push_back(next);
    });
  }
  marks_.clear(found);
  return found;
}

// Whether a path leads from one kernel to the other through a third, or through none.
PlanBuilder::Path PlanBuilder::path_between(int a, int b) const {
  const int first = place(a) < place(b) ? a : b, last = first == a ? b : a;
  Path path;
  const auto look = [&](int at) {
    bool meets = false;
    each_after(at, [&](int next) { meets |= next == last; });
    return meets;
  };
  path.direct = look(first);
  for (int k : between_after(first, last)) path.through_third |= look(k);
  return path;
}

// Keeps the order when the two become one (Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic
// graphs", JEA 11, 2006): what both need goes in front of them, what needs them behind.
void PlanBuilder::reorder(int a, int b) {
  const int first = place(a) < place(b) ? a : b, last = first == a ? b : a;
  std::vector<int> behind = between_after(first, last), front = between_before(first, last);
  const auto sooner = [&](int x, int y) { return place(x) < place(y); };
  std::sort(behind.begin(), behind.end(), sooner);
  std::sort(front.begin(), front.end(), sooner);
  std::vector<int> order = front, places{place(first), place(last)};
  order.push_back(a);
  order.insert(order.end(), behind.begin(), behind.end());
  for (int k : front) places.push_back(place(k));
  for (int k : behind) places.push_back(place(k));
  std::sort(places.begin(), places.end());
  // One place is left over: that of the kernel which goes, between the two halves.
  for (size_t i = 0; i < order.size(); ++i)
    place_[static_cast<size_t>(order[i])] = places[i <= front.size() ? i : i + 1];
}

bool PlanBuilder::is_inside(int op, int a, int b) const {
  const int slot = slot_of_[static_cast<size_t>(op)];
  return slot == a || slot == b;
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
    if (x.has_product || y.has_product) return Refusal{"L6", "a product does not share a launch"};
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
  const auto rank = [&](const Slot& s) { return std::tuple(s.has_product, view_.elements(s.widest), -s.widest); };
  return rank(x) > rank(y) ? x.widest : y.widest;
}

double PlanBuilder::repeated_work(const std::vector<int>& region, const Shape& domain) const {
  constexpr double across = 4;  // additions in the time of reading an element against the grain
  if (domain.empty()) return 0;
  const auto of_domain = static_cast<double>(element_count(domain));
  double sum = 0;
  for (int op : region) {
    const Shape& space = view_.ops()[static_cast<size_t>(op)].index_space;
    if (space.empty() || space.back() == 1) continue;
    const auto own = static_cast<double>(view_.elements(op));
    if (space.back() == domain.back())
      sum += std::max(0.0, of_domain - own) * view_.node(op).op->cost;
    else if (own == of_domain)
      sum += own * across;
  }
  return sum;
}

// Of the region that the two would make.
double PlanBuilder::repeated_by(int a, int b) const {
  const auto space = [&](int op) -> const Shape& { return view_.ops()[static_cast<size_t>(op)].index_space; };
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

// A merge that might be legal, from what costs little to find out.
std::optional<Merge> PlanBuilder::propose(int a, int b) const {
  const Slot &x = slots_[static_cast<size_t>(a)], &y = slots_[static_cast<size_t>(b)];
  if (!x.kernel.library.empty() || !y.kernel.library.empty()) return std::nullopt;
  if (x.kernel.regions.size() != 1 || y.kernel.regions.size() != 1 || (x.has_product && y.has_product))
    return std::nullopt;
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

std::optional<Refusal> PlanBuilder::refused_by_others(const Merge& m) const {
  const Path path = path_between(m.a, m.b);
  if (m.horizontal && (path.direct || path.through_third)) return Refusal{"L6", "one depends on the other"};
  if (path.through_third) return Refusal{"L1", "a path leaves the kernel and comes back"};
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

namespace {

// Which kernels depend on which, while kernels become one.
class Reach {
public:
  Reach(size_t handles, const std::vector<int>& last_to_first) : bits_(handles), kernels_(last_to_first) {
    for (int k : kernels_) bits_[static_cast<size_t>(k)].resize((handles + 63) / 64);
  }
  // Kernels are told of from the last to the first.
  void add(int from, int to) {
    set(of(from), to);
    include(of(from), of(to));
  }
  bool operator()(int from, int to) const { return has(bits_[static_cast<size_t>(from)], to); }
  // Who reaches either reaches what they are now.
  void join(int a, int b) {
    include(of(a), of(b));
    std::erase(kernels_, b);
    for (int k : kernels_)
      if (k != a && (has(of(k), a) || has(of(k), b))) {
        set(of(k), a);
        include(of(k), of(a));
      }
  }

private:
  using Bits = std::vector<uint64_t>;
  Bits& of(int k) { return bits_[static_cast<size_t>(k)]; }
  static bool has(const Bits& bits, int i) { return bits[static_cast<size_t>(i) / 64] >> (i % 64) & 1; }
  static void set(Bits& bits, int i) { bits[static_cast<size_t>(i) / 64] |= uint64_t{1} << (i % 64); }
  static void include(Bits& to, const Bits& from) {
    for (size_t w = 0; w < to.size(); ++w) to[w] |= from[w];
  }
  std::vector<Bits> bits_;
  std::vector<int> kernels_;
};

}  // namespace

void PlanBuilder::merge_side_by_side(const std::string& reason) {
  std::vector<int> ordered = kernels();
  std::sort(ordered.begin(), ordered.end(), [&](int x, int y) { return place(x) > place(y); });
  Reach reach(slots_.size(), ordered);
  for (int k : ordered) each_after(k, [&](int next) { reach.add(k, next); });

  const auto lighter = [&](int x, int y) { return std::pair(work(x), x) < std::pair(work(y), y); };
  std::set<int, decltype(lighter)> free(lighter);  // those that can share a launch, the least work first
  for (int k : ordered)
    if (kernel(k).library.empty() && !has_product(k)) free.insert(k);
  // The least pair of each kernel. A partner that goes, grows or becomes dependent is replaced when its turn comes; the
  // one in its stead is never less work.
  using Pair = std::tuple<double, int, int, int>;  // work, the two, whose pair it is
  std::priority_queue<Pair, std::vector<Pair>, std::greater<>> queue;
  const auto pair_up = [&](int k) {
    for (int other : free) {
      if (other == k || reach(k, other) || reach(other, k)) continue;
      queue.emplace(work(k) + work(other), std::min(k, other), std::max(k, other), k);
      return;
    }
  };
  for (int k : free) pair_up(k);
  while (!queue.empty()) {
    const auto [sum, a, b, owner] = queue.top();
    queue.pop();
    const int partner = owner == a ? b : a;
    if (!slots_[static_cast<size_t>(owner)].alive) continue;
    if (!slots_[static_cast<size_t>(partner)].alive || reach(a, b) || reach(b, a) || work(a) + work(b) != sum) {
      pair_up(owner);
      continue;
    }
    free.erase(a);
    free.erase(b);
    merge({a, b, true, 0}, reason);
    reach.join(a, b);
    free.insert(a);
    pair_up(a);
  }
}

void PlanBuilder::merge(const Merge& m, std::string reason) {
  Slot &a = slots_[static_cast<size_t>(m.a)], &b = slots_[static_cast<size_t>(m.b)];
  reorder(m.a, m.b);
  a.bytes += b.bytes - bytes_saved(m.a, m.b);
  if (m.horizontal) {
    a.kernel.regions.insert(a.kernel.regions.end(), b.kernel.regions.begin(), b.kernel.regions.end());
  } else {
    a.repeated = repeated_by(m.a, m.b);
    a.widest = widest_of(m.a, m.b);
    a.kernel.regions[0] = joined(m.a, m.b);
  }
  for (const auto& region : b.kernel.regions)
    for (int op : region) slot_of_[static_cast<size_t>(op)] = m.a;
  a.kernel.reason = std::move(reason);
  a.has_product |= b.has_product;
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
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = i + 1; j < all.size(); ++j) {
      if (!connected(all[i], all[j])) continue;
      const auto verdict = try_merge(all[i], all[j], false);
      Decision d{view_.node(kernel(all[i]).regions[0].back()).name, view_.node(kernel(all[j]).regions[0].back()).name,
                 "", "", ""};
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
  order_kernels(view_, plan);
  for (size_t k = 0; k < plan.kernels.size(); ++k) plan.kernels[k].id = fmt::format("k{}", k);
  return plan;
}

}  // namespace gmc::fusion
