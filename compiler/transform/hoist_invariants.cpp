#include "compiler/graph/core_loop.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <map>

namespace gmc::transform {
namespace {

using graph::Category;
using graph::Node;
using graph::Value;
using graph::Var;

bool is_work(Category c) {
  return c == Category::elementwise || c == Category::reduce || c == Category::matmul || c == Category::gather;
}

// Takes what does not change from trip to trip out of a loop. Movement stays with whoever reads it.
class Hoister {
public:
  Hoister(Graph& to, const Node& node, std::span<const Var> inputs) : to_(to), node_(node) {
    for (const Var& v : inputs) operands_.push_back(v.value);
  }

  Replacements run() {
    for (size_t r = 0; r < node_.regions.size(); ++r) look(r);
    if (hoisted_.empty()) return {};
    for (size_t r = 0; r < node_.regions.size(); ++r) node_.regions[r] = without_hoisted(r);
    for (const auto& [value, outside] : hoisted_) operands_.push_back(outside);
    const int32_t loop = to_.copy(node_, operands_).node;
    Replacements out;
    for (int32_t r = 0; r < static_cast<int32_t>(node_.types.size()); ++r) out.push_back({&to_, {loop, r}});
    return out;
  }

private:
  using Inner = std::pair<size_t, Value>;  // region, value

  // Finds the invariant work that what varies, or an output, reads.
  void look(size_t region) {
    const Graph& g = *node_.regions[region];
    std::vector<bool> fixed(g.nodes().size(), false), captures(g.nodes().size(), false);
    std::map<Value, Value> outside;
    const std::vector<Value> arguments = graph::arguments(g);
    for (size_t k = arguments.size() - 1 - loop_parts(node_).captured; k + 1 < arguments.size(); ++k) {
      outside[arguments[k + 1]] = operands_[k];
      fixed[static_cast<size_t>(arguments[k + 1].node)] = captures[static_cast<size_t>(arguments[k + 1].node)] = true;
    }
    for (size_t i = 0; i < g.nodes().size(); ++i) {
      const Node& n = g.nodes()[i];
      if (n.op->category == Category::input || n.op->category == Category::random || !n.regions.empty()) continue;
      const auto is = [&](const std::vector<bool>& flags) {
        return [&](Value v) { return flags[static_cast<size_t>(v.node)]; };
      };
      fixed[i] = std::all_of(n.inputs.begin(), n.inputs.end(), is(fixed));
      captures[i] = fixed[i] && std::any_of(n.inputs.begin(), n.inputs.end(), is(captures));
    }
    const auto visit = [&](auto& self, Value v) -> void {
      const Node& n = g.node(v);
      if (!captures[static_cast<size_t>(v.node)] || n.op->category == Category::input) return;
      if (is_work(n.op->category)) {
        hoisted_.try_emplace({region, v}, outer(g, v, outside));
        return;
      }
      for (Value in : n.inputs) self(self, in);
    };
    for (size_t i = 0; i < g.nodes().size(); ++i)
      if (!fixed[i])
        for (Value v : g.nodes()[i].inputs) visit(visit, v);
    for (const graph::Output& o : g.outputs()) visit(visit, o.value);
  }
  // The value made in front of the loop.
  Value outer(const Graph& g, Value v, std::map<Value, Value>& outside) {
    if (auto it = outside.find(v); it != outside.end()) return it->second;
    std::vector<Value> inputs;
    for (Value in : g.node(v).inputs) inputs.push_back(outer(g, in, outside));
    const Value made{to_.copy(g.node(v), std::move(inputs)).node, v.result};
    return outside[v] = made;
  }

  // Every region gets an argument for each hoisted value, its own or not.
  graph::Region without_hoisted(size_t region) const {
    const Graph& g = *node_.regions[region];
    Graph body(g.entry());
    std::map<Value, Value> map;
    for (Value v : graph::arguments(g)) map[v] = body.copy(g.node(v), {});
    for (const auto& [inner, outside] : hoisted_) {
      const Var a = argument(body, "invariant", to_.type(outside));
      if (inner.first == region) map[inner.second] = a.value;
    }
    for (size_t i = 0; i < g.nodes().size(); ++i) {
      const Node& n = g.nodes()[i];
      if (map.count({static_cast<int32_t>(i), 0})) continue;
      std::vector<Value> inputs;
      for (Value v : n.inputs) inputs.push_back(map.at(v));
      const int32_t copy = body.copy(n, std::move(inputs)).node;
      for (int32_t r = 0; r < static_cast<int32_t>(n.types.size()); ++r) map[{static_cast<int32_t>(i), r}] = {copy, r};
    }
    for (const graph::Output& o : g.outputs()) body.add_output({o.name, map.at(o.value), false});
    return std::make_shared<const Graph>(eliminate_dead(body));
  }

  Graph& to_;
  Node node_;
  std::vector<Value> operands_;
  std::map<Inner, Value> hoisted_;  // values of the regions, and what they are in front of the loop
};

}  // namespace

Graph hoist_invariants(Graph from) {
  return rebuild(std::move(from), [](Graph& to, const Node& node, std::span<const Var> inputs) {
    const Category c = node.op->category;
    if (c != Category::loop && c != Category::while_loop) return Replacements{};
    return Hoister(to, node, inputs).run();
  });
}

}  // namespace gmc::transform
