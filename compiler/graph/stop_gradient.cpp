#include "compiler/graph/core_ops.h"

namespace gmc::graph {

// The operand, as a constant of differentiation.
const OpDef stop_gradient_op{
    .name = "stop_gradient",
    .category = Category::composite,
    .arity = 1,
    .infer = [](std::span<const TensorType> t, const Attributes&) { return std::vector<TensorType>{t[0]}; },
    .dtypes = any_dtype,
    .vjp = [](const VjpArguments&) { return std::vector<Var>(1); },
    .expand = [](Graph&, const Node&, std::span<const Var> x) { return std::vector<Var>{x[0]}; },
    .narrow = Narrow::between,
    .samples = unary_samples,
    .bad_samples =
        [] {
          return std::vector<BadSample>{{{}, {}, "expected 1 operands, got 0"},
                                        {{{f32, {2}}, {f32, {2}}}, {}, "expected 1 operands, got 2"},
                                        {{{i32, {}}, {f32, {2}}, {f32, {2}}}, {}, "expected 1 operands, got 3"}};
        }};

Var stop_gradient(Var x) { return apply(stop_gradient_op, {x}); }

}  // namespace gmc::graph
