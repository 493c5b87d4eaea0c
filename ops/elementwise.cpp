// Elementwise primitives. Bounds of the f32 versions: docs/numerics.md.
#include "ops/elementwise.h"
#include "compiler/graph/core_ops.h"

#include <cmath>

namespace gmc::ops {

using namespace graph;
using Vars = std::vector<Var>;
using Args = const VjpArguments&;

const OpDef exp_op{.name = "exp",
                   .category = Category::elementwise,
                   .arity = 1,
                   .infer = infer_same,
                   .scalar = [](const double* x) { return std::exp(x[0]); },
                   .vjp = [](Args a) { return Vars{a.gradients[0] * a.results[0]}; },
                   .cost = 12,
                   .samples = unary_samples,
                   .bad_samples = unary_bad_samples};

const OpDef log_op{.name = "log",
                   .category = Category::elementwise,
                   .arity = 1,
                   .infer = infer_same,
                   .scalar = [](const double* x) { return std::log(x[0]); },
                   .vjp = [](Args a) { return Vars{a.gradients[0] / a.inputs[0]}; },
                   .cost = 14,
                   .samples = positive_samples,
                   .bad_samples = unary_bad_samples};

const OpDef log1p_op{.name = "log1p",
                     .category = Category::elementwise,
                     .arity = 1,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return std::log1p(x[0]); },
                     .vjp = [](Args a) { return Vars{a.gradients[0] / (a.inputs[0] + 1.0)}; },
                     .cost = 16,
                     .samples = positive_samples,
                     .bad_samples = unary_bad_samples};

const OpDef expm1_op{.name = "expm1",
                     .category = Category::elementwise,
                     .arity = 1,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return std::expm1(x[0]); },
                     .vjp = [](Args a) { return Vars{a.gradients[0] * (a.results[0] + 1.0)}; },
                     .cost = 14,
                     .samples = unary_samples,
                     .bad_samples = unary_bad_samples};

const OpDef tanh_op{.name = "tanh",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::tanh(x[0]); },
                    .vjp = [](Args a) { return Vars{a.gradients[0] * (1.0 - a.results[0] * a.results[0])}; },
                    .cost = 16,
                    .narrow = Narrow::between,
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

const OpDef sigmoid_op{
    .name = "sigmoid",
    .category = Category::elementwise,
    .arity = 1,
    .infer = infer_same,
    .scalar =
        [](const double* x) { return x[0] >= 0 ? 1 / (1 + std::exp(-x[0])) : std::exp(x[0]) / (1 + std::exp(x[0])); },
    .vjp = [](Args a) { return Vars{a.gradients[0] * a.results[0] * (1.0 - a.results[0])}; },
    .cost = 18,
    .narrow = Narrow::between,
    .samples = unary_samples,
    .bad_samples = unary_bad_samples};

const OpDef sqrt_op{.name = "sqrt",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::sqrt(x[0]); },
                    .vjp = [](Args a) { return Vars{a.gradients[0] * 0.5 / a.results[0]}; },
                    .cost = 6,
                    .samples = positive_samples,
                    .bad_samples = unary_bad_samples};

const OpDef rsqrt_op{.name = "rsqrt",
                     .category = Category::elementwise,
                     .arity = 1,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return 1 / std::sqrt(x[0]); },
                     .vjp = [](Args a) { return Vars{a.gradients[0] * -0.5 * a.results[0] / a.inputs[0]}; },
                     .cost = 8,
                     .samples = positive_samples,
                     .bad_samples = unary_bad_samples};

const OpDef erf_op{.name = "erf",
                   .category = Category::elementwise,
                   .arity = 1,
                   .infer = infer_same,
                   .scalar = [](const double* x) { return std::erf(x[0]); },
                   .vjp =
                       [](Args a) {
                         const Var density = exp(-(a.inputs[0] * a.inputs[0])) * 1.1283791670955126;  // 2 / sqrt(pi)
                         return Vars{a.gradients[0] * density};
                       },
                   .cost = 16,
                   .samples = unary_samples,
                   .bad_samples = unary_bad_samples};

// The gradient at 0 is 0.
const OpDef abs_op{.name = "abs",
                   .category = Category::elementwise,
                   .arity = 1,
                   .infer = infer_same,
                   .dtypes = numeric,
                   .scalar = [](const double* x) { return std::fabs(x[0]); },
                   .vjp = [](Args a) { return Vars{a.gradients[0] * sign(a.inputs[0])}; },
                   .samples = positive_samples,
                   .bad_samples = unary_bad_samples};

// -1, 0 or 1; NaN of NaN.
const OpDef sign_op{
    .name = "sign",
    .category = Category::elementwise,
    .arity = 1,
    .infer = infer_same,
    .dtypes = numeric,
    .scalar = [](const double* x) { return std::isnan(x[0]) ? x[0] : static_cast<double>((x[0] > 0) - (x[0] < 0)); },
    .vjp = [](Args) { return Vars(1); },
    .samples = positive_samples,
    .bad_samples = unary_bad_samples};

// The gradient goes to the larger operand, to the second of two equal ones.
const OpDef max_op{.name = "max",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .dtypes = numeric,
                   .scalar = [](const double* x) { return std::isnan(x[0]) || x[0] > x[1] ? x[0] : x[1]; },
                   .vjp =
                       [](Args a) {
                         const Var zero = constant(a.graph, 0, {a.gradients[0].type().dtype, {}}),
                                   first = less(a.inputs[1], a.inputs[0]);
                         return Vars{select(first, a.gradients[0], zero), select(first, zero, a.gradients[0])};
                       },
                   .narrow = Narrow::between,
                   .samples = binary_samples,
                   .bad_samples = binary_bad_samples};

const OpDef min_op{.name = "min",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .dtypes = numeric,
                   .scalar = [](const double* x) { return std::isnan(x[0]) || x[0] < x[1] ? x[0] : x[1]; },
                   .vjp =
                       [](Args a) {
                         const Var zero = constant(a.graph, 0, {a.gradients[0].type().dtype, {}}),
                                   first = less(a.inputs[0], a.inputs[1]);
                         return Vars{select(first, a.gradients[0], zero), select(first, zero, a.gradients[0])};
                       },
                   .narrow = Narrow::between,
                   .samples = binary_samples,
                   .bad_samples = binary_bad_samples};

}  // namespace gmc::ops
