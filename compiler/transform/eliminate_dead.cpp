#include "compiler/transform/pass.h"

#include "compiler/transform/trim.h"

namespace gmc::transform {

using graph::Node;
using graph::Value;

Graph eliminate_dead(const Graph& from) {
  std::vector<std::vector<bool>> used;
  for (const Node& n : from.nodes()) used.emplace_back(n.types.size(), false);
  auto use = [&](Value v) { used[static_cast<size_t>(v.node)][static_cast<size_t>(v.result)] = true; };
  for (const graph::Output& o : from.outputs()) use(o.value);
  std::vector<Trimmed> trimmed(from.nodes().size());
  std::vector<bool> live(from.nodes().size(), false);
  for (size_t i = from.nodes().size(); i-- > 0;) {
    const Node& n = from.nodes()[i];
    const bool interface = n.op->category == graph::Category::input && n.text("role") != "state";
    live[i] = interface || std::find(used[i].begin(), used[i].end(), true) != used[i].end();
    if (!live[i]) continue;
    trimmed[i] = trim(n, used[i]);
    for (Value v : trimmed[i].node.inputs) use(v);
  }
  Graph to(from.entry());
  std::vector<std::vector<Value>> map(from.nodes().size());
  auto moved = [&](Value v) { return map[static_cast<size_t>(v.node)][static_cast<size_t>(v.result)]; };
  for (size_t i = 0; i < from.nodes().size(); ++i) {
    if (!live[i]) continue;
    std::vector<Value> inputs;
    for (Value v : trimmed[i].node.inputs) inputs.push_back(moved(v));
    const Value first = to.copy(trimmed[i].node, std::move(inputs));
    for (int32_t result : trimmed[i].result_of) map[i].push_back({first.node, result});
  }
  std::vector<graph::Output> outputs = from.outputs();
  for (graph::Output& o : outputs) o.value = moved(o.value);
  to.set_outputs(std::move(outputs));
  return to;
}

}  // namespace gmc::transform
