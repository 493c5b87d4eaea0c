// Reductions made of the four monoids, over the attribute `axes`, which disappear; none if it is empty.
#include "ops/call.h"
#include "ops/rules.h"

namespace gmc::ops {
namespace {

TensorType reduced_type(Types t, const Attributes& a) {
  return {t[0].dtype, without(t[0].shape, get_axes(a, t[0].shape.size()))};
}
Results infer_reduced(Types t, const Attributes& a) { return {reduced_type(t, a)}; }
Results infer_bool(Types t, const Attributes& a) { return {TensorType{boolean, reduced_type(t, a).shape}}; }
Results infer_count(Types t, const Attributes& a) { return {TensorType{i64, reduced_type(t, a).shape}}; }

const List& axes_of_node(const Node& n) { return n.integers("axes"); }
Var spread_back(Args a, Var reduced) { return spread(reduced, a.inputs[0].shape(), axes_of_node(a.node)); }

// Of results, gradients: `to` where the condition value is 0.
Var unless_zero(Var value, Var otherwise, double to) {
  return select(equal(value, number(value, 0)), number(otherwise, to), otherwise);
}

std::vector<Sample> reduced_samples() {
  const auto with = [](Shape shape, List axes) {
    return Sample{{{f32, std::move(shape)}}, {{"axes", std::move(axes)}}};
  };
  return {with({4, 7}, {1}), with({4, 7}, {0}), with({2, 3, 5}, {0, 2}), with({5}, {0}),
          with({}, {}),      with({3, 1}, {1}), with({3, 0}, {0})};
}
std::vector<BadSample> reduced_bad_samples() {
  return {{{{f32, {4, 7}}}, {{"axes", List{2}}}, "axes [2] must be increasing and below 2"},
          {{{f32, {4, 7}}}, {{"axes", List{1, 0}}}, "axes [1, 0] must be increasing and below 2"},
          {{{f32, {4, 7}}}, {}, "attribute 'axes' is missing"}};
}
std::vector<Sample> with_correction(double correction) {
  std::vector<Sample> samples;
  for (Sample s : reduced_samples()) {
    s.attributes["correction"] = correction;
    if (static_cast<double>(count_along(s.inputs[0].shape, get<List>(s.attributes, "axes"))) > correction)
      samples.push_back(std::move(s));
  }
  return samples;
}
std::vector<BadSample> correction_bad_samples() {
  return {{{{f32, {4}}}, {{"axes", List{0}}}, "attribute 'correction' is missing"},
          {{{f32, {4}}}, {{"axes", List{1}}, {"correction", 1.0}}, "axes [1] must be increasing and below 1"},
          {{{i32, {4}}}, {{"axes", List{0}}, {"correction", 1.0}}, "expected a floating dtype, got i32"}};
}

Results infer_variance(Types t, const Attributes& a) {
  get<double>(a, "correction");
  return infer_reduced(t, a);
}
double divisor_of(const Node& n, const Shape& shape) {
  return std::max(0.0, static_cast<double>(count_along(shape, axes_of_node(n))) - n.number("correction"));
}
Var variance_of(const Node& n, Var x) {
  return sum_over(square(centred(x, axes_of_node(n))), axes_of_node(n)) / divisor_of(n, x.shape());
}

// ---- argmax and argmin ----

Results infer_arg(Types t, const Attributes& a) {
  const int64_t axis = get_axis(a, t[0].shape.size());
  if (t[0].shape[static_cast<size_t>(axis)] == 0) fail("axis {} of {} has no elements", axis, to_string(t[0].shape));
  return {TensorType{i64, without(t[0].shape, {axis})}};
}
// The first (flag `last`: the last) of the elements that attain the extreme; NaN is more extreme than any number.
Var arg_of(const Node& n, Var x, const char* monoid) {
  const List axis{n.integer("axis")};
  const Var extreme = spread(reduce(x, monoid, axis), x.shape(), axis);
  Var hit = equal(x, extreme);
  if (is_float(x.type().dtype)) hit = bit_or(hit, logical_not(equal(x, x)));
  const Var at = positions(x, axis[0]);
  const bool last = n.flag("last");
  const Var none = number(at, last ? -1 : static_cast<double>(x.shape()[static_cast<size_t>(axis[0])]));
  return reduce(select(hit, at, none), last ? "max" : "min", axis);
}
std::vector<Sample> arg_samples() {
  const auto with = [](Shape shape, int64_t axis, bool last) {
    return Sample{{{f32, std::move(shape)}}, {{"axis", axis}, {"last", last}}};
  };
  return {with({4, 7}, 1, false), with({4, 7}, 0, false), with({2, 3, 17}, 1, true), with({1}, 0, false),
          with({0, 3}, 1, false)};
}
std::vector<BadSample> arg_bad_samples() {
  return {{{{f32, {4, 7}}}, {{"axis", int64_t{2}}}, "axis 2 is out of range for 2 dimensions"},
          {{{f32, {0, 3}}}, {{"axis", int64_t{0}}}, "axis 0 of [0, 3] has no elements"},
          {{{f32, {4}}}, {}, "attribute 'axis' is missing"}};
}

}  // namespace

const OpDef mean_op{.name = "mean",
                    .category = Category::composite,
                    .arity = 1,
                    .infer = infer_reduced,
                    .expand = [](Graph&, const Node& n, Operands x) { return Vars{mean_over(x[0], axes_of_node(n))}; },
                    .samples =
                        [] {
                          auto samples = reduced_samples();
                          samples.pop_back();
                          return samples;
                        },
                    .bad_samples = reduced_bad_samples};

// Sum of squares about the mean, over count - `correction` (1: unbiased, 0: of the population).
const OpDef variance_op{.name = "variance",
                        .category = Category::composite,
                        .arity = 1,
                        .infer = infer_variance,
                        .vjp =
                            [](Args a) {
                              const double scale = 2 / divisor_of(a.node, a.inputs[0].shape());
                              return Vars{spread_back(a, a.gradients[0] * scale) *
                                          centred(a.inputs[0], axes_of_node(a.node))};
                            },
                        .expand = [](Graph&, const Node& n, Operands x) { return Vars{variance_of(n, x[0])}; },
                        .samples = [] { return with_correction(1); },
                        .bad_samples = correction_bad_samples};

// The root of the variance. Where that is 0 the gradient is not finite.
const OpDef standard_deviation_op{
    .name = "standard_deviation",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_variance,
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{sqrt(variance_of(n, x[0]))}; },
    .samples =
        [] {
          auto samples = with_correction(1);
          std::erase_if(samples, [](const Sample& s) { return element_count(s.inputs[0].shape) < 2; });
          return samples;
        },
    .bad_samples = correction_bad_samples};

// The product. Unlike that of `reduce`, the first gradient is right where elements are 0: the product of the others.
const OpDef prod_op{
    .name = "prod",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_reduced,
    .dtypes = numeric,
    .vjp =
        [](Args a) {
          const Var x = a.inputs[0];
          const List& axes = axes_of_node(a.node);
          const Var zero = cast(equal(x, number(x, 0)), x.type().dtype), safe = x + zero;
          const Var others = spread(sum_over(zero, axes), x.shape(), axes) - zero;
          const Var product = spread(reduce_over(safe, "prod", axes), x.shape(), axes) / safe;
          return Vars{spread_back(a, a.gradients[0]) * select(equal(others, number(x, 0)), product, zeros_like(x))};
        },
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{reduce_over(x[0], "prod", axes_of_node(n))}; },
    .samples = [] { return within(reduced_samples(), 0.5, 1.5); },
    .bad_samples = reduced_bad_samples};

const OpDef sum_square_op{
    .name = "sum_square",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_reduced,
    .dtypes = numeric,
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{sum_over(square(x[0]), axes_of_node(n))}; },
    .samples = reduced_samples,
    .bad_samples = reduced_bad_samples};

// Sum of absolute values; the gradient at 0 is 0.
const OpDef norm_l1_op{
    .name = "norm_l1",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_reduced,
    .dtypes = numeric,
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{sum_over(abs(x[0]), axes_of_node(n))}; },
    .samples = reduced_samples,
    .bad_samples = reduced_bad_samples};

// The Euclidean norm; the gradient at 0 is 0.
const OpDef norm_l2_op{
    .name = "norm_l2",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_reduced,
    .vjp =
        [](Args a) {
          const Var y = a.results[0], over = a.gradients[0] / unless_zero(y, y, 1);
          return Vars{spread_back(a, unless_zero(y, over, 0)) * a.inputs[0]};
        },
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{sqrt(sum_over(square(x[0]), axes_of_node(n)))}; },
    .samples =
        [] {
          auto samples = reduced_samples();
          samples.pop_back();
          return samples;
        },
    .bad_samples = reduced_bad_samples};

// log of the sum of e^x, shifted by the maximum; -infinity of no elements.
const OpDef logsumexp_op{.name = "logsumexp",
                         .category = Category::composite,
                         .arity = 1,
                         .infer = infer_reduced,
                         .vjp =
                             [](Args a) {
                               const Var y = a.results[0], infinite = equal(abs(y), number(y, infinity));
                               const Var shift = spread_back(a, select(infinite, zeros_like(y), y));
                               return Vars{spread_back(a, a.gradients[0]) * exp(a.inputs[0] - shift)};
                             },
                         .expand =
                             [](Graph&, const Node& n, Operands x) {
                               const List& axes = axes_of_node(n);
                               const Var top = stop_gradient(reduce_over(x[0], "max", axes));
                               const Var shift = select(equal(abs(top), number(top, infinity)), zeros_like(top), top);
                               return Vars{log(sum_over(exp(x[0] - spread(shift, x[0].shape(), axes)), axes)) + shift};
                             },
                         .samples = reduced_samples,
                         .bad_samples = reduced_bad_samples};

// Whether any element is not 0; false of no elements.
const OpDef any_op{.name = "any",
                   .category = Category::composite,
                   .arity = 1,
                   .infer = infer_bool,
                   .dtypes = any_dtype,
                   .vjp = [](Args) { return Vars(1); },
                   .expand = [](Graph&, const Node& n,
                                Operands x) { return Vars{reduce_over(cast(x[0], boolean), "max", axes_of_node(n))}; },
                   .samples = reduced_samples,
                   .bad_samples = reduced_bad_samples};

// Whether no element is 0; true of no elements.
const OpDef all_op{.name = "all",
                   .category = Category::composite,
                   .arity = 1,
                   .infer = infer_bool,
                   .dtypes = any_dtype,
                   .vjp = [](Args) { return Vars(1); },
                   .expand = [](Graph&, const Node& n,
                                Operands x) { return Vars{reduce_over(cast(x[0], boolean), "min", axes_of_node(n))}; },
                   .samples = reduced_samples,
                   .bad_samples = reduced_bad_samples};

// i64
const OpDef count_nonzero_op{
    .name = "count_nonzero",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_count,
    .dtypes = any_dtype,
    .vjp = [](Args) { return Vars(1); },
    .expand = [](Graph&, const Node& n,
                 Operands x) { return Vars{sum_over(cast(cast(x[0], boolean), i64), axes_of_node(n))}; },
    .samples = reduced_samples,
    .bad_samples = reduced_bad_samples};

// i64: where along `axis` the maximum is, the first of several (flag `last`: the last); NaN counts as larger than any
// number.
const OpDef argmax_op{.name = "argmax",
                      .category = Category::composite,
                      .arity = 1,
                      .infer = infer_arg,
                      .dtypes = numeric,
                      .vjp = [](Args) { return Vars(1); },
                      .expand = [](Graph&, const Node& n, Operands x) { return Vars{arg_of(n, x[0], "max")}; },
                      .samples = arg_samples,
                      .bad_samples = arg_bad_samples};

// The same of the minimum; NaN counts as smaller than any number.
const OpDef argmin_op{.name = "argmin",
                      .category = Category::composite,
                      .arity = 1,
                      .infer = infer_arg,
                      .dtypes = numeric,
                      .vjp = [](Args) { return Vars(1); },
                      .expand = [](Graph&, const Node& n, Operands x) { return Vars{arg_of(n, x[0], "min")}; },
                      .samples = arg_samples,
                      .bad_samples = arg_bad_samples};

}  // namespace gmc::ops

namespace gmc {

using ops::reduced_by;

Tensor mean(At x, const Axes& axes, bool keep) { return reduced_by(ops::mean_op, x, axes, keep); }
Tensor variance(At x, const Axes& axes, double correction, bool keep) {
  return reduced_by(ops::variance_op, x, axes, keep, {{"correction", correction}});
}
Tensor standard_deviation(At x, const Axes& axes, double correction, bool keep) {
  return reduced_by(ops::standard_deviation_op, x, axes, keep, {{"correction", correction}});
}
Tensor prod(At x, const Axes& axes, bool keep) { return reduced_by(ops::prod_op, x, axes, keep); }
Tensor sum_square(At x, const Axes& axes, bool keep) { return reduced_by(ops::sum_square_op, x, axes, keep); }
Tensor norm_l1(At x, const Axes& axes, bool keep) { return reduced_by(ops::norm_l1_op, x, axes, keep); }
Tensor norm_l2(At x, const Axes& axes, bool keep) { return reduced_by(ops::norm_l2_op, x, axes, keep); }
Tensor logsumexp(At x, const Axes& axes, bool keep) { return reduced_by(ops::logsumexp_op, x, axes, keep); }
Tensor any(At x, const Axes& axes, bool keep) { return reduced_by(ops::any_op, x, axes, keep); }
Tensor all(At x, const Axes& axes, bool keep) { return reduced_by(ops::all_op, x, axes, keep); }
Tensor count_nonzero(At x, const Axes& axes, bool keep) { return reduced_by(ops::count_nonzero_op, x, axes, keep); }
Tensor argmax(At x, int64_t axis) { return ops::along(ops::argmax_op, x, axis); }
Tensor argmin(At x, int64_t axis) { return ops::along(ops::argmin_op, x, axis); }
Tensor softmax(At x, const Axes& axes) { return exp(log_softmax(x, axes)); }
Tensor log_softmax(At x, const Axes& axes) { return x - At(logsumexp(x, axes, true), x.where()); }

}  // namespace gmc
