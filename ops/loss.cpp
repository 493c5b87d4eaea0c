// Losses per element; functions on Tensor reduce them.
#include "ops/rules.h"

namespace gmc::ops {
namespace {

Results infer_with(Types t, const Attributes& a, const char* key, double above) {
  if (!(get<double>(a, key) > above)) fail("{} is {}: expected more than {}", key, get<double>(a, key), above);
  return infer_same(t, a);
}
std::vector<BadSample> bad_with(const char* key, const char* not_positive) {
  const Attributes good{{key, 1.0}}, bad{{key, 0.0}};
  return joined(bad_with_attributes(binary_bad_samples(), good), {{{{f32, {2}}, {f32, {2}}}, bad, not_positive}});
}
// log, not below -100, as PyTorch's binary cross-entropy has it.
Var clamped_log(Var x) { return max(log(x), number(x, -100)); }

std::vector<Sample> probability_samples() { return within(binary_samples(), 0.05, 0.95); }

}  // namespace

// (a - b)^2.
const OpDef squared_error_op{.name = "squared_error",
                             .category = Category::composite,
                             .arity = 2,
                             .infer = infer_same,
                             .expand = [](Graph&, const Node&, Operands x) { return Vars{square(x[0] - x[1])}; },
                             .samples = binary_samples,
                             .bad_samples = binary_bad_samples};

// |a - b|; the gradient where they are equal is 0.
const OpDef absolute_error_op{.name = "absolute_error",
                              .category = Category::composite,
                              .arity = 2,
                              .infer = infer_same,
                              .expand = [](Graph&, const Node&, Operands x) { return Vars{abs(x[0] - x[1])}; },
                              .samples = binary_samples,
                              .bad_samples = binary_bad_samples};

// d^2 / 2 where |d| = |a - b| is below `delta`, elsewhere delta (|d| - delta / 2) (Huber 1964).
const OpDef huber_op{.name = "huber",
                     .category = Category::composite,
                     .arity = 2,
                     .infer = [](Types t, const Attributes& a) { return infer_with(t, a, "delta", 0); },
                     .vjp =
                         [](Args a) {
                           const Var d = a.inputs[0] - a.inputs[1];
                           const double delta = a.node.number("delta");
                           const Var g = a.gradients[0] * min(max(d, number(d, -delta)), number(d, delta));
                           return Vars{g, -g};
                         },
                     .expand =
                         [](Graph&, const Node& n, Operands x) {
                           const Var d = abs(x[0] - x[1]);
                           const double delta = n.number("delta");
                           return Vars{select(less(d, number(d, delta)), square(d) * 0.5, (d - delta / 2) * delta)};
                         },
                     .samples = [] { return with_attributes(binary_samples(), {{"delta", 0.8}}); },
                     .bad_samples = [] { return bad_with("delta", "delta is 0: expected more than 0"); }};

// Binary cross-entropy of probabilities p against targets t: -(t log p + (1 - t) log(1 - p)), the logarithms not below
// -100.
const OpDef binary_cross_entropy_op{
    .name = "binary_cross_entropy",
    .category = Category::composite,
    .arity = 2,
    .infer = infer_same,
    .vjp =
        [](Args a) {
          // Finite where p is 0 or 1, too: the derivative of the logarithms' limit is not that of their argument.
          const Var p = a.inputs[0], t = a.inputs[1], g = a.gradients[0],
                    least = number(p, p.type().dtype == f16 ? 6e-5 : 1e-12);
          return Vars{g * (p - t) / max(p * (1.0 - p), least), g * (clamped_log(1.0 - p) - clamped_log(p))};
        },
    .expand = [](Graph&, const Node&,
                 Operands x) { return Vars{-(x[1] * clamped_log(x[0]) + (1.0 - x[1]) * clamped_log(1.0 - x[0]))}; },
    .samples = probability_samples,
    .bad_samples = binary_bad_samples};

// t (log t - x) for log-probabilities x and probabilities t, 0 where t is not positive: summed, KL(t || e^x).
const OpDef kl_divergence_op{.name = "kl_divergence",
                             .category = Category::composite,
                             .arity = 2,
                             .infer = infer_same,
                             .expand =
                                 [](Graph&, const Node&, Operands x) {
                                   const Var positive = less(number(x[1], 0), x[1]);
                                   const Var entropy = x[1] * log(select(positive, x[1], full_like(x[1], 1)));
                                   return Vars{select(positive, entropy - x[1] * x[0], zeros_like(x[0]))};
                                 },
                             .samples = probability_samples,
                             .bad_samples = binary_bad_samples};

// KL(N(m, e^v) || N(0, 1)) of a mean m and a log-variance v: (m^2 + e^v - 1 - v) / 2 (Kingma & Welling 2014, appendix
// B).
const OpDef kl_standard_normal_op{
    .name = "kl_standard_normal",
    .category = Category::composite,
    .arity = 2,
    .infer = infer_same,
    .expand = [](Graph&, const Node&, Operands x) { return Vars{(square(x[0]) + expm1(x[1]) - x[1]) * 0.5}; },
    .samples = binary_samples,
    .bad_samples = binary_bad_samples};

// KL(N(m, e^v) || N(n, e^w)); operands m, v, n, w.
const OpDef kl_normal_op{.name = "kl_normal",
                         .category = Category::composite,
                         .arity = 4,
                         .infer = infer_same,
                         .expand =
                             [](Graph&, const Node&, Operands x) {
                               const Var ratio = x[1] - x[3];
                               return Vars{(square(x[0] - x[2]) * exp(-x[3]) + expm1(ratio) - ratio) * 0.5};
                             },
                         .samples =
                             [] {
                               auto samples = unary_samples();
                               for (Sample& s : samples)
                                 s.inputs = {s.inputs[0], s.inputs[0], s.inputs[0], s.inputs[0]};
                               return samples;
                             },
                         .bad_samples =
                             [] {
                               const TensorType two{f32, {2}};
                               return std::vector<BadSample>{
                                   {{two, two, two, {f32, {3}}}, {}, "operands differ: f32[2] and f32[3]"},
                                   {{two, two, two}, {}, "expected 4 operands, got 3"},
                                   {{{i32, {2}}, two, two, two}, {}, "expected a floating dtype, got i32"}};
                             }};

// max(0, 1 - t x) for a score x and a target t of -1 or 1; the gradient at the kink is 0.
const OpDef hinge_op{
    .name = "hinge",
    .category = Category::composite,
    .arity = 2,
    .infer = infer_same,
    .expand = [](Graph&, const Node&, Operands x) { return Vars{apply(relu_op, {1.0 - x[0] * x[1]})}; },
    .samples = binary_samples,
    .bad_samples = binary_bad_samples};

// Negative log-likelihood of t under N(m, s), s a variance not below epsilon, without the constant log(2 pi) / 2:
// (log s + (m - t)^2 / s) / 2; no gradient flows through where s is below. Operands m, t, s.
const OpDef gaussian_nll_op{
    .name = "gaussian_nll",
    .category = Category::composite,
    .arity = 3,
    .infer = [](Types t, const Attributes& a) { return infer_with(t, a, "epsilon", 0); },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const Var s = max(number(x[2], n.number("epsilon")), x[2]);
          return Vars{(log(s) + square(x[0] - x[1]) / s) * 0.5};
        },
    .samples =
        [] {
          auto samples = within(with_attributes(binary_samples(), {{"epsilon", 1e-6}}), 0.3, 2);
          for (Sample& s : samples) s.inputs.push_back(s.inputs[0]);
          return samples;
        },
    .bad_samples =
        [] {
          const TensorType two{f32, {2}};
          return std::vector<BadSample>{
              {{two, two, {f32, {3}}}, {{"epsilon", 1e-6}}, "operands differ: f32[2] and f32[3]"},
              {{two, two, two}, {}, "attribute 'epsilon' is missing"},
              {{two, two, two}, {{"epsilon", 0.0}}, "epsilon is 0: expected more than 0"}};
        }};

namespace {

// Scores [n, c, ..], class indices [n, ..], optionally weights [c].
Results infer_classes(Types t, const Attributes& a) {
  if (t.size() < 2 || t.size() > 3) fail("expected 2 to 3 operands, got {}", t.size());
  const Shape& x = t[0].shape;
  if (x.size() < 2) fail("expected scores [n, classes, ..], got {}", to_string(x));
  check_index(t[1]);
  if (t[1].shape != without(x, {1}))
    fail("expected indices of shape {}, got {}", to_string(without(x, {1})), to_string(t[1].shape));
  if (t.size() > 2 && !(t[2] == TensorType{t[0].dtype, {x[1]}}))
    fail("expected weights {}, got {}", to_string(TensorType{t[0].dtype, {x[1]}}), to_string(t[2]));
  get<int64_t>(a, "ignore_index");
  const double smoothing = get<double>(a, "label_smoothing");
  if (smoothing < 0 || smoothing > 1) fail("label smoothing {} is outside [0, 1]", smoothing);
  return {TensorType{t[0].dtype, t[1].shape}, TensorType{t[0].dtype, t[1].shape}};
}

// Sum over classes of x where the class is the target's.
Var picked(Var x, Var target) {
  const Var here = equal(positions(x, 1), spread(cast(target, i64), x.shape(), {1}));
  return sum(select(here, x, zeros_like(x)), {1});
}

Vars classified(const Node& n, Var logp, Operands x) {
  const bool weighted = x.size() > 2;
  const Var target = x[1];
  const double smoothing = n.number("label_smoothing");
  const Var weights = weighted ? per_channel(x[2], logp.shape()) : Var{};
  const Var all = weighted ? logp * weights : logp;
  const Var weight = weighted ? picked(weights, target) : broadcast_to(number(logp, 1), target.shape());
  Var loss = -picked(all, target);
  if (smoothing > 0) loss = loss * (1 - smoothing) - sum(all, {1}) * (smoothing / static_cast<double>(logp.shape()[1]));
  const Var ignored = equal(target, number(target, static_cast<double>(n.integer("ignore_index"))));
  return {select(ignored, zeros_like(loss), loss), select(ignored, zeros_like(loss), weight)};
}

std::vector<Sample> class_samples() {
  const auto with = [](Shape x, bool weighted, double smoothing) {
    const int64_t classes = x[1];
    Sample s{{{f32, x}, {i64, without(x, {1})}},
             {{"ignore_index", int64_t{1}}, {"label_smoothing", smoothing}},
             0.2,
             static_cast<double>(classes)};
    if (weighted) s.inputs.push_back({f32, {classes}});
    return s;
  };
  return {with({4, 5}, false, 0),         with({3, 4}, true, 0.1), with({2, 3, 5}, true, 0),
          with({2, 3, 2, 2}, false, 0.3), with({0, 3}, false, 0),  with({1, 2}, false, 0)};
}
std::vector<BadSample> class_bad_samples() {
  const Attributes a{{"ignore_index", int64_t{-100}}, {"label_smoothing", 0.0}};
  return {{{{f32, {4, 5}}, {i64, {5}}}, a, "expected indices of shape [4], got [5]"},
          {{{f32, {4, 5}}, {f32, {4}}}, a, "expected indices of i32 or i64, got f32"},
          {{{f32, {4, 5}}, {i64, {4}}, {f32, {4}}}, a, "expected weights f32[5], got f32[4]"},
          {{{f32, {4, 5}}, {i64, {4}}},
           {{"ignore_index", int64_t{-100}}, {"label_smoothing", 2.0}},
           "label smoothing 2 is outside [0, 1]"}};
}

}  // namespace

// Cross-entropy of scores (logits) against class indices: scores [n, c, ..], indices [n, ..], weights of the classes
// [c] if given. Results [n, ..]: the loss, 0 where the index is `ignore_index`; and the weight that a mean divides by.
// With `label_smoothing` s the target is 1 - s of its class and s / c of every class (Szegedy et al. 2016).
const OpDef cross_entropy_op{
    .name = "cross_entropy",
    .category = Category::composite,
    .arity = -1,
    .infer = infer_classes,
    .expand = [](Graph&, const Node& n,
                 Operands x) { return classified(n, apply(log_softmax_op, {x[0]}, {{"axis", int64_t{1}}}), x); },
    .samples = class_samples,
    .bad_samples = class_bad_samples};

// The same of log-probabilities.
const OpDef nll_op{.name = "nll",
                   .category = Category::composite,
                   .arity = -1,
                   .infer = infer_classes,
                   .expand = [](Graph&, const Node& n, Operands x) { return classified(n, x[0], x); },
                   .samples = class_samples,
                   .bad_samples = class_bad_samples};

}  // namespace gmc::ops
