// Convolutions (cross-correlations, as in deep learning) of any number of spatial dimensions: x [n, c, spatial..],
// weight [o, c / groups, kernel..], result [n, o, places..]. Attributes, per spatial dimension: `step` between windows,
// padding `low` and `high` with zeros (negative: cut off), `dilation` between the elements of a window; `groups`.
#include "ops/convolution.h"

#include "compiler/graph/indexing.h"

namespace gmc::ops {

Sliding get_sliding(const Attributes& a, size_t spatial) {
  Sliding s{get_list(a, "step", spatial), get_list(a, "low", spatial), get_list(a, "high", spatial),
            get_list(a, "dilation", spatial)};
  for (size_t j = 0; j < spatial; ++j)
    if (s.step[j] < 1 || s.dilation[j] < 1)
      fail("step {} and dilation {} must be at least 1", to_string(s.step), to_string(s.dilation));
  return s;
}

Sliding sliding_of(const Node& n) {
  return {n.integers("step"), n.integers("low"), n.integers("high"), n.integers("dilation")};
}

Var sliding_windows(Var x, const List& kernel, const Sliding& s, double outside) {
  return windows(x, spatial_axes(kernel.size()), kernel, s.step, s.low, s.high, s.dilation, outside);
}

Var overlap_add(Var x, const Sliding& s, const List& extents) {
  const size_t spatial = extents.size();
  List kernels(spatial);
  std::iota(kernels.begin(), kernels.end(), 2 + static_cast<int64_t>(spatial));
  for (size_t j = 0; j < spatial; ++j) x = dilate(x, static_cast<int64_t>(2 + j), x.shape()[2 + j] > 1 ? s.step[j] : 1);
  return sum(skew(x, spatial_axes(spatial), kernels, s.low, s.dilation, extents), kernels);
}

// The windows as matrices [n, groups, c / groups * kernel, places]. Padding is an op of its own: once the padded tensor
// lies in memory, products read windows from it.
Var columns(Var x, const List& kernel, const Sliding& s, int64_t groups) {
  const size_t spatial = kernel.size();
  List low(2, 0), high(2, 0);
  low.insert(low.end(), s.low.begin(), s.low.end());
  high.insert(high.end(), s.high.begin(), s.high.end());
  const List none(spatial, 0);
  const Var w = sliding_windows(pad(x, low, high), kernel, {s.step, none, none, s.dilation});
  const Shape from = w.shape();
  const List places(from.begin() + 2, from.begin() + 2 + static_cast<ptrdiff_t>(spatial));
  List perm{0, 1};
  for (size_t j = 0; j < spatial; ++j) perm.push_back(static_cast<int64_t>(2 + spatial + j));
  for (size_t j = 0; j < spatial; ++j) perm.push_back(static_cast<int64_t>(2 + j));
  return reshape(transpose(w, perm), {from[0], groups, from[1] / groups * product(kernel), product(places)});
}

Var convolve(Var x, Var w, const Sliding& s, int64_t groups) {
  return apply(convolution_op, {x, w},
               {{"step", s.step}, {"low", s.low}, {"high", s.high}, {"dilation", s.dilation}, {"groups", groups}});
}

namespace {

int64_t get_groups(const Attributes& a) {
  const auto groups = get<int64_t>(a, "groups");
  if (groups < 1) fail("expected at least 1 group, got {}", groups);
  return groups;
}

// x [n, c, ..] and weight [rows, columns, kernel..] of one dtype and rank.
void check_operands(const TensorType& x, const TensorType& w) {
  if (x.dtype != w.dtype) fail("expected two operands of one dtype, got {} and {}", name_of(x.dtype), name_of(w.dtype));
  if (x.shape.size() < 3 || w.shape.size() != x.shape.size())
    fail("expected [n, channels, spatial..] and [out, in, kernel..], got {} and {}", to_string(x.shape),
         to_string(w.shape));
  for (size_t d = 2; d < w.shape.size(); ++d)
    if (w.shape[d] < 1) fail("the kernel of {} is empty", to_string(w.shape));
}

// `channels`: what the weight says that x has.
void check_groups(const TensorType& x, const TensorType& w, int64_t groups, int64_t channels) {
  if (w.shape[0] % groups != 0 || x.shape[1] != channels)
    fail("{} groups do not fit {} channels and the weight {}", groups, x.shape[1], to_string(w.shape));
}

int64_t reach(int64_t kernel, int64_t dilation) { return checked_add(checked_mul(kernel - 1, dilation), 1); }

// Where each tap of each place lies in an image of x, or -1 outside: [places, kernel].
List taps_of(const Shape& x, const List& places, const List& kernel, const Sliding& s) {
  const Shape strides = dense_strides(x);
  List out;
  out.reserve(static_cast<size_t>(product(places) * product(kernel)));
  for (int64_t p = 0; p < product(places); ++p)
    for (int64_t k = 0; k < product(kernel); ++k) {
      int64_t place = p, tap = k, sum = 0;
      bool inside = true;
      for (size_t j = places.size(); j-- > 0;) {
        const int64_t at = place % places[j] * s.step[j] + tap % kernel[j] * s.dilation[j] - s.low[j];
        inside = inside && at >= 0 && at < x[2 + j];
        sum += at * strides[2 + j];
        place /= places[j], tap /= kernel[j];
      }
      out.push_back(inside ? sum : -1);
    }
  return out;
}

// visit(x index, w index, y index) for every product of the definition, by plain loops.
template <class Visit>
void for_each_product(const Shape& x, const Shape& w, const Shape& y, const Sliding& s, int64_t groups, Visit visit) {
  const List places = spatial_of(y), kernel = spatial_of(w), taps = taps_of(x, places, kernel, s);
  const int64_t image = product(spatial_of(x)), area = product(places), size = product(kernel), outs = w[0] / groups;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t o = 0; o < y[1]; ++o)
      for (int64_t p = 0; p < area; ++p)
        for (int64_t c = 0; c < w[1]; ++c) {
          const int64_t from = (n * x[1] + o / outs * w[1] + c) * image, weights = (o * w[1] + c) * size;
          for (int64_t k = 0; k < size; ++k)
            if (const int64_t tap = taps[static_cast<size_t>(p * size + k)]; tap >= 0)
              visit(static_cast<size_t>(from + tap), static_cast<size_t>(weights + k),
                    static_cast<size_t>((n * y[1] + o) * area + p));
        }
}

Reference zeros_of(const Node& n) {
  return {n.types[0].shape, std::vector<double>(static_cast<size_t>(element_count(n.types[0].shape)), 0.0)};
}

Attributes sliding(List step, List low, List high, List dilation, int64_t groups) {
  return {{"step", std::move(step)},
          {"low", std::move(low)},
          {"high", std::move(high)},
          {"dilation", std::move(dilation)},
          {"groups", groups}};
}

}  // namespace

const OpDef convolution_op{
    .name = "convolution",
    .category = Category::composite,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> Results {
      check_operands(t[0], t[1]);
      const Shape &x = t[0].shape, &w = t[1].shape;
      const Sliding s = get_sliding(a, x.size() - 2);
      const int64_t groups = get_groups(a);
      check_groups(t[0], t[1], groups, checked_mul(w[1], groups));
      TensorType out{t[0].dtype, {x[0], w[0]}};
      for (size_t j = 0; j + 2 < x.size(); ++j) {
        const int64_t padded = padded_extent(x[2 + j], s.low[j], s.high[j]);
        if (padded < reach(w[2 + j], s.dilation[j]))
          fail("a kernel of {} does not fit into dimension {} of {} with padding {} and {}",
               reach(w[2 + j], s.dilation[j]), 2 + j, to_string(x), s.low[j], s.high[j]);
        out.shape.push_back((padded - reach(w[2 + j], s.dilation[j])) / s.step[j] + 1);
      }
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = numeric,
    .reference =
        [](const ReferenceArguments& a) {
          Reference out = zeros_of(a.node);
          for_each_product(
              a.inputs[0]->shape, a.inputs[1]->shape, out.shape, sliding_of(a.node), a.node.integer("groups"),
              [&](size_t x, size_t w, size_t y) { out.values[y] += a.inputs[0]->values[x] * a.inputs[1]->values[w]; });
          return out;
        },
    .vjp =
        [](Args a) {
          const Var x = a.inputs[0], w = a.inputs[1], g = a.gradients[0];
          const Sliding s = sliding_of(a.node);
          const int64_t groups = a.node.integer("groups");
          return Vars{input_gradient(g, w, s, groups, spatial_of(x.shape())),
                      weight_gradient(g, x, w.shape(), s, groups)};
        },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const int64_t groups = n.integer("groups");
          const Shape w = x[1].shape();
          const Var c = columns(x[0], spatial_of(w), sliding_of(n), groups);
          const Shape matrices{groups, w[0] / groups, c.shape()[2]};
          Shape batch = matrices;
          batch.insert(batch.begin(), c.shape()[0]);
          return Vars{reshape(matmul(broadcast(reshape(x[1], matrices), batch, {1, 2, 3}), c), n.types[0].shape)};
        },
    .cost = 1000,
    .narrow = Narrow::always,
    .samples =
        [] {
          return std::vector<Sample>{
              {{{f32, {2, 3, 7}}, {f32, {4, 3, 3}}}, sliding({1}, {1}, {1}, {1}, 1)},
              {{{f32, {1, 4, 9}}, {f32, {2, 2, 2}}}, sliding({2}, {2}, {0}, {3}, 2)},
              {{{f32, {2, 2, 5, 6}}, {f32, {3, 2, 3, 2}}}, sliding({2, 1}, {1, 0}, {1, 1}, {1, 2}, 1)},
              {{{f32, {1, 3, 5, 4}}, {f32, {3, 1, 4, 4}}}, sliding({2, 2}, {1, 1}, {1, 1}, {1, 1}, 3)},
              {{{f32, {1, 1, 3, 3, 3}}, {f32, {2, 1, 2, 2, 2}}},
               sliding({1, 2, 1}, {0, 1, 0}, {0, 0, 1}, {1, 1, 1}, 1)},
              {{{f32, {1, 2, 7}}, {f32, {1, 2, 2}}}, sliding({3}, {-1}, {-1}, {1}, 1)},
              {{{f32, {1, 1, 1, 1}}, {f32, {1, 1, 1, 1}}}, sliding({1, 1}, {0, 0}, {0, 0}, {1, 1}, 1)},
              {{{f32, {0, 2, 5}}, {f32, {3, 2, 3}}}, sliding({1}, {0}, {0}, {1}, 1)}};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {1, 3, 5}}, {f32, {2, 2, 3}}},
               sliding({1}, {0}, {0}, {1}, 1),
               "1 groups do not fit 3 channels and the weight [2, 2, 3]"},
              {{{f32, {1, 2, 5}}, {f32, {2, 2, 6}}},
               sliding({1}, {0}, {0}, {1}, 1),
               "a kernel of 6 does not fit into dimension 2 of [1, 2, 5] with padding 0 and 0"},
              {{{f32, {1, 2}}, {f32, {2, 2}}},
               sliding({}, {}, {}, {}, 1),
               "expected [n, channels, spatial..] and [out, in, kernel..], got [1, 2] and [2, 2]"},
              {{{f32, {1, 2, 5}}, {f64, {2, 2, 3}}}, sliding({1}, {0}, {0}, {1}, 1), "of one dtype, got f32 and f64"},
              {{{f32, {1, 2, 5}}, {f32, {2, 2, 3}}},
               sliding({0}, {0}, {0}, {1}, 1),
               "step [0] and dilation [1] must be at least 1"}};
        }};

// The gradient of a convolution by its x, as an op of its own: x [n, c, spatial..], weight [c, o / groups,
// kernel..], result [n, o, (spatial - 1) step - low - high + (kernel - 1) dilation + 1 + extra]; `extra` elements,
// fewer than the step, resolve which of several sizes is meant.
const OpDef transposed_convolution_op{
    .name = "transposed_convolution",
    .category = Category::composite,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> Results {
      check_operands(t[0], t[1]);
      const Shape &x = t[0].shape, &w = t[1].shape;
      const size_t spatial = x.size() - 2;
      const Sliding s = get_sliding(a, spatial);
      const List& extra = get_list(a, "extra", spatial);
      const int64_t groups = get_groups(a);
      check_groups(t[0], t[1], groups, w[0]);
      TensorType out{t[0].dtype, {x[0], checked_mul(w[1], groups)}};
      for (size_t j = 0; j < spatial; ++j) {
        if (x[2 + j] < 1) fail("dimension {} of {} is empty", 2 + j, to_string(x));
        if (extra[j] < 0 || extra[j] >= s.step[j])
          fail("{} extra elements are not below the step {}", extra[j], s.step[j]);
        const int64_t full =
            checked_add(checked_add(checked_mul(x[2 + j] - 1, s.step[j]), reach(w[2 + j], s.dilation[j])), extra[j]);
        if (s.low[j] < 0 || s.high[j] < 0 || full <= checked_add(s.low[j], s.high[j]))
          fail("padding {} and {} do not fit dimension {} of {}", s.low[j], s.high[j], 2 + j, to_string(x));
        out.shape.push_back(full - s.low[j] - s.high[j]);
      }
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = numeric,
    .reference =
        [](const ReferenceArguments& a) {
          Reference out = zeros_of(a.node);
          for_each_product(
              out.shape, a.inputs[1]->shape, a.inputs[0]->shape, sliding_of(a.node), a.node.integer("groups"),
              [&](size_t y, size_t w, size_t x) { out.values[y] += a.inputs[0]->values[x] * a.inputs[1]->values[w]; });
          return out;
        },
    .vjp =
        [](Args a) {
          const Var x = a.inputs[0], w = a.inputs[1], g = a.gradients[0];
          const Sliding s = sliding_of(a.node);
          const int64_t groups = a.node.integer("groups");
          return Vars{convolve(g, w, s, groups), weight_gradient(x, g, w.shape(), s, groups)};
        },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          return Vars{input_gradient(x[0], x[1], sliding_of(n), n.integer("groups"), spatial_of(n.types[0].shape))};
        },
    .cost = 1000,
    .narrow = Narrow::always,
    .samples =
        [] {
          const auto with = [](Attributes a, List extra) {
            a["extra"] = std::move(extra);
            return a;
          };
          return std::vector<Sample>{
              {{{f32, {2, 3, 5}}, {f32, {3, 2, 3}}}, with(sliding({2}, {1}, {1}, {1}, 1), {1})},
              {{{f32, {1, 4, 3}}, {f32, {4, 1, 2}}}, with(sliding({1}, {0}, {1}, {2}, 2), {0})},
              {{{f32, {1, 2, 3, 2}}, {f32, {2, 2, 4, 3}}}, with(sliding({2, 3}, {1, 0}, {1, 1}, {1, 1}, 1), {0, 2})},
              {{{f32, {2, 3, 1, 1}}, {f32, {3, 2, 4, 4}}}, with(sliding({1, 1}, {0, 0}, {0, 0}, {1, 1}, 1), {0, 0})},
              {{{f32, {1, 1, 2, 2, 1}}, {f32, {1, 1, 2, 1, 2}}},
               with(sliding({2, 1, 1}, {0, 0, 0}, {0, 0, 0}, {1, 1, 1}, 1), {0, 0, 0})},
              {{{f32, {0, 2, 3}}, {f32, {2, 1, 2}}}, with(sliding({2}, {0}, {0}, {1}, 1), {0})}};
        },
    .bad_samples =
        [] {
          const auto with = [](Attributes a, List extra) {
            a["extra"] = std::move(extra);
            return a;
          };
          return std::vector<BadSample>{{{{f32, {1, 3, 5}}, {f32, {2, 2, 3}}},
                                         with(sliding({1}, {0}, {0}, {1}, 1), {0}),
                                         "1 groups do not fit 3 channels and the weight [2, 2, 3]"},
                                        {{{f32, {1, 2, 5}}, {f32, {2, 2, 3}}},
                                         with(sliding({2}, {0}, {0}, {1}, 1), {2}),
                                         "2 extra elements are not below the step 2"},
                                        {{{f32, {1, 2, 1}}, {f32, {2, 2, 3}}},
                                         with(sliding({1}, {2}, {2}, {1}, 1), {0}),
                                         "padding 2 and 2 do not fit dimension 2 of [1, 2, 1]"}};
        }};

// Every window as a column, as PyTorch's unfold: x [n, c, spatial..] -> [n, c * kernel, places]; `kernel` as attribute.
const OpDef unfold_op{
    .name = "unfold",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      if (t[0].shape.size() < 3) fail("expected [n, channels, spatial..], got {}", to_string(t[0].shape));
      const List kernel = get_list(a, "kernel", t[0].shape.size() - 2);
      Shape w{1, t[0].shape[1]};
      w.insert(w.end(), kernel.begin(), kernel.end());
      Attributes with_groups = a;
      with_groups["groups"] = int64_t{1};
      const std::vector<TensorType> types{t[0], {t[0].dtype, w}};
      const List places = spatial_of(convolution_op.infer(Types(types), with_groups)[0].shape);
      const TensorType out{t[0].dtype, {t[0].shape[0], checked_mul(t[0].shape[1], product(kernel)), product(places)}};
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = numeric,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          return Vars{reshape(columns(x[0], n.integers("kernel"), sliding_of(n), 1), n.types[0].shape)};
        },
    .samples =
        [] {
          const auto with = [](List kernel, Attributes a) {
            a["kernel"] = std::move(kernel);
            a.erase("groups");
            return a;
          };
          return std::vector<Sample>{{{{f32, {2, 3, 5, 4}}}, with({2, 3}, sliding({1, 2}, {1, 0}, {0, 1}, {1, 1}, 1))},
                                     {{{f32, {1, 2, 7}}}, with({3}, sliding({2}, {0}, {0}, {2}, 1))},
                                     {{{f32, {0, 2, 3}}}, with({3}, sliding({1}, {0}, {0}, {1}, 1))},
                                     {{{f32, {1, 1, 1}}}, with({1}, sliding({1}, {0}, {0}, {1}, 1))}};
        },
    .bad_samples =
        [] {
          Attributes a = sliding({1}, {0}, {0}, {1}, 1), wide = a;
          a["kernel"] = List{3};
          wide["kernel"] = List{9};
          return std::vector<BadSample>{
              {{{f32, {2, 5}}}, a, "expected [n, channels, spatial..], got [2, 5]"},
              {{{f32, {1, 2, 5}}}, wide, "a kernel of 9 does not fit into dimension 2 of [1, 2, 5]"},
              {{{f32, {1, 2, 5, 5}}}, a, "expected 2 numbers in 'kernel', got 1"}};
        }};

// The transpose of unfold: columns [n, c * kernel, places] added up into [n, c, extents..].
const OpDef fold_op{
    .name = "fold",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      check_rank(t[0], 3);
      const List& extents = get<List>(a, "extents");
      const List& kernel = get_list(a, "kernel", extents.size());
      if (product(kernel) < 1 || t[0].shape[1] % product(kernel) != 0)
        fail("{} rows are no multiple of the kernel {}", t[0].shape[1], to_string(kernel));
      TensorType out{t[0].dtype, {t[0].shape[0], t[0].shape[1] / product(kernel)}};
      out.shape.insert(out.shape.end(), extents.begin(), extents.end());
      const TensorType columns = unfold_op.infer(std::span(&out, 1), a)[0];
      if (columns.shape != t[0].shape)
        fail("expected columns {} for {}, got {}", to_string(columns.shape), to_string(out.shape),
             to_string(t[0].shape));
      return {out};
    },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const Shape to = n.types[0].shape;
          const List kernel = n.integers("kernel");
          const Sliding s = sliding_of(n);
          const auto spatial = static_cast<int64_t>(kernel.size());
          Shape apart_shape{to[0], to[1]};
          apart_shape.insert(apart_shape.end(), kernel.begin(), kernel.end());
          for (size_t j = 0; j < kernel.size(); ++j)
            apart_shape.push_back((to[2 + j] + s.low[j] + s.high[j] - reach(kernel[j], s.dilation[j])) / s.step[j] + 1);
          List perm{0, 1};
          for (int64_t j = 0; j < spatial; ++j) perm.push_back(2 + spatial + j);
          for (int64_t j = 0; j < spatial; ++j) perm.push_back(2 + j);
          return Vars{overlap_add(transpose(reshape(x[0], apart_shape), perm), s, n.integers("extents"))};
        },
    .samples =
        [] {
          const auto with = [](List kernel, List extents, Attributes a) {
            a["kernel"] = std::move(kernel);
            a["extents"] = std::move(extents);
            a.erase("groups");
            return a;
          };
          return std::vector<Sample>{
              {{{f32, {2, 12, 4}}}, with({2, 3}, {3, 4}, sliding({1, 2}, {0, 0}, {0, 1}, {1, 1}, 1))},
              {{{f32, {1, 6, 2}}}, with({3}, {7}, sliding({2}, {0}, {0}, {2}, 1))},
              {{{f32, {0, 3, 1}}}, with({3}, {3}, sliding({1}, {0}, {0}, {1}, 1))},
              {{{f32, {1, 1, 1}}}, with({1}, {1}, sliding({1}, {0}, {0}, {1}, 1))}};
        },
    .bad_samples =
        [] {
          Attributes a = sliding({1}, {0}, {0}, {1}, 1);
          a["kernel"] = List{3};
          a["extents"] = List{5};
          return std::vector<BadSample>{
              {{{f32, {2, 6, 4}}}, a, "expected columns [2, 6, 3] for [2, 2, 5], got [2, 6, 4]"},
              {{{f32, {2, 5, 3}}}, a, "5 rows are no multiple of the kernel [3]"},
              {{{f32, {2, 6}}}, a, "expected 3 dimensions, got f32[2,6]"}};
        }};

}  // namespace gmc::ops
