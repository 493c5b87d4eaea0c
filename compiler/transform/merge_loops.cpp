#include "compiler/graph/core_loop.h"
#include "compiler/graph/text.h"
#include "compiler/transform/pass.h"

#include <fmt/format.h>

#include <map>
#include <tuple>

namespace gmc::transform {
namespace {

using graph::Category;
using graph::Node;
using graph::Value;
using graph::Var;

// What the carries do, whatever else the body computes: operands, attributes and the body down to the carries.
using Key = std::tuple<std::vector<Value>, graph::Attributes, std::string>;

Key key_of(const Node& node) {
  Graph carries = *node.regions[0];
  std::vector<graph::Output> outputs = carries.outputs();
  outputs.resize(loop_parts(node).carries);
  for (size_t k = 0; k < outputs.size(); ++k) outputs[k].name = fmt::format("{}", k);
  carries.set_outputs(std::move(outputs));
  return {node.inputs, node.attributes, graph::print(eliminate_dead(carries), false)};
}

// Loops that go through the same carries, in the order of the graph.
std::map<size_t, std::vector<size_t>> groups_of(const Graph& g) {
  std::map<Key, std::vector<size_t>> groups;
  for (size_t i = 0; i < g.nodes().size(); ++i)
    if (g.nodes()[i].op->category == Category::loop) groups[key_of(g.nodes()[i])].push_back(i);
  std::map<size_t, std::vector<size_t>> out;
  for (auto& [key, nodes] : groups)
    if (nodes.size() > 1) out[nodes[0]] = std::move(nodes);
  return out;
}

// The bodies one after the other, with the carries of the first and the outputs of all.
Node merged(const Graph& from, const std::vector<size_t>& nodes) {
  Node out = from.nodes()[nodes[0]];
  out.op = &graph::scan_op;
  const size_t carries = loop_parts(out).carries;
  Graph body = *out.regions[0];
  const std::vector<Value> arguments = graph::arguments(body);
  for (size_t n = 1; n < nodes.size(); ++n) {
    const Node& other = from.nodes()[nodes[n]];
    const Graph& region = *other.regions[0];
    const std::vector<Value> same = graph::arguments(region);
    std::map<Value, Value> map;
    for (size_t a = 0; a < same.size(); ++a) map[same[a]] = arguments[a];
    for (size_t i = 0; i < region.nodes().size(); ++i) {
      const Node& inner = region.nodes()[i];
      if (map.count({static_cast<int32_t>(i), 0})) continue;
      std::vector<Value> inputs;
      for (Value v : inner.inputs) inputs.push_back(map.at(v));
      const Value first = body.copy(inner, std::move(inputs));
      for (int32_t r = 0; r < static_cast<int32_t>(inner.types.size()); ++r)
        map[{static_cast<int32_t>(i), r}] = {first.node, r};
    }
    for (size_t k = carries; k < region.outputs().size(); ++k) {
      body.add_output({fmt::format("output {}", body.outputs().size()), map.at(region.outputs()[k].value), false});
      out.types.push_back(other.types[k]);
    }
  }
  std::vector<graph::Output> outputs = body.outputs();
  for (size_t k = carries; k < outputs.size(); ++k) outputs[k].name = fmt::format("output {}", k);
  body.set_outputs(std::move(outputs));
  out.regions[0] = std::make_shared<const Graph>(eliminate_common(body));
  return out;
}

}  // namespace

Graph merge_loops(Graph from) {
  const auto groups = groups_of(from);
  if (groups.empty()) return from;
  std::map<size_t, Replacements> done;
  size_t next = 0;
  return rebuild(from, [&](Graph& to, const Node& node, std::span<const Var> inputs) {
    const size_t i = next++;
    if (auto it = done.find(i); it != done.end()) return it->second;
    const auto group = groups.find(i);
    if (group == groups.end()) return Replacements{};
    std::vector<Value> operands;
    for (const Var& v : inputs) operands.push_back(v.value);
    const size_t carries = loop_parts(node).carries;
    const int32_t loop = to.copy(merged(from, group->second), std::move(operands)).node;
    auto at = static_cast<int32_t>(carries);
    for (size_t member : group->second) {
      Replacements& results = done[member];
      for (size_t r = 0; r < from.nodes()[member].types.size(); ++r)
        results.push_back({&to, {loop, r < carries ? static_cast<int32_t>(r) : at++}});
    }
    return done.at(i);
  });
}

}  // namespace gmc::transform
