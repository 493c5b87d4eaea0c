#include "compiler/transform/pass.h"

#include "compiler/transform/trim.h"

namespace gmc::transform {

using graph::Node;
using graph::Value;

Graph eliminate_dead(Graph from) {
  std::vector<std::vector<bool>> used;
  for (const Node& n : from.nodes()) used.emplace_back(n.types.size(), false);
  auto use = [&](Value v) { used[static_cast<size_t>(v.node)][static_cast<size_t>(v.result)] = true; };
  for (const graph::Output& o : from.outputs()) use(o.value);
  std::vector<graph::Output> outputs = from.outputs();
  Graph to(from.entry());
  std::vector<Node> nodes = std::move(from).release_nodes();
  std::vector<std::vector<int32_t>> result_of(nodes.size());  // of the node as it is now; empty: it is dead
  for (size_t i = nodes.size(); i-- > 0;) {
    Node& n = nodes[i];
    const bool interface = n.op->category == graph::Category::input && n.text("role") != "state";
    if (!interface && std::find(used[i].begin(), used[i].end(), true) == used[i].end()) continue;
    Trimmed trimmed = trim(std::move(n), used[i]);
    n = std::move(trimmed.node);
    result_of[i] = std::move(trimmed.result_of);
    for (Value v : n.inputs) use(v);
  }
  std::vector<std::vector<Value>> map(nodes.size());
  auto moved = [&](Value v) { return map[static_cast<size_t>(v.node)][static_cast<size_t>(v.result)]; };
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (result_of[i].empty()) continue;
    std::vector<Value> inputs;
    for (Value v : nodes[i].inputs) inputs.push_back(moved(v));
    const Value first = to.copy(std::move(nodes[i]), std::move(inputs));
    for (int32_t result : result_of[i]) map[i].push_back({first.node, result});
  }
  for (graph::Output& o : outputs) o.value = moved(o.value);
  to.set_outputs(std::move(outputs));
  return to;
}

}  // namespace gmc::transform
