// Normalisation. Statistics are those of the population (divided by the count), as PyTorch normalises.
#include "ops/rules.h"

namespace gmc::ops {
namespace {

double get_epsilon(const Attributes& a) {
  const double epsilon = get<double>(a, "epsilon");
  if (!(epsilon >= 0)) fail("epsilon is {}", epsilon);
  return epsilon;
}

// Operands 1.. have `shape`.
void check_parameters(Types t, size_t first, const Shape& shape) {
  check_same_dtype(t);
  for (size_t i = first; i < t.size(); ++i)
    if (t[i].shape != shape) fail("expected a parameter of shape {}, got {}", to_string(shape), to_string(t[i].shape));
}
void check_count(Types t, size_t least, size_t most) {
  if (t.size() < least || t.size() > most) fail("expected {} to {} operands, got {}", least, most, t.size());
}

Var inverse_deviation(Var x, const List& axes, double epsilon) {
  return rsqrt(mean_over(square(centred(x, axes)), axes) + epsilon);
}

Var standardise(Var x, const List& axes, double epsilon) {
  return apply(standardise_op, {x}, {{"axes", axes}, {"epsilon", epsilon}});
}

// The last dimensions that a parameter of `shape` covers.
List last_axes(const Shape& x, int64_t count) { return axes_from(x, x.size() - static_cast<size_t>(count)); }

// y * weight + bias, operands 1 and 2 of the node, aligned with the last dimensions or with the channels.
Var affine(Var y, Operands x, bool channels, size_t first = 1) {
  const auto over = [&](Var p) { return channels ? per_channel(p, y.shape()) : broadcast_to(p, y.shape()); };
  if (x.size() > first) y = y * over(x[first]);
  return x.size() > first + 1 ? y + over(x[first + 1]) : y;
}

Results infer_last(Types t, const Attributes& a, size_t most) {
  check_count(t, 1, most);
  get_epsilon(a);
  const auto count = get<int64_t>(a, "dimensions");
  if (count < 1 || count > std::ssize(t[0].shape))
    fail("{} dimensions of {} cannot be normalised", count, to_string(t[0].shape));
  check_parameters(t, 1, Shape(t[0].shape.end() - count, t[0].shape.end()));
  return {t[0]};
}

List all_but_channels(const Shape& x) {
  List axes = all_axes(x);
  axes.erase(axes.begin() + 1);
  return axes;
}

Results infer_channels(Types t, const Attributes& a, size_t most) {
  check_count(t, 1, most);
  get_epsilon(a);
  if (t[0].shape.size() < 2) fail("expected [n, channels, ..], got {}", to_string(t[0].shape));
  check_parameters(t, 1, {t[0].shape[1]});
  return {t[0]};
}

Attributes last(int64_t dimensions) { return {{"dimensions", dimensions}, {"epsilon", 1e-2}}; }
std::vector<BadSample> last_bad_samples() {
  return {{{{f32, {4, 7}}, {f32, {4}}}, last(1), "expected a parameter of shape [7], got [4]"},
          {{{f32, {4, 7}}, {f64, {7}}}, last(1), "expected operands of one dtype, got f32 and f64"},
          {{{f32, {4, 7}}, {f32, {7}}}, last(3), "3 dimensions of [4, 7] cannot be normalised"},
          {{{f32, {4, 7}}, {f32, {7}}}, {{"dimensions", int64_t{1}}, {"epsilon", -1.0}}, "epsilon is -1"}};
}

}  // namespace

// (x - mean) / sqrt(variance + epsilon) over `axes`.
const OpDef standardise_op{
    .name = "standardise",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      get_epsilon(a);
      get_axes(a, t[0].shape.size());
      return {t[0]};
    },
    .vjp =
        [](Args a) {
          const List axes = a.node.integers("axes");
          const Var x = a.inputs[0], g = a.gradients[0], y = a.results[0];
          const Var along = spread(mean_over(g * y, axes), x.shape(), axes);
          const Var scale = spread(inverse_deviation(x, axes, a.node.number("epsilon")), x.shape(), axes);
          return Vars{scale * (centred(g, axes) - y * along)};
        },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const List axes = n.integers("axes");
          return Vars{centred(x[0], axes) *
                      spread(inverse_deviation(x[0], axes, n.number("epsilon")), x[0].shape(), axes)};
        },
    .samples =
        [] {
          const auto with = [](Shape x, List axes) {
            return Sample{{{f32, std::move(x)}}, {{"axes", std::move(axes)}, {"epsilon", 1e-2}}};
          };
          return std::vector<Sample>{with({4, 7}, {1}), with({5, 3}, {0}), with({2, 3, 5}, {0, 2}),
                                     with({}, {}),      with({0, 3}, {1}), with({3, 1}, {1})};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {4}}}, {{"axes", List{1}}, {"epsilon", 0.0}}, "axes [1] must be increasing and below 1"},
              {{{f32, {4}}}, {{"axes", List{0}}}, "attribute 'epsilon' is missing"},
              {{{f32, {4}}}, {{"axes", List{0}}, {"epsilon", -1.0}}, "epsilon is -1"}};
        }};

// Over the last `dimensions`, then times weight and plus bias of that shape, if given (Ba et al. 2016). Operands: x,
// weight, bias.
const OpDef layer_norm_op{
    .name = "layer_norm",
    .category = Category::composite,
    .arity = -1,
    .infer = [](Types t, const Attributes& a) { return infer_last(t, a, 3); },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          return Vars{affine(standardise(x[0], last_axes(x[0].shape(), n.integer("dimensions")), n.number("epsilon")),
                             x, false)};
        },
    .samples =
        [] {
          return std::vector<Sample>{{{{f32, {4, 7}}, {f32, {7}}, {f32, {7}}}, last(1)},
                                     {{{f32, {2, 3, 5}}, {f32, {3, 5}}}, last(2)},
                                     {{{f32, {2, 1}}}, last(1)},
                                     {{{f32, {0, 3}}, {f32, {3}}, {f32, {3}}}, last(1)}};
        },
    .bad_samples = last_bad_samples};

// x / sqrt(mean of squares + epsilon) over the last `dimensions`, then times weight, if given (Zhang & Sennrich 2019).
const OpDef rms_norm_op{.name = "rms_norm",
                        .category = Category::composite,
                        .arity = -1,
                        .infer = [](Types t, const Attributes& a) { return infer_last(t, a, 2); },
                        .expand =
                            [](Graph&, const Node& n, Operands x) {
                              const List axes = last_axes(x[0].shape(), n.integer("dimensions"));
                              const Var scale = rsqrt(mean_over(square(x[0]), axes) + n.number("epsilon"));
                              return Vars{affine(x[0] * spread(scale, x[0].shape(), axes), x, false)};
                            },
                        .samples =
                            [] {
                              return std::vector<Sample>{{{{f32, {4, 7}}, {f32, {7}}}, last(1)},
                                                         {{{f32, {2, 3, 5}}, {f32, {3, 5}}}, last(2)},
                                                         {{{f32, {2, 1}}}, last(1)},
                                                         {{{f32, {0, 3}}, {f32, {3}}}, last(1)}};
                            },
                        .bad_samples = last_bad_samples};

// Over each of `groups` groups of channels and all that follows (Wu & He 2018); weight and bias per channel, if given.
// Operands: x [n, c, ..], weight [c], bias [c]. With a group per channel, instance norm.
const OpDef group_norm_op{
    .name = "group_norm",
    .category = Category::composite,
    .arity = -1,
    .infer = [](Types t, const Attributes& a) -> Results {
      infer_channels(t, a, 3);
      const auto groups = get<int64_t>(a, "groups");
      if (groups < 1 || t[0].shape[1] % groups != 0) fail("{} groups do not divide {} channels", groups, t[0].shape[1]);
      return {t[0]};
    },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const Shape shape = x[0].shape();
          const int64_t groups = n.integer("groups"),
                        rest = element_count(Shape(shape.begin() + 1, shape.end())) / groups;
          const Var y = standardise(reshape(x[0], {shape[0], groups, rest}), {2}, n.number("epsilon"));
          return Vars{affine(reshape(y, shape), x, true)};
        },
    .samples =
        [] {
          const auto with = [](int64_t groups) { return Attributes{{"groups", groups}, {"epsilon", 1e-2}}; };
          return std::vector<Sample>{{{{f32, {2, 4, 3}}, {f32, {4}}, {f32, {4}}}, with(2)},
                                     {{{f32, {2, 3, 2, 2}}, {f32, {3}}, {f32, {3}}}, with(3)},
                                     {{{f32, {3, 4}}}, with(1)},
                                     {{{f32, {0, 2, 3}}, {f32, {2}}}, with(2)}};
        },
    .bad_samples =
        [] {
          const auto with = [](int64_t groups) { return Attributes{{"groups", groups}, {"epsilon", 1e-2}}; };
          return std::vector<BadSample>{
              {{{f32, {2, 4, 3}}}, with(3), "3 groups do not divide 4 channels"},
              {{{f32, {2, 4, 3}}, {f32, {3}}}, with(2), "expected a parameter of shape [4], got [3]"},
              {{{f32, {2}}}, with(1), "expected [n, channels, ..], got [2]"}};
        }};

// Batch norm in training (Ioffe & Szegedy 2015): per channel over all other dimensions. Operands: x [n, c, ..], weight
// [c], bias [c], running mean [c], running variance [c]. Results: y; the running statistics moved by `momentum` towards
// those of the batch, the variance's being the unbiased one.
const OpDef batch_norm_training_op{
    .name = "batch_norm_training",
    .category = Category::composite,
    .arity = 5,
    .infer = [](Types t, const Attributes& a) -> Results {
      infer_channels(t, a, 5);
      get<double>(a, "momentum");
      if (t[0].shape[1] > 0 && element_count(t[0].shape) == t[0].shape[1])
        fail("one value a channel has no variance: got {}", to_string(t[0].shape));
      return {t[0], t[3], t[4]};
    },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const List axes = all_but_channels(x[0].shape());
          const auto count = static_cast<double>(count_along(x[0].shape(), axes));
          const double momentum = n.number("momentum");
          const Var variance = sum_over(square(centred(x[0], axes)), axes) / std::max(0.0, count - 1);
          const auto moved = [&](Var from, Var to) { return from * (1 - momentum) + to * momentum; };
          return Vars{affine(standardise(x[0], axes, n.number("epsilon")), x.first(3), true),
                      moved(x[3], mean_over(x[0], axes)), moved(x[4], variance)};
        },
    .samples =
        [] {
          const Attributes a{{"epsilon", 1e-2}, {"momentum", 0.1}};
          const auto with = [&](Shape x) {
            const TensorType c{f32, {x[1]}};
            return Sample{{{f32, std::move(x)}, c, c, c, c}, a};
          };
          return std::vector<Sample>{with({5, 3}), with({2, 3, 4}), with({2, 1, 3, 2}), with({3, 0})};
        },
    .bad_samples =
        [] {
          const Attributes a{{"epsilon", 1e-2}, {"momentum", 0.1}};
          const TensorType c{f32, {3}}, d{f32, {2}};
          return std::vector<BadSample>{
              {{{f32, {5, 3}}, c, c, c, d}, a, "expected a parameter of shape [3], got [2]"},
              {{{f32, {3}}, c, c, c, c}, a, "expected [n, channels, ..], got [3]"},
              {{{f32, {5, 3}}, c, c, c, c}, {{"epsilon", 1e-2}}, "attribute 'momentum' is missing"},
              {{{f32, {1, 3, 1}}, c, c, c, c}, a, "one value a channel has no variance: got [1, 3, 1]"}};
        }};

// The same with given statistics: x, weight, bias, mean, variance.
const OpDef batch_norm_inference_op{
    .name = "batch_norm_inference",
    .category = Category::composite,
    .arity = 5,
    .infer = [](Types t, const Attributes& a) { return infer_channels(t, a, 5); },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const Shape shape = x[0].shape();
          const Var y = (x[0] - per_channel(x[3], shape)) * per_channel(rsqrt(x[4] + n.number("epsilon")), shape);
          return Vars{affine(y, x.first(3), true)};
        },
    .samples =
        [] {
          const auto with = [](Shape x) {
            const TensorType c{f32, {x[1]}};
            return Sample{{{f32, std::move(x)}, c, c, c, c}, {{"epsilon", 1e-2}}, 0.5, 2};
          };
          return std::vector<Sample>{with({5, 3}), with({2, 3, 4}), with({1, 1, 3, 2}), with({0, 3})};
        },
    .bad_samples =
        [] {
          const TensorType c{f32, {3}}, d{f32, {2}};
          return std::vector<BadSample>{
              {{{f32, {5, 3}}, c, c, c, d}, {{"epsilon", 1e-2}}, "expected a parameter of shape [3], got [2]"},
              {{{f32, {5, 3}}, c, c, c}, {{"epsilon", 1e-2}}, "expected 5 operands, got 4"},
              {{{f32, {5, 3}}, c, c, c, c}, {}, "attribute 'epsilon' is missing"}};
        }};

// Weight norm (Salimans & Kingma 2016): v g / |v|, the norm over all dimensions but `axis`. Operands: v, g [extent of
// axis].
const OpDef weight_norm_op{
    .name = "weight_norm",
    .category = Category::composite,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> Results {
      const int64_t axis = get_axis(a, t[0].shape.size());
      check_parameters(t, 1, {t[0].shape[static_cast<size_t>(axis)]});
      return {t[0]};
    },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const int64_t axis = n.integer("axis");
          List rest = all_axes(x[0].shape());
          rest.erase(rest.begin() + axis);
          return Vars{x[0] * broadcast(x[1] / sqrt(sum_over(square(x[0]), rest)), x[0].shape(), {axis})};
        },
    .samples =
        [] {
          return std::vector<Sample>{{{{f32, {4, 7}}, {f32, {4}}}, {{"axis", int64_t{0}}}},
                                     {{{f32, {3, 2, 5}}, {f32, {2}}}, {{"axis", int64_t{1}}}},
                                     {{{f32, {1, 2}}, {f32, {1}}}, {{"axis", int64_t{0}}}},
                                     {{{f32, {0, 3}}, {f32, {0}}}, {{"axis", int64_t{0}}}}};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {4, 7}}, {f32, {7}}}, {{"axis", int64_t{0}}}, "expected a parameter of shape [4], got [7]"},
              {{{f32, {4, 7}}, {f32, {4}}}, {{"axis", int64_t{2}}}, "axis 2 is out of range for 2 dimensions"},
              {{{f32, {4, 7}}, {f64, {4}}}, {{"axis", int64_t{0}}}, "expected operands of one dtype, got f32 and f64"}};
        }};

// x / (k + alpha / size * sum of squares over `size` neighbouring channels)^beta (Krizhevsky et al. 2012), (size - 1) /
// 2 of them before.
const OpDef local_response_norm_op{
    .name = "local_response_norm",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      for (const char* key : {"alpha", "beta", "k"}) get<double>(a, key);
      if (get<int64_t>(a, "size") < 1) fail("the size is {}", get<int64_t>(a, "size"));
      if (t[0].shape.size() < 2) fail("expected [n, channels, ..], got {}", to_string(t[0].shape));
      return {t[0]};
    },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const int64_t size = n.integer("size"), low = (size - 1) / 2;
          if (x[0].shape()[1] == 0) return Vars{x[0]};
          const Var near = windows(square(x[0]), {1}, {size}, {1}, {low}, {size - 1 - low}, {1});
          const Var total =
              sum(near, {std::ssize(x[0].shape())}) * (n.number("alpha") / static_cast<double>(size)) + n.number("k");
          return Vars{x[0] * pow(total, number(total, -n.number("beta")))};
        },
    .samples =
        [] {
          const auto with = [](Shape x, int64_t size) {
            return Sample{{{f32, std::move(x)}}, {{"alpha", 0.5}, {"beta", 0.75}, {"k", 1.0}, {"size", size}}};
          };
          return std::vector<Sample>{with({2, 5, 3}, 3), with({1, 4}, 2), with({2, 1, 2, 2}, 1), with({0, 3}, 3)};
        },
    .bad_samples =
        [] {
          const Attributes a{{"alpha", 0.5}, {"beta", 0.75}, {"k", 1.0}, {"size", int64_t{0}}};
          return std::vector<BadSample>{{{{f32, {2, 3}}}, a, "the size is 0"},
                                        {{{f32, {2, 3}}}, {{"alpha", 0.5}}, "attribute 'beta' is missing"},
                                        {{{i32, {2, 3}}}, a, "expected a floating dtype, got i32"}};
        }};

}  // namespace gmc::ops
