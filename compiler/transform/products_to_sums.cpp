#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"

#include <numeric>

namespace gmc::transform {
namespace {

using graph::Var;

// Neither windows nor anything else that is put together while it is read.
bool lies_in_memory(Var v) {
  const graph::Node* n = &v.graph->node(v.value);
  while (n->op->category == graph::Category::reshape) n = &v.graph->node(n->inputs[0]);
  const graph::Category c = n->op->category;
  return c != graph::Category::affine && c != graph::Category::transpose && c != graph::Category::broadcast;
}

// A row times a matrix whose columns lie in memory one after the other reads each element once: packing the matrix
// would cost more than the product. Short columns leave lanes idle.
bool is_row_by_columns(const graph::Node& node, const Shape& a, const Var& b) {
  constexpr int64_t shortest_column = 64;
  const Shape& out = node.types[0].shape;
  const int64_t k = node.flag("transpose_a") ? a.end()[-2] : a.end()[-1];
  return node.flag("transpose_b") && element_count(out) == out.back() && k >= shortest_column && lies_in_memory(b);
}

// The product as a sum over a dimension of its own.
Var as_sum(const graph::Node& node, std::span<const Var> inputs) {
  const auto rank = static_cast<int64_t>(node.types[0].shape.size());
  std::vector<int64_t> left, right;
  for (int64_t d = 0; d + 2 < rank; ++d) left.push_back(d), right.push_back(d);
  const bool ta = node.flag("transpose_a"), tb = node.flag("transpose_b");
  const Shape a = inputs[0].shape();
  Shape space = node.types[0].shape;  // [.., m, n, k]
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
  return sum(broadcast(x, space, left) * broadcast(y, space, right), {rank});
}

}  // namespace

// Generated products are f32.
Graph products_to_sums(Graph from) {
  return rebuild(std::move(from), [](Graph&, const graph::Node& node, std::span<const Var> inputs) {
    if (node.op->category != graph::Category::matmul) return Replacements{};
    const bool f32_product = node.types[0].dtype == DType::f32;
    if (f32_product && !is_row_by_columns(node, inputs[0].shape(), inputs[1])) return Replacements{};
    return Replacements{as_sum(node, inputs)};
  });
}

}  // namespace gmc::transform
