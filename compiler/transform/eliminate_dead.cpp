#include "compiler/graph/op.h"
#include "compiler/transform/pass.h"

namespace gmc::transform {

Graph eliminate_dead(const Graph& from) {
  std::vector<bool> live(from.nodes().size(), false);
  for (const graph::Output& o : from.outputs()) live[static_cast<size_t>(o.value.node)] = true;
  for (size_t i = from.nodes().size(); i-- > 0;) {
    const graph::Node& n = from.nodes()[i];
    if (n.op->category == graph::Category::input && n.text("role") != "state") live[i] = true;
    if (!live[i]) continue;
    for (graph::Value v : n.inputs) live[static_cast<size_t>(v.node)] = true;
  }
  Graph to(from.entry());
  std::vector<graph::Value> map(from.nodes().size());
  for (size_t i = 0; i < from.nodes().size(); ++i) {
    if (!live[i]) continue;
    std::vector<graph::Value> inputs;
    for (graph::Value v : from.nodes()[i].inputs) inputs.push_back({map[static_cast<size_t>(v.node)].node, v.result});
    map[i] = to.copy(from.nodes()[i], inputs);
  }
  std::vector<graph::Output> outputs = from.outputs();
  for (graph::Output& o : outputs) o.value.node = map[static_cast<size_t>(o.value.node)].node;
  to.set_outputs(std::move(outputs));
  return to;
}

}  // namespace gmc::transform
