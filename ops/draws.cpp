// What is made of draws: distributions, and noise that a layer adds. Draws are f32.
#include "ops/call.h"
#include "ops/layers.h"
#include "ops/rules.h"

#include <cmath>

namespace gmc::ops {
namespace {

Var gumbel_of(Var u) { return -log(-log(max(u, number(u, 0x1p-25)))); }

}  // namespace

// x / (1 - rate) where a uniform number is not below `rate`, elsewhere 0. Operands: x, numbers in [0, 1). Backwards the
// mask is computed again from the same numbers.
const OpDef dropout_op{
    .name = "dropout",
    .category = Category::composite,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> Results {
      const double rate = get<double>(a, "rate");
      if (!(rate >= 0 && rate < 1)) fail("the rate {} is outside [0, 1)", rate);
      if (t[0].shape != t[1].shape) fail("shapes differ: {} and {}", to_string(t[0].shape), to_string(t[1].shape));
      return {t[0]};
    },
    .vjp = [](Args a) { return Vars{apply(dropout_op, {a.gradients[0], a.inputs[1]}, a.node.attributes), Var{}}; },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const double rate = n.number("rate");
          return Vars{select(less(x[1], number(x[1], rate)), zeros_like(x[0]), x[0] * (1 / (1 - rate)))};
        },
    .samples = [] { return within(with_attributes(binary_samples(), {{"rate", 0.3}}), 0, 1); },
    .bad_samples =
        [] {
          const TensorType x{f32, {2}};
          return std::vector<BadSample>{{{x, x}, {{"rate", 1.0}}, "the rate 1 is outside [0, 1)"},
                                        {{x, {f32, {3}}}, {{"rate", 0.5}}, "shapes differ: [2] and [3]"},
                                        {{x, x}, {}, "attribute 'rate' is missing"}};
        }};

// The inverse of the distribution function at u: how many running sums of the probabilities p [.., c] are below u [..],
// at most c - 1. i64.
const OpDef inverse_cdf_op{
    .name = "inverse_cdf",
    .category = Category::composite,
    .arity = 2,
    .infer = [](Types t, const Attributes&) -> Results {
      check_same_dtype(t);
      if (t[0].shape.empty() || t[0].shape.back() < 1)
        fail("expected probabilities [.., classes], got {}", to_string(t[0].shape));
      const Shape rest(t[0].shape.begin(), t[0].shape.end() - 1);
      if (t[1].shape != rest) fail("expected numbers of shape {}, got {}", to_string(rest), to_string(t[1].shape));
      return {TensorType{i64, rest}};
    },
    .vjp = [](Args) { return Vars(2); },
    .expand =
        [](Graph&, const Node&, Operands x) {
          const Shape p = x[0].shape();
          const int64_t last = std::ssize(p) - 1;
          const Var running =
              apply(cumulate_op, {x[0]},
                    {{"axis", last}, {"monoid", std::string("sum")}, {"exclusive", false}, {"reverse", false}});
          const Var below = cast(less_equal(running, spread(x[1], p, {last})), i64), count = sum(below, {last});
          return Vars{min(count, number(count, static_cast<double>(p.back() - 1)))};
        },
    .samples =
        [] {
          const auto with = [](Shape p) {
            const Shape rest(p.begin(), p.end() - 1);
            return Sample{{{f32, std::move(p)}, {f32, rest}}, {}, 0, 1};
          };
          return std::vector<Sample>{with({4, 7}), with({5}), with({2, 3, 2}), with({0, 3}), with({3, 1})};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {4, 7}}, {f32, {5}}}, {}, "expected numbers of shape [4], got [5]"},
              {{{f32, {}}, {f32, {}}}, {}, "expected probabilities [.., classes], got []"},
              {{{f32, {4, 7}}, {f64, {4}}}, {}, "expected operands of one dtype, got f32 and f64"}};
        }};

// mean + deviation x of a standard normal draw x. `draw` as that of randint.
const OpDef normal_op{
    .name = "normal",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      get<double>(a, "mean");
      get<std::string>(a, "draw");
      if (const double deviation = get<double>(a, "deviation"); !(deviation >= 0))
        fail("the deviation {} is below 0", deviation);
      return {t[0]};
    },
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{x[0] * n.number("deviation") + n.number("mean")}; },
    .samples =
        [] {
          return with_attributes(unary_samples(), {{"mean", 0.5}, {"deviation", 0.7}, {"draw", std::string("e")}});
        },
    .bad_samples =
        [] {
          const TensorType x{f32, {2}};
          const std::string draw = "e";
          return std::vector<BadSample>{
              {{x}, {{"mean", 0.0}, {"deviation", -1.0}, {"draw", draw}}, "the deviation -1 is below 0"},
              {{x}, {{"deviation", 1.0}, {"draw", draw}}, "attribute 'mean' is missing"},
              {{x}, {{"mean", 0.0}, {"deviation", 1.0}}, "attribute 'draw' is missing"}};
        }};

// Whole numbers low..high - 1, each as likely, of numbers in [0, 1). i64. The attribute `draw`: where draws are fed
// from outside, an input of this name takes its place.
const OpDef randint_op{
    .name = "randint",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      const auto low = get<int64_t>(a, "low"), high = get<int64_t>(a, "high");
      get<std::string>(a, "draw");
      // An f32 draw has 24 bits.
      if (high <= low || static_cast<uint64_t>(high) - static_cast<uint64_t>(low) > uint64_t{1} << 24)
        fail("expected 1 to 2^24 values, got {} to {}", low, high);
      return {TensorType{i64, t[0].shape}};
    },
    .vjp = [](Args) { return Vars(1); },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const int64_t low = n.integer("low"), count = n.integer("high") - low;
          const Var i = cast(x[0] * static_cast<double>(count), i64);
          return Vars{min(max(i, number(i, 0)), number(i, static_cast<double>(count - 1))) + static_cast<double>(low)};
        },
    .samples =
        [] {
          const auto with = [](Shape s, int64_t low, int64_t high) {
            return Sample{{{f32, std::move(s)}}, {{"low", low}, {"high", high}, {"draw", std::string("i")}}, 0, 1};
          };
          return std::vector<Sample>{with({7}, 0, 5), with({2, 3}, -3, 4), with({}, 2, 3), with({0}, 0, 2)};
        },
    .bad_samples =
        [] {
          const TensorType x{f32, {2}};
          const std::string draw = "i";
          return std::vector<BadSample>{
              {{x},
               {{"low", int64_t{2}}, {"high", int64_t{2}}, {"draw", draw}},
               "expected 1 to 2^24 values, got 2 to 2"},
              {{x}, {{"low", int64_t{0}}, {"high", int64_t{1} << 25}, {"draw", draw}}, "got 0 to 33554432"},
              {{x}, {{"low", int64_t{0}}, {"high", int64_t{2}}}, "attribute 'draw' is missing"}};
        }};

}  // namespace gmc::ops

namespace gmc {

using graph::Var;
using ops::Call;
using ops::number;

namespace {

// A uniform draw as graph value, at the place of the call.
Var uniform_var(const std::string& name, const Shape& shape, const std::source_location& where) {
  const Tensor u = dsl::draw(ops::random_op, "uniform", name, shape, where);
  return {u.graph().get(), u.value()};
}
Tensor tensor_of(Var v, const std::source_location& where, const char* what) {
  return {dsl::current(what, dsl::place_of(where)).graph(), v.value};
}

}  // namespace

Tensor bernoulli(const std::string& name, At p) {
  const Tensor u = uniform(name, p.shape(), p.where());
  const Call call("bernoulli", {p, At(u, p.where())});
  return call.result(graph::cast(graph::less(call[1], call[0]), call[0].type().dtype));
}

Tensor categorical(const std::string& name, At logits) {
  const Tensor u = uniform(name, logits.shape(), logits.where());
  const Call call("categorical", {logits, At(u, logits.where())});
  const int64_t axis = ops::axis_of(call, -1, ops::rank_of(call[0]));
  return call.result(graph::apply(ops::argmax_op, {call[0] + ops::gumbel_of(call[1])}, {{"axis", axis}}));
}

Tensor inverse_cdf(At probabilities, At u) { return ops::call_op(ops::inverse_cdf_op, {probabilities, u}); }

Tensor gumbel(const std::string& name, const Shape& shape, std::source_location where) {
  return tensor_of(ops::gumbel_of(uniform_var(name, shape, where)), where, "gumbel");
}

Tensor logistic(const std::string& name, const Shape& shape, std::source_location where) {
  const Var drawn = uniform_var(name, shape, where), u = ops::max(drawn, number(drawn, 0x1p-25));
  return tensor_of(ops::log(u) - ops::log1p(-u), where, "logistic");
}

Tensor truncated_normal(const std::string& name, const Shape& shape, double low, double high,
                        std::source_location where) {
  if (!(low < high)) fail("truncated_normal '{}': the interval from {} to {} is empty", name, low, high);
  const auto below = [](double x) { return std::erf(x / std::sqrt(2.0)); };
  if (below(low) == below(high))
    fail("truncated_normal '{}': a normal draw between {} and {} is too rare", name, low, high);
  // In f64, which tells the tails from 1 as far as 8 deviations; never at the end of a draw's interval, where an
  // infinite bound lies.
  const Var drawn = uniform_var(name, shape, where), u = graph::cast(ops::max(drawn, number(drawn, 0x1p-25)), f64);
  const Var x = graph::apply(ops::erfinv_op, {u * (below(high) - below(low)) + below(low)}) * std::sqrt(2.0);
  return tensor_of(graph::cast(ops::min(ops::max(x, number(x, low)), number(x, high)), f32), where, "truncated_normal");
}

Tensor normal(const std::string& name, const Shape& shape, double mean, double deviation, std::source_location where) {
  const Tensor x = normal(name, shape, where);
  return ops::call_op(ops::normal_op, {At(x, where)}, {{"mean", mean}, {"deviation", deviation}, {"draw", name}});
}

Tensor randint(const std::string& name, const Shape& shape, int64_t low, int64_t high, std::source_location where) {
  const Tensor u = uniform(name, shape, where);
  return ops::call_op(ops::randint_op, {At(u, where)}, {{"low", low}, {"high", high}, {"draw", name}});
}

Tensor permutation(const std::string& name, int64_t n, std::source_location where) {
  if (n < 0) fail("permutation '{}': expected a number of elements, got {}", name, n);
  const Var u = uniform_var(name, {n}, where);
  return tensor_of(graph::apply(ops::argsort_op, {u}, {{"axis", int64_t{0}}}), where, "permutation");
}

Tensor dropout(const std::string& name, At x, double rate, bool training) {
  if (!training || rate == 0) return x;
  const Tensor u = uniform(name, x.shape(), x.where());
  return ops::call_op(ops::dropout_op, {x, At(u, x.where())}, {{"rate", rate}});
}

Tensor gumbel_softmax(const std::string& name, At logits, double temperature, bool hard) {
  const Tensor u = uniform(name, logits.shape(), logits.where());
  const Call call("gumbel_softmax", {logits, At(u, logits.where())});
  const int64_t axis = ops::axis_of(call, -1, ops::rank_of(call[0]));
  const Var soft = graph::apply(ops::softmax_op, {(call[0] + ops::gumbel_of(call[1])) / temperature}, {{"axis", axis}});
  if (!hard) return call.result(soft);
  const Var at = graph::apply(ops::argmax_op, {soft}, {{"axis", axis}});
  const Var one = graph::apply(ops::one_hot_op, {at},
                               {{"depth", soft.shape().back()}, {"dtype", std::string(name_of(soft.type().dtype))}});
  return call.result(graph::apply(ops::straight_through_op, {one, soft}));
}

}  // namespace gmc
