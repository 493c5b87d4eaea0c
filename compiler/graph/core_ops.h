// The structural ops: those that autodiff and rewrites must be able to build. Functions broadcast their operands as
// NumPy does.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/graph/op.h"

#include <vector>

namespace gmc::graph {

// Monoids of `reduce`, by name: `sum` (identity 0), `max` (-inf), `min` (+inf), `prod` (1).
extern const OpDef input_op, constant_op, literal_op, index_op, add_op, sub_op, mul_op, div_op, neg_op, less_op,
    equal_op, select_op, cast_op, broadcast_op, reshape_op, transpose_op, slice_op, pad_op, windows_op, skew_op,
    gather_op, scatter_op, reduce_op, matmul_op, stop_gradient_op, loop_op, scan_op, while_op, cond_op;
// Every op above, in order.
std::vector<const OpDef*> core_ops();

// A value from outside. Role: `data`, `state` or `draw`.
Var input(Graph&, const std::string& name, const std::string& role, TensorType);
// `value` in every element.
Var constant(Graph&, double value, TensorType type = {});
// A table, in row-major order.
Var literal(Graph&, std::vector<double> values, TensorType type);
// Element i is i[axis].
Var index(Graph&, int64_t axis, TensorType type);
Var operator+(Var, Var);
Var operator-(Var, Var);
Var operator*(Var, Var);
Var operator/(Var, Var);
Var operator-(Var);
Var operator+(Var, double);
Var operator-(Var, double);
Var operator-(double, Var);
Var operator*(Var, double);
Var operator*(double, Var);
Var operator/(Var, double);
// bool
Var less(Var, Var);
Var equal(Var, Var);
// where `condition` holds the first, elsewhere the second.
Var select(Var condition, Var, Var);
Var cast(Var, DType);
// The same values; no gradient flows back.
Var stop_gradient(Var);
// `dims[i]`: the dimension of the result that dimension i of the operand becomes; increasing. Extents must be equal
// or 1.
Var broadcast(Var, const Shape& to, std::vector<int64_t> dims);
// As NumPy aligns shapes: from the last dimension on.
Var broadcast_to(Var, const Shape& to);
Var reshape(Var, const Shape& to);
Var transpose(Var, std::vector<int64_t> perm);
// result[i] = x[start + i * step], per dimension; everything must lie inside.
Var slice(Var, std::vector<int64_t> start, std::vector<int64_t> step, const Shape& size);
// From `begin` to before `end` along one axis.
Var slice(Var, int64_t axis, int64_t begin, int64_t end, int64_t step = 1);
Var flip(Var, const std::vector<int64_t>& axes);
// `low` elements of `value` in front and `high` behind, per dimension; negative numbers cut elements off.
Var pad(Var, std::vector<int64_t> low, std::vector<int64_t> high, double value = 0);
// step - 1 zeros between neighbours along an axis.
Var dilate(Var, int64_t axis, int64_t step);
// Sliding windows along `axes`: their number replaces the extent, their size follows behind all dimensions.
Var windows(Var, std::vector<int64_t> axes, std::vector<int64_t> size, std::vector<int64_t> step,
            std::vector<int64_t> low, std::vector<int64_t> high, std::vector<int64_t> dilation, double value = 0);
// What windows' transpose sums over `kernels`; see skew_op.
Var skew(Var, std::vector<int64_t> axes, std::vector<int64_t> kernels, std::vector<int64_t> low,
         std::vector<int64_t> dilation, std::vector<int64_t> extents);
// Elements of x: along axes[j] at indices[j] (i32 or i64, of the result's shape; clamped), along each other dimension d
// at the index along dims[d] of the result.
Var gather(Var x, const std::vector<Var>& indices, std::vector<int64_t> axes, std::vector<int64_t> dims);
// x with `updates` combined into the places that gather would read; `mode`: set (the last wins), add, mul, max, min.
Var scatter(Var x, Var updates, const std::vector<Var>& indices, std::vector<int64_t> axes, std::vector<int64_t> dims,
            const std::string& mode);
// Over `axes` (sorted), which disappear; over all when empty.
Var reduce(Var, const std::string& monoid, std::vector<int64_t> axes = {});
Var sum(Var, std::vector<int64_t> axes = {});
// [.., m, k] x [.., k, n] with equal leading dimensions; flags transpose the last two of an operand.
Var matmul(Var, Var, bool transpose_a = false, bool transpose_b = false);

// The shape that operands broadcast to; throws `Error`.
Shape broadcast_shape(const Shape&, const Shape&);
// A node of any op on operands that already fit.
Var apply(const OpDef&, std::vector<Var> operands, Attributes = {});
// The same after broadcasting the operands together.
Var apply_elementwise(const OpDef&, std::vector<Var> operands, Attributes = {});

// Rules shared by many ops.
std::vector<TensorType> infer_same(std::span<const TensorType>,
                                   const Attributes&);  // all operands and the result of one type, floating
std::vector<TensorType> infer_compare(std::span<const TensorType>,
                                      const Attributes&);  // operands of one type, result bool
std::vector<Sample> unary_samples();
std::vector<Sample> positive_samples();
std::vector<Sample> binary_samples();
std::vector<BadSample> unary_bad_samples();
std::vector<BadSample> binary_bad_samples();

}  // namespace gmc::graph
