// Small things that many handlers build.
#pragma once

#include "tools/onnx/call.h"

namespace gmc::onnx {

// The op of this name on operands that broadcast; throws `Unsupported` if gmc has none.
Var apply_named(const std::string& op, std::vector<Var> operands, graph::Attributes attributes = {});
bool has_op(const std::string& op);

Var number_like(Var like, double value);  // a scalar of its dtype
Var fill(Var like, double value);         // of its type
inline Var maximum(Var a, Var b) { return apply_named("max", {a, b}); }
inline Var minimum(Var a, Var b) { return apply_named("min", {a, b}); }

// Of bools.
Var both(Var a, Var b);
Var either(Var a, Var b);
Var negated(Var a);
Var less_or_equal(Var a, Var b);

// The axes of a reduction spread again: extents 1 put back where `axes` (sorted) were taken.
Var keep_axes(Var reduced, const Shape& from, const std::vector<int64_t>& axes);
// reduce(), axes kept with extent 1.
Var reduce_kept(Var x, const std::string& monoid, const std::vector<int64_t>& axes);

Var concat(const std::vector<Var>& parts, int64_t axis);
// Extents of 1 in front (`rank` in all).
Var with_rank(Var x, int64_t rank);
Var unsqueezed(Var x, int64_t axis);
Var squeezed(Var x, int64_t axis);
// i along an axis of extent n.
Var iota(graph::Graph&, int64_t n, DType);
// [n] as a tensor of `rank` dimensions whose dimension `axis` it is.
Var along(Var x, int64_t axis, int64_t rank);
// Elements of x at `indices` along `axis`, NumPy's take: the indices' shape replaces that dimension. Negative ones
// count from the end.
Var take(Var x, Var indices, int64_t axis);
// The same with indices that are numbers, along one axis.
Var take(Var x, const std::vector<int64_t>& indices, int64_t axis);
Var wrapped(Var indices, int64_t extent);  // negative indices counted from the end
Var softmax(Var x, int64_t axis);
Var log_softmax(Var x, int64_t axis);
// NumPy's matmul: vectors, batches that broadcast.
Var product(Var a, Var b);
// The convolution that the node describes, of these operands.
Var convolution(Call&, Var x, Var weights);
// An attribute of `count` numbers, each `otherwise` if it is not given; throws `Error` for one below `least`.
std::vector<int64_t> list_of(Call&, const char* name, size_t count, int64_t otherwise, int64_t least);
// Throws `Unsupported` for a table of more elements than the importer makes.
void check_table(int64_t rows, int64_t columns);
int64_t product_of(const Shape&, size_t from, size_t to);

}  // namespace gmc::onnx
