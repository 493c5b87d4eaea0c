#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <numeric>

namespace gmc::transform {
namespace {

using graph::Category;
using graph::Var;

bool is_half(DType d) { return d == f16 || d == bf16; }

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

// Generated products are f32; those of other dtypes are sums over a dimension of their own.
Replacements as_sum(const graph::Node& node, std::span<const Var> inputs) {
  const DType dtype = node.types[0].dtype;
  if (node.op->category != Category::matmul || dtype == f32) return {};
  const auto rank = static_cast<int64_t>(node.types[0].shape.size());
  std::vector<int64_t> left, right;
  for (int64_t d = 0; d + 2 < rank; ++d) left.push_back(d), right.push_back(d);
  const bool ta = node.flag("transpose_a"), tb = node.flag("transpose_b");
  const Shape& out = node.types[0].shape;
  const Shape a = inputs[0].shape();
  Shape space = out;  // [.., m, n, k]
  space.push_back(a[static_cast<size_t>(ta ? rank - 2 : rank - 1)]);
  // Dimensions of the space that the last two of an operand are, in ascending order after a transpose.
  const auto swap_last = [](const Var& v) {
    std::vector<int64_t> perm(v.shape().size());
    std::iota(perm.begin(), perm.end(), 0);
    std::swap(perm[perm.size() - 2], perm[perm.size() - 1]);
    return transpose(v, perm);
  };
  const Var x = ta ? swap_last(inputs[0]) : inputs[0], y = tb ? inputs[1] : swap_last(inputs[1]);
  left.insert(left.end(), {rank - 2, rank});
  right.insert(right.end(), {rank - 1, rank});
  return {sum(broadcast(x, space, left) * broadcast(y, space, right), {rank})};
}

}  // namespace

Graph legalise_dtypes(const Graph& from) {
  const Graph g =
      rebuild(from, [](Graph&, const graph::Node& node, std::span<const Var> inputs) { return in_f32(node, inputs); });
  return rebuild(g, [](Graph&, const graph::Node& node, std::span<const Var> inputs) { return as_sum(node, inputs); });
}

}  // namespace gmc::transform
