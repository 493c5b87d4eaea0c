#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"

#include <algorithm>

namespace gmc::transform {

// Constants hold one value in every element, so only ops that keep that property fold: elementwise ops and movement.
Graph fold_constants(const Graph& from) {
  using graph::Category;
  return rebuild(from, [](Graph& to, const graph::Node& node, std::span<const graph::Var> inputs) {
    const Category c = node.op->category;
    const bool keeps_splat =
        c == Category::elementwise || c == Category::broadcast || c == Category::reshape || c == Category::transpose;
    auto is_constant = [&](const graph::Var& v) { return to.node(v.value).op->category == Category::constant; };
    if (!keeps_splat || inputs.empty() || !std::all_of(inputs.begin(), inputs.end(), is_constant))
      return Replacements{};
    double x[4] = {};
    std::vector<graph::TensorType> types;
    for (size_t i = 0; i < inputs.size(); ++i) {
      x[i] = to.node(inputs[i].value).number("value");
      types.push_back(inputs[i].type());
    }
    return Replacements{constant(to, c == Category::elementwise ? evaluate(node, types, x) : x[0], node.types[0])};
  });
}

}  // namespace gmc::transform
