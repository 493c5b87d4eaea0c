#include "compiler/graph/text.h"
#include "compiler/transform/pass.h"

namespace gmc::transform {

Graph simplify(Graph g) {
  bool changed = true;
  while (changed) {
    changed = false;
    g = rebuild(std::move(g), [&](Graph& to, const graph::Node& node, std::span<const graph::Var> inputs) {
      graph::Var simpler;
      if (node.op->simplify) simpler = node.op->simplify(to, node, inputs);
      changed |= simpler.valid();
      return simpler.valid() ? Replacements{simpler} : Replacements{};
    });
    if (changed) g = eliminate_dead(std::move(g));
  }
  return g;
}

}  // namespace gmc::transform
