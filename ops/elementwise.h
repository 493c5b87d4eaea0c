// The elementwise ops on graph values, for writing gradients and composites as algebra.
#pragma once

#include "compiler/graph/core_ops.h"
#include "ops/op_list.h"

namespace gmc::ops {

inline graph::Var exp(graph::Var x) { return graph::apply(exp_op, {x}); }
inline graph::Var sigmoid(graph::Var x) { return graph::apply(sigmoid_op, {x}); }
inline graph::Var softplus(graph::Var x) { return graph::apply(softplus_op, {x}); }
inline graph::Var erf(graph::Var x) { return graph::apply(erf_op, {x}); }
inline graph::Var sign(graph::Var x) { return graph::apply(sign_op, {x}); }
inline graph::Var max(graph::Var a, graph::Var b) { return graph::apply_elementwise(max_op, {a, b}); }

}  // namespace gmc::ops
