// The elementwise ops on graph values, for writing gradients and composites as algebra.
#pragma once

#include "compiler/graph/core_ops.h"

namespace gmc::ops {

extern const graph::OpDef exp_op, log_op, log1p_op, expm1_op, tanh_op, sigmoid_op, sqrt_op, rsqrt_op, erf_op, abs_op,
    sign_op, max_op, min_op, softplus_op, relu_op, silu_op, gelu_op, gelu_tanh_op, bce_with_logits_op, softmax_op,
    log_softmax_op, random_op;

inline graph::Var exp(graph::Var x) { return graph::apply(exp_op, {x}); }
inline graph::Var sigmoid(graph::Var x) { return graph::apply(sigmoid_op, {x}); }
inline graph::Var softplus(graph::Var x) { return graph::apply(softplus_op, {x}); }
inline graph::Var erf(graph::Var x) { return graph::apply(erf_op, {x}); }
inline graph::Var sign(graph::Var x) { return graph::apply(sign_op, {x}); }
inline graph::Var max(graph::Var a, graph::Var b) { return graph::apply_elementwise(max_op, {a, b}); }

}  // namespace gmc::ops
