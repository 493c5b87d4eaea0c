// The functions of the tensor language. Operands broadcast as in NumPy; numbers take the dtype of the tensors they
// meet; negative axes count from the end. A mistake throws `Error` that points at the user's call.
#pragma once

#include "compiler/dsl/location.h"

#include <source_location>
#include <string>
#include <vector>

namespace gmc {

using Axes = std::vector<int64_t>;

// Per element, floating.
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
Tensor square(At);
Tensor maximum(At, At);
Tensor minimum(At, At);

// Activations.
Tensor relu(At);
Tensor softplus(At);   // log(1 + e^x)
Tensor silu(At);       // x sigmoid(x)
Tensor gelu(At);       // x Phi(x)
Tensor gelu_tanh(At);  // the tanh form of GELU
Tensor leaky_relu(At, double slope = 0.01);
Tensor elu(At, double alpha = 1.0);

// Binary cross-entropy of logits against targets in [0, 1], per element.
Tensor bce_with_logits(At logits, At targets);

// Comparisons give bool; select takes the second operand where the condition holds, elsewhere the third.
Tensor less(At, At);
Tensor greater(At, At);
Tensor equal(At, At);
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
Tensor softmax(At, int64_t axis = -1);
Tensor log_softmax(At, int64_t axis = -1);

// One extent of `to` may be -1: the rest.
Tensor reshape(At, const Shape& to);
// Result dimension i is operand dimension perm[i]; empty: the last two are exchanged.
Tensor transpose(At, const Axes& perm = {});
Tensor broadcast_to(At, const Shape& to);
// [.., m, k] x [.., k, n] with equal leading dimensions; flags transpose the last two dimensions of an operand.
Tensor matmul(At a, At b, bool transpose_a = false, bool transpose_b = false);

// Gradients of a scalar with respect to tensors of the entry; they can be differentiated again.
std::vector<Tensor> gradients(At scalar, const std::vector<Tensor>& wrt);

// Draws, f32: functions of (seed; entry, scope and name; step; element). Names are unique in their scope.
Tensor normal(const std::string& name, const Shape&,
              std::source_location where = std::source_location::current());  // mean 0, deviation 1
Tensor uniform(const std::string& name, const Shape&,
               std::source_location where = std::source_location::current());  // [0, 1)

}  // namespace gmc
