#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"

#include <algorithm>

namespace gmc::transform {
namespace {

using graph::Category;
using graph::Var;

bool computes(Category c) {
  return c == Category::elementwise || c == Category::reduce || c == Category::matmul || c == Category::routine;
}

Var widened(const Var& x) { return is_half(x.type().dtype) ? cast(x, f32) : x; }

// Halves are computed in f32 and rounded once, op by op.
Replacements in_f32(const graph::Node& node, std::span<const Var> inputs) {
  const DType to = node.types[0].dtype;
  const DType from = inputs.empty() ? f32 : inputs[0].type().dtype;
  if (node.op == &graph::cast_op) {
    // Kernels convert halves from and to f32; a cast between other dtypes goes by way of it.
    const bool direct = from == f32 || to == f32 || (!is_half(from) && !is_half(to));
    return direct ? Replacements{} : Replacements{cast(cast(inputs[0], f32), to)};
  }
  const bool any =
      is_half(to) || std::any_of(inputs.begin(), inputs.end(), [](const Var& x) { return is_half(x.type().dtype); });
  if (!any || !computes(node.op->category)) return {};
  std::vector<Var> wide;
  for (const Var& x : inputs) wide.push_back(widened(x));
  const Var first = apply(*node.op, wide, node.attributes);
  Replacements results;
  for (size_t r = 0; r < node.types.size(); ++r) {
    const Var result{first.graph, {first.value.node, static_cast<int32_t>(r)}};
    results.push_back(is_half(node.types[r].dtype) ? cast(result, node.types[r].dtype) : result);
  }
  return results;
}

}  // namespace

Graph legalise_dtypes(Graph from) {
  return rebuild(std::move(from),
                 [](Graph&, const graph::Node& node, std::span<const Var> inputs) { return in_f32(node, inputs); });
}

}  // namespace gmc::transform
