#include "compiler/graph/text.h"
#include "compiler/transform/pass.h"

namespace gmc::transform {

Graph simplify(const Graph& from) {
  Graph g = from;
  for (bool changed = true; changed;) {
    changed = false;
    g = rebuild(g, [&](Graph& to, const graph::Node& node, std::span<const graph::Var> inputs) {
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
