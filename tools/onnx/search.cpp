// The greatest k, and other orders of elements.
#include "tools/onnx/build.h"

namespace gmc::onnx {
namespace {

// Where element i stands in the order along the last dimension, i64: how many come before it. Equal ones stay in their
// order.
Var ranks(Var x, bool largest) {
  const Shape s = x.shape();
  const int64_t rank = std::ssize(s), n = s.back();
  Shape square = s;
  square.push_back(n);
  std::vector<int64_t> own(static_cast<size_t>(rank)), other = own;
  for (int64_t d = 0; d < rank; ++d) own[static_cast<size_t>(d)] = other[static_cast<size_t>(d)] = d;
  other.back() = rank;
  const Var mine = graph::broadcast(x, square, own), theirs = graph::broadcast(x, square, other);
  const Var i = graph::index(*x.graph, rank - 1, {DType::i32, square}),
            j = graph::index(*x.graph, rank, {DType::i32, square});
  const Var before = largest ? graph::less(mine, theirs) : graph::less(theirs, mine);
  const Var first = either(before, both(graph::equal(mine, theirs), graph::less(j, i)));
  return graph::sum(graph::cast(first, DType::i64), {rank});
}

std::vector<Value> top_k(Call& c) {
  const int64_t rank = c.rank(0), axis = c.axis_in(c.integer("axis", -1), rank);
  const int64_t k = c.version >= 10 ? c.integer(1) : c.integer("k");
  const int64_t n = c[0].shape()[static_cast<size_t>(axis)];
  if (k < 0 || k > n) fail("the first {} of {}", k, n);
  std::vector<int64_t> perm;
  for (int64_t d = 0; d < rank; ++d)
    if (d != axis) perm.push_back(d);
  perm.push_back(axis);
  const Var x = graph::transpose(c[0], perm), order = ranks(x, c.integer("largest", 1) != 0);
  // Element p of the result is where the rank is p.
  Shape square = x.shape();
  square.back() = k;
  Shape to = square;
  square.push_back(n);
  std::vector<int64_t> dims(static_cast<size_t>(rank));
  for (int64_t d = 0; d < rank; ++d) dims[static_cast<size_t>(d)] = d;
  dims.back() = rank;
  const Var hit =
      graph::equal(graph::broadcast(order, square, dims), graph::index(c.graph(), rank - 1, {DType::i64, square}));
  const Var at = graph::sum(
      graph::select(hit, graph::index(c.graph(), rank, {DType::i64, square}), number_like(order, 0)), {rank});
  dims.back() = -1;
  const Var values = k == 0 ? graph::slice(x, rank - 1, 0, 0) : graph::gather(x, {at}, {rank - 1}, dims);
  std::vector<int64_t> back(static_cast<size_t>(rank));
  for (int64_t d = 0; d < rank; ++d) back[static_cast<size_t>(perm[static_cast<size_t>(d)])] = d;
  return {{graph::transpose(values, back), nullptr}, {graph::transpose(at, back), nullptr}};
}

std::vector<Value> data_dependent(Call&) { unsupported("the shape of its result depends on data"); }

constexpr Row rows[] = {
    {"NonMaxSuppression", data_dependent},
    {"TopK", top_k},
    {"Unique", data_dependent},
};

}  // namespace

std::span<const Row> search_rows() { return rows; }

}  // namespace gmc::onnx
