#include "compiler/graph/text.h"
#include "compiler/transform/pass.h"

namespace gmc::transform {

Graph simplify(const Graph& from) {
  Graph g(from.entry());
  bool changed = true;
  for (const Graph* before = &from; changed; before = &g) {
    changed = false;
    g = rebuild(*before, [&](Graph& to, const graph::Node& node, std::span<const graph::Var> inputs) {
      graph::Var simpler;
      if (node.op->simplify) simpler = node.op->simplify(to, node, inputs);
      changed |= simpler.valid();
      return simpler.valid() ? Replacements{simpler} : Replacements{};
    });
    if (changed) g = eliminate_dead(g);
  }
  return g;
}

}  // namespace gmc::transform
