// Activations and losses: composites with a name of their own, so that gradients and kernels can treat them as one
// thing.
#include "compiler/graph/core_ops.h"
#include "ops/elementwise.h"

#include <cmath>

namespace gmc::ops {

using namespace graph;
using Vars = std::vector<Var>;
using Operands = std::span<const Var>;
using Args = const VjpArguments&;

namespace {
Var zero_like(Var x) { return broadcast_to(constant(*x.graph, 0, {x.type().dtype, {}}), x.shape()); }
}  // namespace

// max(x, 0); its gradient at 0 is 0.
const OpDef relu_op{
    .name = "relu",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_same,
    .vjp =
        [](Args a) {
          return Vars{select(less(zero_like(a.results[0]), a.results[0]), a.gradients[0], zero_like(a.results[0]))};
        },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{max(x[0], zero_like(x[0]))}; },
    .narrow = Narrow::between,
    .samples = positive_samples,
    .bad_samples = unary_bad_samples};

// log(1 + e^x), in the form that neither overflows nor cancels: one kernel function, within 2 ULP.
const OpDef softplus_op{
    .name = "softplus",
    .category = Category::elementwise,
    .arity = 1,
    .infer = infer_same,
    .scalar = [](const double* x) { return std::fmax(x[0], 0) + std::log1p(std::exp(-std::fabs(x[0]))); },
    .vjp = [](Args a) { return Vars{a.gradients[0] * sigmoid(a.inputs[0])}; },
    .cost = 30,
    .narrow = Narrow::between,
    .samples = unary_samples,
    .bad_samples = unary_bad_samples};

// x sigmoid(x).
const OpDef silu_op{.name = "silu",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar =
                        [](const double* x) {
                          if (std::isinf(x[0])) return x[0] > 0 ? x[0] : -0.0;  // the limits
                          const double e = std::exp(-std::fabs(x[0]));
                          return x[0] >= 0 ? x[0] / (1 + e) : x[0] * e / (1 + e);
                        },
                    .vjp =
                        [](Args a) {
                          const Var s = sigmoid(a.inputs[0]);
                          return Vars{a.gradients[0] * (s + a.inputs[0] * s * (1.0 - s))};
                        },
                    .cost = 20,
                    .narrow = Narrow::between,
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

// x Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016).
const OpDef gelu_op{.name = "gelu",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar =
                        [](const double* x) {
                          if (std::isinf(x[0])) return x[0] > 0 ? x[0] : -0.0;
                          return 0.5 * x[0] * std::erfc(-x[0] * 0.70710678118654752440);
                        },
                    .vjp =
                        [](Args a) {
                          const Var x = a.inputs[0];
                          const Var cdf = 0.5 * (erf(x * 0.70710678118654752440) + 1.0);
                          const Var pdf = exp(-0.5 * (x * x)) * 0.39894228040143267794;
                          return Vars{a.gradients[0] * (cdf + x * pdf)};
                        },
                    .cost = 20,
                    .narrow = Narrow::between,
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

// The tanh form of GELU: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
const OpDef gelu_tanh_op{.name = "gelu_tanh",
                         .category = Category::elementwise,
                         .arity = 1,
                         .infer = infer_same,
                         .scalar =
                             [](const double* x) {
                               if (std::isinf(x[0])) return x[0] > 0 ? x[0] : -0.0;
                               const double u = 0.79788456080286535588 * (x[0] + 0.044715 * x[0] * x[0] * x[0]);
                               return x[0] / (1 + std::exp(-2 * u));  // (1 + tanh u) / 2 is the logistic of 2 u
                             },
                         .vjp =
                             [](Args a) {
                               const Var x = a.inputs[0], x2 = x * x;
                               const Var s = sigmoid(1.59576912160573071176 * (x + 0.044715 * (x * x2)));
                               const Var slope = 1.59576912160573071176 * (3 * 0.044715 * x2 + 1.0);
                               return Vars{a.gradients[0] * (s + x * s * (1.0 - s) * slope)};
                             },
                         .cost = 24,
                         .narrow = Narrow::between,
                         .samples = unary_samples,
                         .bad_samples = unary_bad_samples};

// Binary cross-entropy of a logit x against a target t in [0, 1], per element: max(x, 0) - x t + log(1 + e^-|x|).
const OpDef bce_with_logits_op{.name = "bce_with_logits",
                               .category = Category::composite,
                               .arity = 2,
                               .infer = infer_same,
                               .vjp =
                                   [](Args a) {
                                     return Vars{a.gradients[0] * (sigmoid(a.inputs[0]) - a.inputs[1]),
                                                 -(a.gradients[0] * a.inputs[0])};
                                   },
                               .expand =
                                   [](Graph&, const Node&, Operands x) {
                                     // A loss far below 1 is not lost beside the logit.
                                     return Vars{apply(relu_op, {x[0]}) - x[0] * x[1] + softplus(-abs(x[0]))};
                                   },
                               .samples = binary_samples,
                               .bad_samples = binary_bad_samples};

}  // namespace gmc::ops
