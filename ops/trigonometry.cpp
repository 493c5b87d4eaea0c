// Trigonometric and hyperbolic functions, angles in radians. Bounds of the f32 versions: docs/numerics.md.
#include "ops/rules.h"

#include <cmath>

namespace gmc::ops {
namespace {

std::vector<Sample> unit_samples() { return within(unary_samples(), -0.9, 0.9); }
std::vector<Sample> above_one_samples() { return within(unary_samples(), 1.2, 4); }
std::vector<Sample> quadrant_samples() { return within(binary_samples(), 0.3, 3); }
// (1 - x)(1 + x): no cancellation near 1.
Var one_minus_square(Var x) { return (1.0 - x) * (x + 1.0); }

}  // namespace

const OpDef sin_op{.name = "sin",
                   .category = Category::elementwise,
                   .arity = 1,
                   .infer = infer_same,
                   .scalar = [](const double* x) { return std::sin(x[0]); },
                   .vjp = [](Args a) { return Vars{a.gradients[0] * cos(a.inputs[0])}; },
                   .cost = 16,
                   .samples = unary_samples,
                   .bad_samples = unary_bad_samples};

const OpDef cos_op{.name = "cos",
                   .category = Category::elementwise,
                   .arity = 1,
                   .infer = infer_same,
                   .scalar = [](const double* x) { return std::cos(x[0]); },
                   .vjp = [](Args a) { return Vars{-(a.gradients[0] * sin(a.inputs[0]))}; },
                   .cost = 16,
                   .samples = unary_samples,
                   .bad_samples = unary_bad_samples};

const OpDef tan_op{.name = "tan",
                   .category = Category::elementwise,
                   .arity = 1,
                   .infer = infer_same,
                   .scalar = [](const double* x) { return std::tan(x[0]); },
                   .vjp = [](Args a) { return Vars{a.gradients[0] * (square(a.results[0]) + 1.0)}; },
                   .cost = 30,
                   .samples = unit_samples,
                   .bad_samples = unary_bad_samples};

const OpDef asin_op{.name = "asin",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::asin(x[0]); },
                    .vjp = [](Args a) { return Vars{a.gradients[0] * rsqrt(one_minus_square(a.inputs[0]))}; },
                    .cost = 20,
                    .samples = unit_samples,
                    .bad_samples = unary_bad_samples};

const OpDef acos_op{.name = "acos",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::acos(x[0]); },
                    .vjp = [](Args a) { return Vars{-(a.gradients[0] * rsqrt(one_minus_square(a.inputs[0])))}; },
                    .cost = 20,
                    .samples = unit_samples,
                    .bad_samples = unary_bad_samples};

const OpDef atan_op{.name = "atan",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::atan(x[0]); },
                    .vjp = [](Args a) { return Vars{a.gradients[0] / (square(a.inputs[0]) + 1.0)}; },
                    .cost = 20,
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

// The angle of the point (second operand, first operand), in [-pi, pi].
const OpDef atan2_op{.name = "atan2",
                     .category = Category::elementwise,
                     .arity = 2,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return std::atan2(x[0], x[1]); },
                     .vjp =
                         [](Args a) {
                           const Var y = a.inputs[0], x = a.inputs[1];
                           const Var over = a.gradients[0] / (square(x) + square(y));
                           return Vars{over * x, -(over * y)};
                         },
                     .cost = 30,
                     .samples = quadrant_samples,
                     .bad_samples = binary_bad_samples};

const OpDef sinh_op{.name = "sinh",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::sinh(x[0]); },
                    .vjp = [](Args a) { return Vars{a.gradients[0] * apply(cosh_op, {a.inputs[0]})}; },
                    .cost = 20,
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

const OpDef cosh_op{.name = "cosh",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::cosh(x[0]); },
                    .vjp = [](Args a) { return Vars{a.gradients[0] * apply(sinh_op, {a.inputs[0]})}; },
                    .cost = 20,
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

const OpDef asinh_op{.name = "asinh",
                     .category = Category::elementwise,
                     .arity = 1,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return std::asinh(x[0]); },
                     .vjp = [](Args a) { return Vars{a.gradients[0] * rsqrt(square(a.inputs[0]) + 1.0)}; },
                     .cost = 30,
                     .samples = unary_samples,
                     .bad_samples = unary_bad_samples};

const OpDef acosh_op{
    .name = "acosh",
    .category = Category::elementwise,
    .arity = 1,
    .infer = infer_same,
    .scalar = [](const double* x) { return std::acosh(x[0]); },
    .vjp = [](Args a) { return Vars{a.gradients[0] * rsqrt((a.inputs[0] - 1.0) * (a.inputs[0] + 1.0))}; },
    .cost = 30,
    .samples = above_one_samples,
    .bad_samples = unary_bad_samples};

const OpDef atanh_op{.name = "atanh",
                     .category = Category::elementwise,
                     .arity = 1,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return std::atanh(x[0]); },
                     .vjp = [](Args a) { return Vars{a.gradients[0] / one_minus_square(a.inputs[0])}; },
                     .cost = 20,
                     .samples = unit_samples,
                     .bad_samples = unary_bad_samples};

}  // namespace gmc::ops
