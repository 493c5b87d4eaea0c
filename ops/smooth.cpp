// Smooth activations and arithmetic of a few ops: composites.
#include "ops/rules.h"

namespace gmc::ops {
namespace {

std::vector<Sample> divided_samples() { return within(binary_samples(), 0.6, 5); }

// a - b, 0 for equal infinities.
Var difference(Var a, Var b) {
  const Var same = bit_and(equal(a, b), equal(abs(a), number(a, infinity)));
  return select(same, number(a, 0), a - b);
}

}  // namespace

const OpDef square_op{.name = "square",
                      .category = Category::composite,
                      .arity = 1,
                      .infer = infer_same,
                      .dtypes = numeric,
                      .expand = [](Graph&, const Node&, Operands x) { return Vars{x[0] * x[0]}; },
                      .narrow = Narrow::between,
                      .samples = unary_samples,
                      .bad_samples = unary_bad_samples};

const OpDef reciprocal_op{.name = "reciprocal",
                          .category = Category::composite,
                          .arity = 1,
                          .infer = infer_same,
                          .expand = [](Graph&, const Node&, Operands x) { return Vars{number(x[0], 1) / x[0]}; },
                          .samples = [] { return within(unary_samples(), 0.4, 4); },
                          .bad_samples = unary_bad_samples};

// floor(x / y), of integers exactly; an integer by 0 is 0. The gradient is 0.
const OpDef floor_divide_op{.name = "floor_divide",
                            .category = Category::composite,
                            .arity = 2,
                            .infer = infer_same,
                            .dtypes = numeric,
                            .vjp = [](Args) { return Vars(2); },
                            .expand =
                                [](Graph&, const Node&, Operands x) {
                                  if (is_float(x[0].type().dtype)) return Vars{floor(x[0] / x[1])};
                                  // Rounded towards 0, then down where a rest of the other sign is left.
                                  const Var rest = apply(fmod_op, {x[0], x[1]}), below = less(x[1], number(x[1], 0));
                                  const Var zero = zeros_like(x[0]), one = full_like(x[0], 1);
                                  const Var apart =
                                      select(less(rest, zero), select(below, zero, one), select(below, one, zero));
                                  return Vars{x[0] / x[1] - select(equal(rest, zero), zero, apart)};
                                },
                            .samples = divided_samples,
                            .bad_samples = binary_bad_samples};

// 1 - erf(x), as exact as that difference: its error is that of erf near 1, not relative to the result.
const OpDef erfc_op{.name = "erfc",
                    .category = Category::composite,
                    .arity = 1,
                    .infer = infer_same,
                    .expand = [](Graph&, const Node&, Operands x) { return Vars{1.0 - erf(x[0])}; },
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

// log(e^a + e^b), which neither overflows nor loses the smaller one; two equal infinities give that infinity.
const OpDef log_add_exp_op{
    .name = "log_add_exp",
    .category = Category::composite,
    .arity = 2,
    .infer = infer_same,
    .vjp =
        [](Args a) {
          const Var d = difference(a.inputs[0], a.inputs[1]);
          return Vars{a.gradients[0] * sigmoid(d), a.gradients[0] * sigmoid(-d)};
        },
    .expand = [](Graph&, const Node&,
                 Operands x) { return Vars{max(x[0], x[1]) + log1p(exp(-abs(difference(x[0], x[1]))))}; },
    .samples = binary_samples,
    .bad_samples = binary_bad_samples};

// log of the logistic function: -log(1 + e^-x).
const OpDef log_sigmoid_op{.name = "log_sigmoid",
                           .category = Category::composite,
                           .arity = 1,
                           .infer = infer_same,
                           .vjp = [](Args a) { return Vars{a.gradients[0] * sigmoid(-a.inputs[0])}; },
                           .expand = [](Graph&, const Node&, Operands x) { return Vars{-softplus(-x[0])}; },
                           .narrow = Narrow::between,
                           .samples = unary_samples,
                           .bad_samples = unary_bad_samples};

// x tanh(log(1 + e^x)) (Misra 2020).
const OpDef mish_op{.name = "mish",
                    .category = Category::composite,
                    .arity = 1,
                    .infer = infer_same,
                    .expand = [](Graph&, const Node&, Operands x) { return Vars{x[0] * tanh(softplus(x[0]))}; },
                    .narrow = Narrow::between,
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

// x / (1 + |x|).
const OpDef softsign_op{.name = "softsign",
                        .category = Category::composite,
                        .arity = 1,
                        .infer = infer_same,
                        .vjp = [](Args a) { return Vars{a.gradients[0] / square(abs(a.inputs[0]) + 1.0)}; },
                        .expand = [](Graph&, const Node&, Operands x) { return Vars{x[0] / (abs(x[0]) + 1.0)}; },
                        .samples = unary_samples,
                        .bad_samples = unary_bad_samples};

}  // namespace gmc::ops
