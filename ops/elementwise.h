// The elementwise ops on graph values, for writing gradients and composites as algebra.
#pragma once

#include "compiler/graph/core_ops.h"
#include "ops/op_list.h"

namespace gmc::ops {

inline graph::Var exp(graph::Var x) { return graph::apply(exp_op, {x}); }
inline graph::Var expm1(graph::Var x) { return graph::apply(expm1_op, {x}); }
inline graph::Var log(graph::Var x) { return graph::apply(log_op, {x}); }
inline graph::Var log1p(graph::Var x) { return graph::apply(log1p_op, {x}); }
inline graph::Var sqrt(graph::Var x) { return graph::apply(sqrt_op, {x}); }
inline graph::Var rsqrt(graph::Var x) { return graph::apply(rsqrt_op, {x}); }
inline graph::Var abs(graph::Var x) { return graph::apply(abs_op, {x}); }
inline graph::Var tanh(graph::Var x) { return graph::apply(tanh_op, {x}); }
inline graph::Var sigmoid(graph::Var x) { return graph::apply(sigmoid_op, {x}); }
inline graph::Var softplus(graph::Var x) { return graph::apply(softplus_op, {x}); }
inline graph::Var erf(graph::Var x) { return graph::apply(erf_op, {x}); }
inline graph::Var sign(graph::Var x) { return graph::apply(sign_op, {x}); }
inline graph::Var sin(graph::Var x) { return graph::apply(sin_op, {x}); }
inline graph::Var cos(graph::Var x) { return graph::apply(cos_op, {x}); }
inline graph::Var floor(graph::Var x) { return graph::apply(floor_op, {x}); }
inline graph::Var pow(graph::Var a, graph::Var b) { return graph::apply_elementwise(pow_op, {a, b}); }
inline graph::Var max(graph::Var a, graph::Var b) { return graph::apply_elementwise(max_op, {a, b}); }
inline graph::Var min(graph::Var a, graph::Var b) { return graph::apply_elementwise(min_op, {a, b}); }
inline graph::Var bit_and(graph::Var a, graph::Var b) { return graph::apply_elementwise(bit_and_op, {a, b}); }
inline graph::Var bit_or(graph::Var a, graph::Var b) { return graph::apply_elementwise(bit_or_op, {a, b}); }
inline graph::Var square(graph::Var x) { return x * x; }
// bool
inline graph::Var less_equal(graph::Var a, graph::Var b) { return bit_or(less(a, b), equal(a, b)); }

}  // namespace gmc::ops
