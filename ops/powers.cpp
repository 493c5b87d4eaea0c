// Powers, logarithms to other bases, the inverse of erf. Bounds of the f32 versions: docs/numerics.md.
#include "ops/rules.h"

#include <cmath>

namespace gmc::ops {
namespace {

// erf^-1 in f64: Winitzki's approximation, then Halley steps on erf, or on erfc where 1 - |x| is exact and erf is not.
double erf_inverse(double x) {
  const double a = std::fabs(x);
  if (!(a < 1)) return a == 1 ? std::copysign(infinity, x) : std::nan("");
  constexpr double w = 0.147;
  const double t = std::log1p(-a * a), c = 2 / (3.14159265358979323846 * w) + t / 2;
  double y = std::sqrt(std::sqrt(c * c - t / w) - c);
  for (int i = 0; i < 4; ++i) {
    const double miss = a < 0.5 ? std::erf(y) - a : (1 - a) - std::erfc(y);
    const double step = miss / (1.12837916709551257390 * std::exp(-y * y));
    y -= step / (1 + y * step);
  }
  return std::copysign(y, x);
}

}  // namespace

// x^y as C's pow. Gradients at a base that is not positive: that of the exponent is 0; that of the base is y x^(y-1),
// 0 for y = 0.
const OpDef pow_op{.name = "pow",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .scalar = [](const double* x) { return std::pow(x[0], x[1]); },
                   .vjp =
                       [](Args a) {
                         const Var x = a.inputs[0], y = a.inputs[1], g = a.gradients[0], one = full_like(x, 1);
                         const Var slope = y * pow(x, select(equal(y, number(y, 0)), one, y - 1.0));
                         const Var positive = less(number(x, 0), x);
                         return Vars{g * slope,
                                     select(positive, g * a.results[0] * log(select(positive, x, one)), zeros_like(x))};
                       },
                   .simplify =
                       [](Graph& g, const Node&, Operands x) {
                         const Node& n = g.node(x[1].value);
                         if (n.op != &constant_op) return Var{};
                         if (n.number("value") == 1) return x[0];
                         return n.number("value") == 2 ? x[0] * x[0] : Var{};
                       },
                   .cost = 40,
                   .samples = [] { return within(binary_samples(), 0.3, 2.5); },
                   .bad_samples = binary_bad_samples};

const OpDef exp2_op{.name = "exp2",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::exp2(x[0]); },
                    .vjp = [](Args a) { return Vars{a.gradients[0] * a.results[0] * 0.69314718055994530942}; },
                    .cost = 12,
                    .samples = unary_samples,
                    .bad_samples = unary_bad_samples};

const OpDef log2_op{.name = "log2",
                    .category = Category::elementwise,
                    .arity = 1,
                    .infer = infer_same,
                    .scalar = [](const double* x) { return std::log2(x[0]); },
                    .vjp = [](Args a) { return Vars{a.gradients[0] * 1.44269504088896340736 / a.inputs[0]}; },
                    .cost = 14,
                    .samples = positive_samples,
                    .bad_samples = unary_bad_samples};

const OpDef log10_op{.name = "log10",
                     .category = Category::elementwise,
                     .arity = 1,
                     .infer = infer_same,
                     .scalar = [](const double* x) { return std::log10(x[0]); },
                     .vjp = [](Args a) { return Vars{a.gradients[0] * 0.43429448190325182765 / a.inputs[0]}; },
                     .cost = 16,
                     .samples = positive_samples,
                     .bad_samples = unary_bad_samples};

// +-infinity at +-1, NaN outside.
const OpDef erfinv_op{.name = "erfinv",
                      .category = Category::elementwise,
                      .arity = 1,
                      .infer = infer_same,
                      .scalar = [](const double* x) { return erf_inverse(x[0]); },
                      .vjp =
                          [](Args a) {
                            return Vars{a.gradients[0] * exp(square(a.results[0])) * 0.88622692545275801365};
                          },  // sqrt(pi) / 2
                      .cost = 24,
                      .samples = [] { return within(unary_samples(), -0.9, 0.9); },
                      .bad_samples = unary_bad_samples};

}  // namespace gmc::ops
