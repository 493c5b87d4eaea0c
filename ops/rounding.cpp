// Rounding to whole numbers and remainders.
#include "ops/rules.h"

#include <cmath>

namespace gmc::ops {
namespace {

// Steps: the gradient is 0.
Vars no_gradient(Args a) { return Vars(a.inputs.size()); }

// x - y * whole: d/dx is 1, d/dy is -whole.
Vars remainder_gradient(Args a, const OpDef& whole) {
  const Var quotient = apply(whole, {a.inputs[0] / a.inputs[1]});
  return {a.gradients[0], -(a.gradients[0] * quotient)};
}

std::vector<Sample> remainder_samples() { return within(binary_samples(), 0.4, 5); }

}  // namespace

const OpDef floor_op{.name = "floor",
                     .category = Category::elementwise,
                     .arity = 1,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return std::floor(x[0]); },
                     .vjp = no_gradient,
                     .samples = unary_samples,
                     .bad_samples = unary_bad_samples};

const OpDef ceil_op{.name = "ceil",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::ceil(x[0]); },
                    .vjp = no_gradient,
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

// Toward zero.
const OpDef trunc_op{.name = "trunc",
                     .category = Category::elementwise,
                     .arity = 1,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return std::trunc(x[0]); },
                     .vjp = no_gradient,
                     .samples = unary_samples,
                     .bad_samples = unary_bad_samples};

// To nearest, ties to even.
const OpDef round_op{.name = "round",
                     .category = Category::elementwise,
                     .arity = 1,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return std::nearbyint(x[0]); },
                     .vjp = no_gradient,
                     .samples = unary_samples,
                     .bad_samples = unary_bad_samples};

// The remainder with the dividend's sign, x - y trunc(x / y); of integers by 0 it is 0.
const OpDef fmod_op{.name = "fmod",
                    .category = Category::elementwise,
                    .arity = 2,
                    .infer = infer_same,
                    .dtypes = numeric,
                    .scalar = [](const double* x) { return std::fmod(x[0], x[1]); },
                    .vjp = [](Args a) { return remainder_gradient(a, trunc_op); },
                    .cost = 10,
                    .samples = remainder_samples,
                    .bad_samples = binary_bad_samples};

// The remainder with the divisor's sign, x - y floor(x / y); of integers by 0 it is 0.
const OpDef mod_op{.name = "mod",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .dtypes = numeric,
                   .scalar =
                       [](const double* x) {
                         const double rest = std::fmod(x[0], x[1]);
                         if (rest == 0) return std::copysign(rest, x[1]);
                         return (rest < 0) != (x[1] < 0) ? rest + x[1] : rest;
                       },
                   .vjp = [](Args a) { return remainder_gradient(a, floor_op); },
                   .cost = 10,
                   .samples = remainder_samples,
                   .bad_samples = binary_bad_samples};

}  // namespace gmc::ops
