#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"

namespace gmc::transform {

Graph expand_composites(const Graph& from) {
  auto has_composites = [](const Graph& g) {
    for (const graph::Node& n : g.nodes())
      if (n.op->category == graph::Category::composite) return true;
    return false;
  };
  Graph g = from;
  // A composite may expand to composites, so this runs until none is left.
  while (has_composites(g))
    g = rebuild(g, [](Graph& to, const graph::Node& node, std::span<const graph::Var> inputs) {
      if (node.op->category != graph::Category::composite) return Replacements{};
      to.context.scope = node.name;
      return node.op->expand(to, node, inputs);
    });
  return g;
}

}  // namespace gmc::transform
