#include "compiler/transform/pass.h"

#include "compiler/transform/trim.h"

#include <algorithm>
#include <numeric>

namespace gmc::transform {

using graph::Node;
using graph::Value;

Graph eliminate_dead(Graph from) {
  std::vector<size_t> first{0};  // per node, of its results
  for (const Node& n : from.nodes()) first.push_back(first.back() + n.types.size());
  const auto number = [&](Value v) { return first[static_cast<size_t>(v.node)] + static_cast<size_t>(v.result); };
  std::vector<bool> used(first.back());
  for (const graph::Output& o : from.outputs()) used[number(o.value)] = true;
  std::vector<graph::Output> outputs = from.outputs();
  Graph to(from.entry());
  std::vector<Node> nodes = std::move(from).release_nodes();
  std::vector<bool> live(nodes.size());
  std::vector<int32_t> result(first.back());  // what number each has in the node as it is now, -1 if it is gone
  for (size_t i = nodes.size(); i-- > 0;) {
    Node& n = nodes[i];
    const auto begin = static_cast<std::ptrdiff_t>(first[i]), end = static_cast<std::ptrdiff_t>(first[i + 1]);
    const bool interface = n.op->category == graph::Category::input && n.text("role") != "state";
    live[i] = interface || std::find(used.begin() + begin, used.begin() + end, true) != used.begin() + end;
    if (!live[i]) continue;
    std::iota(result.begin() + begin, result.begin() + end, 0);
    if (!n.regions.empty()) {
      Trimmed trimmed = trim(std::move(n), {used.begin() + begin, used.begin() + end});
      n = std::move(trimmed.node);
      std::copy(trimmed.result_of.begin(), trimmed.result_of.end(), result.begin() + begin);
    }
    for (Value v : n.inputs) used[number(v)] = true;
  }
  to.reserve(static_cast<size_t>(std::count(live.begin(), live.end(), true)));
  std::vector<int32_t> now(nodes.size());
  const auto moved = [&](Value v) { return Value{now[static_cast<size_t>(v.node)], result[number(v)]}; };
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!live[i]) continue;
    std::vector<Value> inputs = std::move(nodes[i].inputs);
    for (Value& v : inputs) v = moved(v);
    now[i] = to.copy(std::move(nodes[i]), std::move(inputs)).node;
  }
  for (graph::Output& o : outputs) o.value = moved(o.value);
  to.set_outputs(std::move(outputs));
  return to;
}

}  // namespace gmc::transform
