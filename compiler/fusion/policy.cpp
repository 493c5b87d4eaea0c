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

int64_t bytes_of(const View& view, const PlanKernel& kernel) {
  const Traffic t = traffic(view, kernel);
  return t.read + t.written;
}

}  // namespace

PlanBuilder::PlanBuilder(const View& view, std::string library)
    : view_(view), library_(std::move(library)), slot_of_(view.ops().size()), neighbours_(view.ops().size()),
      after_(view.ops().size()) {
  std::map<Value, std::vector<int>> touching;  // per value: who computes or reads it
  if (!library_.empty() && library_ != "onednn") fail_usage("unknown library '{}': expected onednn or none", library_);
  for (size_t i = 0; i < view.ops().size(); ++i) {
    const int op = static_cast<int>(i);
    const bool product = view.ops()[i].category == Category::matmul;
    const std::string call = library_of(view.ops()[i].category);
    PlanKernel alone{"", {{op}}, library_takes(view, op) ? library_ : call, ""};
    const int64_t bytes = bytes_of(view, alone);
    slots_.push_back({std::move(alone), product, flops(view, op), true, 0, bytes});
    slot_of_[i] = op;
    for (size_t r = 0; r < view.node(op).types.size(); ++r)
      touching[{view.ops()[i].node, static_cast<int32_t>(r)}].push_back(op);
    for (const Access& a : view.ops()[i].operands)
      if (!view.is_free(a.source)) touching[a.source].push_back(op);
  }
  for (const auto& [value, ops] : touching)
    for (int a : ops)
      for (int b : ops)
        if (a != b) neighbours_[static_cast<size_t>(a)].insert(b);
}

std::vector<int> PlanBuilder::kernels() const {
  std::vector<int> out;
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].alive) out.push_back(static_cast<int>(i));
  return out;
}

// Calls visit(at, next) for every edge between kernels that a path from `from` takes, and stops where it gives false.
template <class Visit>
void PlanBuilder::visit_after(int from, Visit visit) const {
  std::vector<bool> seen(slots_.size(), false);
  std::vector<int> stack{from};
  while (!stack.empty()) {
    const int at = stack.back();
    stack.pop_back();
    for (const auto& region : kernel(at).regions)
      for (int op : region)
        for (int reader : view_.readers(op)) {
          const int next = slot_of_[static_cast<size_t>(reader)];
          if (next == at || !visit(at, next) || seen[static_cast<size_t>(next)]) continue;
          seen[static_cast<size_t>(next)] = true;
          stack.push_back(next);
        }
  }
}

// Whether a path leads from one kernel to another through a third.
bool PlanBuilder::comes_back(int from, int to) const {
  bool found = false;
  visit_after(from, [&](int at, int next) {
    found |= next == to && at != from;
    return next != to && !found;
  });
  return found;
}

const std::vector<bool>& PlanBuilder::after(int from) {
  std::vector<bool>& out = after_[static_cast<size_t>(from)];
  if (!out.empty()) return out;
  out.assign(slots_.size(), false);
  visit_after(from, [&](int, int next) { return out[static_cast<size_t>(next)] = true; });
  return out;
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
  const PlanKernel merged = joined(a, b);
  auto bound = bind_region(view_, merged.regions[0], stored_ops(view_, merged.regions[0]));
  if (auto* refusal = std::get_if<Refusal>(&bound)) return *refusal;
  return Merge{a, b, false, x.bytes + y.bytes - bytes_of(view_, merged)};
}

// Two kernels of one region each as one of one region.
PlanKernel PlanBuilder::joined(int a, int b) const {
  const std::vector<int>&x = kernel(a).regions[0], &y = kernel(b).regions[0];
  PlanKernel out{"", {std::vector<int>(x.size() + y.size())}, "", ""};
  std::merge(x.begin(), x.end(), y.begin(), y.end(), out.regions[0].begin());
  return out;
}

double PlanBuilder::added_work(const Merge& m) const {
  constexpr double across = 4;  // additions in the time of reading an element against the grain
  const auto more = [&](const std::vector<int>& region) {
    const auto space = [&](int op) -> const Shape& { return view_.ops()[static_cast<size_t>(op)].index_space; };
    int widest = region[0];
    for (int op : region) {
      if (element_count(space(op)) > element_count(space(widest))) widest = op;
      if (view_.ops()[static_cast<size_t>(op)].category != Category::matmul) continue;
      widest = op;
      break;
    }
    const Shape& domain = space(widest);
    if (domain.empty()) return 0.0;
    double sum = 0;
    for (int op : region) {
      const Op& o = view_.ops()[static_cast<size_t>(op)];
      const auto of_domain = static_cast<double>(element_count(domain)),
                 own = static_cast<double>(element_count(o.index_space));
      if (o.index_space.empty() || o.index_space.back() == 1) continue;
      if (o.index_space.back() == domain.back())
        sum += std::max(0.0, of_domain - own) * view_.node(op).op->cost;
      else if (own == of_domain)
        sum += own * across;
    }
    return sum;
  };
  return more(joined(m.a, m.b).regions[0]) - more(kernel(m.a).regions[0]) - more(kernel(m.b).regions[0]);
}

// A merge that might be legal, from what costs little to find out.
std::optional<Merge> PlanBuilder::propose(int a, int b, bool horizontal) const {
  const Slot &x = slots_[static_cast<size_t>(a)], &y = slots_[static_cast<size_t>(b)];
  if (!x.kernel.library.empty() || !y.kernel.library.empty()) return std::nullopt;
  if (horizontal) return x.has_product || y.has_product ? std::nullopt : std::optional(Merge{a, b, true, 0});
  if (x.kernel.regions.size() != 1 || y.kernel.regions.size() != 1 || (x.has_product && y.has_product))
    return std::nullopt;
  return Merge{a, b, false, x.bytes + y.bytes - bytes_of(view_, joined(a, b))};
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
  if (m.horizontal) {
    if (!after(m.a)[static_cast<size_t>(m.b)] && !after(m.b)[static_cast<size_t>(m.a)]) return std::nullopt;
    return Refusal{"L6", "one depends on the other"};
  }
  if (!comes_back(m.a, m.b) && !comes_back(m.b, m.a)) return std::nullopt;
  return Refusal{"L1", "a path leaves the kernel and comes back"};
}

std::variant<Merge, Refusal> PlanBuilder::try_merge(int a, int b, bool horizontal) {
  if (a > b) std::swap(a, b);
  const auto& verdict = judged(a, b, horizontal);
  if (const Merge* merge = std::get_if<Merge>(&verdict))
    if (auto refusal = refused_by_others(*merge)) return *std::move(refusal);
  return verdict;
}

void PlanBuilder::merge_best(bool horizontal, const std::function<double(const Merge&)>& score,
                             const std::function<std::string(const Merge&)>& reason) {
  const auto later = [](const Candidate& x, const Candidate& y) {
    return std::tuple(x.score, -x.merge.a, -x.merge.b) < std::tuple(y.score, -y.merge.a, -y.merge.b);
  };
  std::priority_queue<Candidate, std::vector<Candidate>, decltype(later)> queue(later);
  const auto consider = [&](int a, int b) {
    if (a > b) std::swap(a, b);
    const std::optional<Merge> merge = propose(a, b, horizontal);
    if (!merge) return;
    const double points = score(*merge);
    if (points > 0)
      queue.push({points, *merge, slots_[static_cast<size_t>(a)].version, slots_[static_cast<size_t>(b)].version});
  };
  const auto consider_all = [&](int a, int from) {
    if (horizontal) {
      for (int b : kernels())
        if (b >= from && b != a) consider(a, b);
      return;
    }
    const std::set<int>& near = neighbours_[static_cast<size_t>(a)];
    for (auto b = near.lower_bound(from); b != near.end(); ++b) consider(a, *b);
  };
  for (int a : kernels()) consider_all(a, a + 1);
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    const Slot &a = slots_[static_cast<size_t>(c.merge.a)], &b = slots_[static_cast<size_t>(c.merge.b)];
    if (!a.alive || !b.alive || a.version != c.version_a || b.version != c.version_b) continue;
    // Most are replaced before their turn comes: legality is asked for last. Merges of others never take away a path,
    // so what is refused now stays so until one of the two changes.
    if (!horizontal && !std::holds_alternative<Merge>(judged(c.merge.a, c.merge.b, false))) continue;
    if (refused_by_others(c.merge)) continue;
    merge(c.merge, reason(c.merge));
    consider_all(c.merge.a, 0);
  }
}

void PlanBuilder::merge(const Merge& m, std::string reason) {
  Slot &a = slots_[static_cast<size_t>(m.a)], &b = slots_[static_cast<size_t>(m.b)];
  if (m.horizontal) {
    a.kernel.regions.insert(a.kernel.regions.end(), b.kernel.regions.begin(), b.kernel.regions.end());
  } else {
    auto& region = a.kernel.regions[0];
    region.insert(region.end(), b.kernel.regions[0].begin(), b.kernel.regions[0].end());
    std::sort(region.begin(), region.end());
  }
  for (const auto& region : b.kernel.regions)
    for (int op : region) slot_of_[static_cast<size_t>(op)] = m.a;
  a.kernel.reason = std::move(reason);
  a.has_product |= b.has_product;
  a.work += b.work;
  a.bytes = bytes_of(view_, a.kernel);
  ++a.version;
  for (std::vector<bool>& after : after_) after.clear();
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
