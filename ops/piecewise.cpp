// Activations with kinks: composites of comparisons and arithmetic. Unless said otherwise, the gradient at a kink is
// that of the side which holds it: at 0, that of x > 0.
#include "ops/call.h"
#include "ops/rules.h"

namespace gmc::ops {
namespace {

Results infer_with(Types t, const Attributes& a, std::initializer_list<const char*> keys) {
  for (const char* key : keys) get<double>(a, key);
  return infer_same(t, a);
}

std::vector<BadSample> bad_with(const Attributes& attributes, const char* missing) {
  return joined(bad_with_attributes(unary_bad_samples(), attributes), {{{{f32, {2}}}, {}, missing}});
}

Var between(Var x, double low, double high) { return min(max(x, number(x, low)), number(x, high)); }

// scale * (e^(x / width) - 1) where x is negative; the untaken side stays finite, so that its gradient is 0, not NaN.
Var exponential_below(Var x, double scale, double width) {
  const Var zero = number(x, 0), below = min(x, zero);
  return select(less(x, zero), expm1(width == 1 ? below : below / width) * scale, x);
}

constexpr double selu_scale = 1.0507009873554804934193349852946, selu_alpha = 1.6732632423543772848170429916717;

}  // namespace

// min(max(x, low), high); NaN stays. The gradient passes from low to high, both included.
const OpDef clamp_op{
    .name = "clamp",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      infer_with(t, a, {"low", "high"});
      if (get<double>(a, "low") > get<double>(a, "high"))
        fail("the interval from {} to {} is empty", get<double>(a, "low"), get<double>(a, "high"));
      return {t[0]};
    },
    .dtypes = numeric,
    .vjp =
        [](Args a) {
          const Var x = a.inputs[0], low = number(x, a.node.number("low")), high = number(x, a.node.number("high"));
          const Var inside = bit_and(less_equal(low, x), less_equal(x, high));
          return Vars{select(inside, a.gradients[0], number(a.gradients[0], 0))};
        },
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{between(x[0], n.number("low"), n.number("high"))}; },
    .narrow = Narrow::between,
    .samples = [] { return with_attributes(unary_samples(), {{"low", -0.75}, {"high", 1.25}}); },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {2}}}, {{"low", 1.0}, {"high", 0.5}}, "the interval from 1 to 0.5 is empty"},
              {{{f32, {2}}}, {{"low", 1.0}}, "attribute 'high' is missing"},
              {{{boolean, {2}}}, {{"low", 0.0}, {"high", 1.0}}, "expected a numeric dtype, got bool"}};
        }};

// min(max(x, 0), 6); the gradient at 0 and 6 is 0.
const OpDef relu6_op{.name = "relu6",
                     .category = Category::composite,
                     .arity = 1,
                     .infer = infer_same,
                     .vjp =
                         [](Args a) {
                           const Var x = a.inputs[0];
                           const Var inside = bit_and(less(number(x, 0), x), less(x, number(x, 6)));
                           return Vars{select(inside, a.gradients[0], number(x, 0))};
                         },
                     .expand = [](Graph&, const Node&, Operands x) { return Vars{between(x[0], 0, 6)}; },
                     .narrow = Narrow::between,
                     .samples = [] { return within(unary_samples(), -4, 9); },
                     .bad_samples = unary_bad_samples};

// min(max(alpha x + beta, 0), 1); the gradient at the kinks is 0.
const OpDef hard_sigmoid_op{
    .name = "hard_sigmoid",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) { return infer_with(t, a, {"alpha", "beta"}); },
    .vjp =
        [](Args a) {
          const Var y = a.results[0];
          const Var inside = bit_and(less(number(y, 0), y), less(y, number(y, 1)));
          return Vars{select(inside, a.gradients[0] * a.node.number("alpha"), number(y, 0))};
        },
    .expand = [](Graph&, const Node& n,
                 Operands x) { return Vars{between(x[0] * n.number("alpha") + n.number("beta"), 0, 1)}; },
    .narrow = Narrow::between,
    .samples = [] { return within(with_attributes(unary_samples(), {{"alpha", 0.2}, {"beta", 0.5}}), -5, 5); },
    .bad_samples = [] { return bad_with({{"alpha", 0.2}, {"beta", 0.5}}, "attribute 'alpha' is missing"); }};

// x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019); the gradient at the kinks is that of the inner line.
const OpDef hard_swish_op{
    .name = "hard_swish",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_same,
    .vjp =
        [](Args a) {
          const Var x = a.inputs[0], zero = number(x, 0), one = number(x, 1);
          const Var inside = bit_and(less_equal(number(x, -3), x), less_equal(x, number(x, 3)));
          const Var outside = select(less(x, zero), zero, one);
          return Vars{a.gradients[0] * select(inside, x / 3.0 + 0.5, outside)};
        },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{x[0] * between(x[0] / 6.0 + 0.5, 0, 1)}; },
    .narrow = Narrow::between,
    .samples = [] { return within(unary_samples(), -5, 5); },
    .bad_samples = unary_bad_samples};

// x, or slope * x where it is negative; the gradient at 0 is 1.
const OpDef leaky_relu_op{
    .name = "leaky_relu",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) { return infer_with(t, a, {"slope"}); },
    .expand = [](Graph&, const Node& n,
                 Operands x) { return Vars{select(less(x[0], number(x[0], 0)), x[0] * n.number("slope"), x[0])}; },
    .narrow = Narrow::between,
    .samples = [] { return with_attributes(unary_samples(), {{"slope", 0.2}}); },
    .bad_samples = [] { return bad_with({{"slope", 0.2}}, "attribute 'slope' is missing"); }};

// leaky_relu with a slope per element, which has a gradient too.
const OpDef prelu_op{.name = "prelu",
                     .category = Category::composite,
                     .arity = 2,
                     .infer = infer_same,
                     .expand = [](Graph&, const Node&,
                                  Operands x) { return Vars{select(less(x[0], number(x[0], 0)), x[0] * x[1], x[0])}; },
                     .narrow = Narrow::between,
                     .samples = binary_samples,
                     .bad_samples = binary_bad_samples};

// x, or alpha (e^x - 1) where it is negative (Clevert et al. 2016).
const OpDef elu_op{
    .name = "elu",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) { return infer_with(t, a, {"alpha"}); },
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{exponential_below(x[0], n.number("alpha"), 1)}; },
    .narrow = Narrow::between,
    .samples = [] { return with_attributes(unary_samples(), {{"alpha", 0.7}}); },
    .bad_samples = [] { return bad_with({{"alpha", 0.7}}, "attribute 'alpha' is missing"); }};

// x, or alpha (e^(x / alpha) - 1) where it is negative (Barron 2017).
const OpDef celu_op{
    .name = "celu",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      infer_with(t, a, {"alpha"});
      if (get<double>(a, "alpha") == 0) fail("alpha must not be 0");
      return {t[0]};
    },
    .expand = [](Graph&, const Node& n,
                 Operands x) { return Vars{exponential_below(x[0], n.number("alpha"), n.number("alpha"))}; },
    .narrow = Narrow::between,
    .samples = [] { return with_attributes(unary_samples(), {{"alpha", 0.7}}); },
    .bad_samples =
        [] {
          return joined(bad_with({{"alpha", 0.7}}, "attribute 'alpha' is missing"),
                        {{{{f32, {2}}}, {{"alpha", 0.0}}, "alpha must not be 0"}});
        }};

// ELU with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017).
const OpDef selu_op{
    .name = "selu",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_same,
    .expand = [](Graph&, const Node&, Operands x) { return Vars{exponential_below(x[0], selu_alpha, 1) * selu_scale}; },
    .narrow = Narrow::between,
    .samples = unary_samples,
    .bad_samples = unary_bad_samples};

// x where it is above `threshold`, elsewhere `value`.
const OpDef threshold_op{
    .name = "threshold",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) { return infer_with(t, a, {"threshold", "value"}); },
    .dtypes = numeric,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const Var above = less(number(x[0], n.number("threshold")), x[0]);
          return Vars{select(above, x[0], number(x[0], n.number("value")))};
        },
    .narrow = Narrow::between,
    .samples = [] { return with_attributes(unary_samples(), {{"threshold", 0.3}, {"value", -1.5}}); },
    .bad_samples = [] { return bad_with({{"threshold", 0.3}, {"value", -1.5}}, "attribute 'threshold' is missing"); }};

// Soft thresholding (Donoho 1995): x moved towards 0 by `lambda`, and 0 where it is no farther than that; the gradient
// at the kinks is 0.
const OpDef soft_shrink_op{
    .name = "soft_shrink",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      infer_with(t, a, {"lambda"});
      if (!(get<double>(a, "lambda") >= 0)) fail("lambda must not be negative, got {}", get<double>(a, "lambda"));
      return {t[0]};
    },
    .vjp =
        [](Args a) {
          const Var zero = number(a.results[0], 0);
          return Vars{select(equal(a.results[0], zero), zero, a.gradients[0])};
        },
    .expand = [](Graph&, const Node& n,
                 Operands x) { return Vars{x[0] - between(x[0], -n.number("lambda"), n.number("lambda"))}; },
    .narrow = Narrow::between,
    .samples = [] { return with_attributes(unary_samples(), {{"lambda", 0.4}}); },
    .bad_samples =
        [] {
          return joined(bad_with({{"lambda", 0.4}}, "attribute 'lambda' is missing"),
                        {{{{f32, {2}}}, {{"lambda", -1.0}}, "lambda must not be negative, got -1"}});
        }};

}  // namespace gmc::ops

namespace gmc {

Tensor clamp(At x, double low, double high) { return ops::unary(ops::clamp_op, x, {{"low", low}, {"high", high}}); }
Tensor relu6(At x) { return ops::unary(ops::relu6_op, x); }
Tensor hard_sigmoid(At x, double alpha, double beta) {
  return ops::unary(ops::hard_sigmoid_op, x, {{"alpha", alpha}, {"beta", beta}});
}
Tensor hard_swish(At x) { return ops::unary(ops::hard_swish_op, x); }
Tensor hard_tanh(At x, double low, double high) { return clamp(x, low, high); }
Tensor leaky_relu(At x, double slope) { return ops::unary(ops::leaky_relu_op, x, {{"slope", slope}}); }
Tensor prelu(At x, At slope) { return ops::binary(ops::prelu_op, x, slope); }
Tensor elu(At x, double alpha) { return ops::unary(ops::elu_op, x, {{"alpha", alpha}}); }
Tensor celu(At x, double alpha) { return ops::unary(ops::celu_op, x, {{"alpha", alpha}}); }
Tensor selu(At x) { return ops::unary(ops::selu_op, x); }
Tensor threshold(At x, double at, double value) {
  return ops::unary(ops::threshold_op, x, {{"threshold", at}, {"value", value}});
}
Tensor soft_shrink(At x, double lambda) { return ops::unary(ops::soft_shrink_op, x, {{"lambda", lambda}}); }

}  // namespace gmc
