#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"

namespace gmc::transform {

Graph expand_composites(Graph g) {
  auto has_composites = [](const Graph& some) {
    for (const graph::Node& n : some.nodes())
      if (n.op->category == graph::Category::composite) return true;
    return false;
  };
  // A composite may expand to composites, so this runs until none is left.
  while (has_composites(g))
    g = rebuild(std::move(g), [](Graph& to, const graph::Node& node, std::span<const graph::Var> inputs) {
      if (node.op->category != graph::Category::composite) return Replacements{};
      to.context.scope = node.name;
      return node.op->expand(to, node, inputs);
    });
  return g;
}

}  // namespace gmc::transform
