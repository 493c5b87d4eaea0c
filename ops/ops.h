// The functions of the tensor language. Operands broadcast as in NumPy; numbers take the dtype of the tensors they
// meet; negative axes count from the end. A mistake throws `Error` that points at the user's call.
#pragma once

#include "compiler/dsl/location.h"
#include "ops/layers.h"
#include "ops/shapes.h"

#include <source_location>
#include <string>
#include <vector>

namespace gmc {

// Per element, floating. Angles are in radians.
Tensor exp(At);
Tensor log(At);
Tensor log1p(At);
Tensor expm1(At);
Tensor tanh(At);
Tensor sigmoid(At);
Tensor sqrt(At);
Tensor rsqrt(At);
Tensor erf(At);
Tensor abs(At);   // gradient at 0: 0
Tensor sign(At);  // -1, 0, 1; gradient 0
Tensor sin(At);
Tensor cos(At);
Tensor tan(At);
Tensor asin(At);
Tensor acos(At);
Tensor atan(At);
Tensor atan2(At y, At x);
Tensor sinh(At);
Tensor cosh(At);
Tensor asinh(At);
Tensor acosh(At);
Tensor atanh(At);
Tensor pow(At base, At exponent);
Tensor exp2(At);
Tensor log2(At);
Tensor log10(At);
Tensor erfc(At);
Tensor erfinv(At);
Tensor square(At);
Tensor reciprocal(At);
Tensor maximum(At, At);
Tensor minimum(At, At);
Tensor log_add_exp(At, At);                 // log(e^a + e^b)
Tensor clamp(At, double low, double high);  // the gradient passes from low to high, both included

// Whole numbers; gradient 0, but for the remainders' first operand.
Tensor floor(At);
Tensor ceil(At);
Tensor trunc(At);
Tensor round(At);             // to nearest, ties to even
Tensor fmod(At, At);          // with the dividend's sign
Tensor mod(At, At);           // with the divisor's sign
Tensor floor_divide(At, At);  // integers: by 0 it is 0

// Bits of integers and bools; shifts of integers, to the right keeping the sign.
Tensor bit_and(At, At);
Tensor bit_or(At, At);
Tensor bit_xor(At, At);
Tensor shift_left(At, At);
Tensor shift_right(At, At);

// Activations.
Tensor relu(At);
Tensor softplus(At);   // log(1 + e^x)
Tensor silu(At);       // x sigmoid(x)
Tensor gelu(At);       // x Phi(x)
Tensor gelu_tanh(At);  // the tanh form of GELU
Tensor relu6(At);      // min(max(x, 0), 6)
Tensor leaky_relu(At, double slope = 0.01);
Tensor prelu(At x, At slope);  // a slope per element or whatever broadcasts
Tensor elu(At, double alpha = 1.0);
Tensor celu(At, double alpha = 1.0);
Tensor selu(At);
Tensor mish(At);                                                     // x tanh(softplus(x))
Tensor softsign(At);                                                 // x / (1 + |x|)
Tensor log_sigmoid(At);                                              // log(sigmoid(x))
Tensor hard_sigmoid(At, double alpha = 1.0 / 6, double beta = 0.5);  // min(max(alpha x + beta, 0), 1)
Tensor hard_swish(At);                                               // x hard_sigmoid(x)
Tensor hard_tanh(At, double low = -1, double high = 1);              // clamp
Tensor threshold(At, double at, double value);                       // x above `at`, elsewhere `value`
Tensor soft_shrink(At, double lambda = 0.5);                         // towards 0 by lambda, 0 within it

// Binary cross-entropy of logits against targets in [0, 1], per element.
Tensor bce_with_logits(At logits, At targets);

// Comparisons give bool; with NaN all are false but not_equal. select takes the second operand where the condition
// holds, elsewhere the third. Logic takes bools, or numbers as whether they are not 0.
Tensor less(At, At);
Tensor less_equal(At, At);
Tensor greater(At, At);
Tensor greater_equal(At, At);
Tensor equal(At, At);
Tensor not_equal(At, At);
Tensor is_nan(At);
Tensor is_inf(At);
Tensor logical_and(At, At);
Tensor logical_or(At, At);
Tensor logical_xor(At, At);
Tensor logical_not(At);
Tensor select(At condition, At, At);
Tensor where(At condition, At, At);  // the same
Tensor cast(At, DType);
// The same values; no gradient flows back.
Tensor stop_gradient(At);

// Over `axes` (all if empty), which disappear unless kept with extent 1. A maximum's gradient is shared by all elements
// that attain it.
Tensor sum(At, const Axes& axes = {}, bool keep = false);
Tensor mean(At, const Axes& axes = {}, bool keep = false);
Tensor max(At, const Axes& axes = {}, bool keep = false);
Tensor min(At, const Axes& axes = {}, bool keep = false);
// The product; its gradient is right where elements are 0.
Tensor prod(At, const Axes& axes = {}, bool keep = false);
// Squares about the mean over count - correction; the deviation is its root.
Tensor variance(At, const Axes& axes = {}, double correction = 1, bool keep = false);
Tensor standard_deviation(At, const Axes& axes = {}, double correction = 1, bool keep = false);
Tensor sum_square(At, const Axes& axes = {}, bool keep = false);
// Norms; their gradient at 0 is 0.
Tensor norm_l1(At, const Axes& axes = {}, bool keep = false);
Tensor norm_l2(At, const Axes& axes = {}, bool keep = false);
Tensor logsumexp(At, const Axes& axes = {}, bool keep = false);
// bool, bool, i64
Tensor any(At, const Axes& axes = {}, bool keep = false);
Tensor all(At, const Axes& axes = {}, bool keep = false);
Tensor count_nonzero(At, const Axes& axes = {}, bool keep = false);
// i64: the first index of the extreme along an axis, which disappears; NaN is more extreme than any number.
Tensor argmax(At, int64_t axis = -1);
Tensor argmin(At, int64_t axis = -1);
Tensor softmax(At, int64_t axis = -1);
Tensor log_softmax(At, int64_t axis = -1);
// Over several axes at once.
Tensor softmax(At, const Axes& axes);
Tensor log_softmax(At, const Axes& axes);

// One extent of `to` may be -1: the rest.
Tensor reshape(At, const Shape& to);
// Result dimension i is operand dimension perm[i]; empty: the last two are exchanged.
Tensor transpose(At, const Axes& perm = {});
Tensor broadcast_to(At, const Shape& to);
// [.., m, k] x [.., k, n]; leading dimensions broadcast; a vector is a row on the left, a column on the right, and
// leaves no dimension. Flags transpose the last two dimensions of an operand.
Tensor matmul(At a, At b, bool transpose_a = false, bool transpose_b = false);

// Running sums, products and extremes along an axis: element k over elements 0..k; `exclusive`: over those before k;
// `reverse`: from the end. f32 accumulates in f64. The gradient of a product is right where elements are 0, that of an
// extreme goes to the last element that attains it.
Tensor cumsum(At, int64_t axis = -1, bool exclusive = false, bool reverse = false);
Tensor cumprod(At, int64_t axis = -1, bool exclusive = false, bool reverse = false);
Tensor cummax(At, int64_t axis = -1, bool reverse = false);
Tensor cummin(At, int64_t axis = -1, bool reverse = false);
Tensor logcumsumexp(At, int64_t axis = -1, bool reverse = false);
// h[k] = a[k] h[k - 1] + b[k] along an axis, h[0] = b[0].
Tensor linear_scan(At a, At b, int64_t axis = -1, bool reverse = false);
// Order along an axis; equal elements stay as they were, NaN comes last. `indices` (i64): where each element comes
// from.
struct Ordered {
  Tensor values, indices;
};
Ordered sort(At, int64_t axis = -1, bool descending = false);
Tensor argsort(At, int64_t axis = -1, bool descending = false);
// The k largest elements, the largest first; or the smallest, the smallest first.
Ordered top_k(At, int64_t k, int64_t axis = -1, bool smallest = false);
// x with `updates` brought to places along an axis: update [i, j] of axis 0 into x[indices[i, j], j]. Indices (i32 or
// i64) have the updates' shape, are at most as far as x along the other axes and are clamped. scatter: the last update
// of a place wins; the others combine them with what is there.
Tensor scatter(At x, At indices, At updates, int64_t axis = 0);
Tensor scatter_add(At x, At indices, At updates, int64_t axis = 0);
Tensor scatter_mul(At x, At indices, At updates, int64_t axis = 0);
Tensor scatter_max(At x, At indices, At updates, int64_t axis = 0);
Tensor scatter_min(At x, At indices, At updates, int64_t axis = 0);

// Matrices, f32 or f64, batched over leading dimensions; factorisations are computed in f64. Where a matrix is singular
// (or, for cholesky, not positive definite) results hold infinities or NaN.
// T X = B: T the lower or upper triangle of a, or its transpose; `unit`: with ones on the diagonal.
Tensor solve_triangular(At a, At b, bool upper = false, bool transposed = false, bool unit = false);
Tensor solve(At a, At b);  // A X = B
Tensor inverse(At);
// A = L L^T; reads the lower triangle, and its gradient lies there.
Tensor cholesky(At);
// P A = L U. packed: L below the diagonal, whose own is 1, and U; rows (i64): the row of A that is row i of P A; sign:
// det P.
struct LuFactors {
  Tensor packed, rows, sign;
};
LuFactors lu(At);
// A = Q R of [.., m, n], m >= n: Q [.., m, n], R [.., n, n] with a diagonal that is not negative.
struct QrFactors {
  Tensor q, r;
};
QrFactors qr(At);
// det A = sign e^log_abs; singular: 0 and -inf.
struct SignLogDet {
  Tensor sign, log_abs;
};
SignLogDet slogdet(At);

// Gradients of a scalar with respect to tensors of the entry; they can be differentiated again.
std::vector<Tensor> gradients(At scalar, const std::vector<Tensor>& wrt);

// Draws, f32: functions of (seed; entry, scope and name; step; element). Names are unique in their scope.
Tensor normal(const std::string& name, const Shape&,
              std::source_location where = std::source_location::current());  // mean 0, deviation 1
Tensor uniform(const std::string& name, const Shape&,
               std::source_location where = std::source_location::current());  // [0, 1)

}  // namespace gmc
