// Ops whose element is an element of the operand, found by an affine map of the index: slices, padding, windows.
// Readers see through them; where the map leaves the operand they see `value`.
#include "compiler/graph/core_rules.h"
#include "compiler/graph/indexing.h"

#include <algorithm>

namespace gmc::graph {
namespace {

using List = std::vector<int64_t>;

const List& list(const Attributes& a, const char* key, size_t size) {
  const List& out = get<List>(a, key);
  if (out.size() != size) fail("expected {} numbers in '{}', got {}", size, key, out.size());
  return out;
}

void check_axes(const List& axes, size_t rank) {
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] < 0 || axes[i] >= static_cast<int64_t>(rank) || (i > 0 && axes[i] <= axes[i - 1]))
      fail("axes {} must be increasing and below {}", to_string(axes), rank);
}

double value_of(const Node& n) { return n.attributes.count("value") ? n.number("value") : 0; }

// The identity of `rank` dimensions among `results` dimensions of the result.
AffineMap identity_map(size_t rank, size_t results) {
  AffineMap map{Shape(rank, 0), std::vector<Shape>(rank, Shape(results, 0)), 0};
  for (size_t d = 0; d < rank; ++d) map.steps[d][d] = 1;
  return map;
}

// The definition: looks the element up, index by index.
Reference look_up(const ReferenceArguments& a) {
  const Shape& from = a.inputs[0]->shape;
  const Shape& to = a.node.types[0].shape;
  const AffineMap map = a.node.op->affine(a.node, from);
  const double outside = to_dtype(a.node.types[0].dtype, f64, map.value);
  const Shape strides = dense_strides(from);
  Reference out{to, std::vector<double>(static_cast<size_t>(element_count(to)))};
  Shape index(to.size(), 0);
  for (double& element : out.values) {
    int64_t offset = 0;
    bool inside = true;
    for (size_t d = 0; d < from.size(); ++d) {
      int64_t at = map.base[d];
      for (size_t i = 0; i < to.size(); ++i) at += map.steps[d][i] * index[i];
      inside = inside && at >= 0 && at < from[d];
      offset += at * strides[d];
    }
    element = inside ? a.inputs[0]->values[static_cast<size_t>(offset)] : outside;
    for (size_t d = to.size(); d-- > 0;) {
      if (++index[d] < to[d]) break;
      index[d] = 0;
    }
  }
  return out;
}

// Extents that differ from the operand's along `axis` only.
Shape with_extent(Shape shape, size_t axis, int64_t extent) {
  shape[axis] = extent;
  return shape;
}

}  // namespace

// result[i] = operand[start + i * step], per dimension; a step may be negative, everything must lie inside.
const OpDef slice_op{
    .name = "slice",
    .category = Category::affine,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      const size_t rank = t[0].shape.size();
      const List &start = list(a, "start", rank), &step = list(a, "step", rank), &size = list(a, "shape", rank);
      for (size_t d = 0; d < rank; ++d) {
        if (step[d] == 0) fail("the step of axis {} is 0", d);
        if (size[d] < 0) fail("the extent of axis {} is {}", d, size[d]);
        if (size[d] == 0) continue;
        const int64_t extent = t[0].shape[d];
        const bool fits = start[d] >= 0 && start[d] < extent;
        const int64_t most = !fits ? 0 : step[d] > 0 ? (extent - 1 - start[d]) / step[d] : start[d] / (0 - step[d]);
        if (!fits || size[d] - 1 > most)
          fail("{} elements from {} in steps of {} leave axis {} of {}", size[d], start[d], step[d], d,
               to_string(t[0].shape));
      }
      return {TensorType{t[0].dtype, size}};
    },
    .dtypes = any_dtype,
    .reference = look_up,
    .affine =
        [](const Node& n, const Shape& from) {
          AffineMap map = identity_map(from.size(), from.size());
          map.base = n.integers("start");
          for (size_t d = 0; d < from.size(); ++d) map.steps[d][d] = n.integers("step")[d];
          return map;
        },
    .vjp =
        [](const VjpArguments& a) {
          const Shape& from = a.inputs[0].shape();
          Var g = a.gradients[0];
          List low(from.size()), high(from.size());
          for (size_t d = 0; d < from.size(); ++d) {
            int64_t start = a.node.integers("start")[d], step = a.node.integers("step")[d];
            const int64_t size = g.shape()[d];
            if (size == 0) start = 0;
            if (size > 0 && step < 0) {
              g = flip(g, {static_cast<int64_t>(d)});
              start += (size - 1) * step;
              step = -step;
            }
            g = dilate(g, static_cast<int64_t>(d), size > 1 ? step : 1);
            low[d] = start;
            high[d] = from[d] - start - g.shape()[d];
          }
          return std::vector<Var>{pad(g, low, high)};
        },
    .simplify =
        [](Graph& g, const Node& n, Vars x) {
          const List& step = n.integers("step");
          const bool same =
              g.type(x[0].value) == n.types[0] && std::count(step.begin(), step.end(), 1) == std::ssize(step);
          return same ? x[0] : Var{};
        },
    .cost = 0,
    .samples =
        [] {
          auto with = [](Shape from, List start, List step, List size) {
            return Sample{{{f32, std::move(from)}},
                          {{"start", std::move(start)}, {"step", std::move(step)}, {"shape", std::move(size)}}};
          };
          return std::vector<Sample>{with({4, 7}, {1, 2}, {1, 1}, {2, 5}),
                                     with({5, 19}, {0, 18}, {2, -3}, {3, 6}),
                                     with({2, 3, 17}, {1, 2, 0}, {-1, -1, 1}, {2, 3, 17}),
                                     with({7}, {6}, {-1}, {7}),
                                     with({4, 5}, {0, 0}, {1, 1}, {0, 5}),
                                     with({}, {}, {}, {})};
        },
    .bad_samples =
        [] {
          auto with = [](List start, List step, List size, const char* message) {
            return BadSample{{{f32, {4}}},
                             {{"start", std::move(start)}, {"step", std::move(step)}, {"shape", std::move(size)}},
                             message};
          };
          return std::vector<BadSample>{with({0}, {0}, {1}, "the step of axis 0 is 0"),
                                        with({2}, {1}, {3}, "3 elements from 2 in steps of 1 leave axis 0 of [4]"),
                                        with({0, 0}, {1}, {1}, "expected 1 numbers in 'start', got 2"),
                                        with({-1}, {1}, {1}, "leave axis 0"), with({1}, {-1}, {3}, "leave axis 0")};
        }};

// `low` elements of `value` in front of and `high` behind the operand, per dimension.
const OpDef pad_op{
    .name = "pad",
    .category = Category::affine,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      const size_t rank = t[0].shape.size();
      const List &low = list(a, "low", rank), &high = list(a, "high", rank);
      TensorType out = t[0];
      for (size_t d = 0; d < rank; ++d) {
        if (low[d] < 0 || high[d] < 0) fail("padding {} and {} of axis {} must not be negative", low[d], high[d], d);
        out.shape[d] = checked_add(checked_add(low[d], high[d]), out.shape[d]);
      }
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = any_dtype,
    .reference = look_up,
    .affine =
        [](const Node& n, const Shape& from) {
          AffineMap map = identity_map(from.size(), from.size());
          for (size_t d = 0; d < from.size(); ++d) map.base[d] = -n.integers("low")[d];
          map.value = value_of(n);
          return map;
        },
    .vjp =
        [](const VjpArguments& a) {
          const Shape& from = a.inputs[0].shape();
          return std::vector<Var>{slice(a.gradients[0], a.node.integers("low"), List(from.size(), 1), from)};
        },
    .simplify = [](Graph& g, const Node& n, Vars x) { return g.type(x[0].value) == n.types[0] ? x[0] : Var{}; },
    .cost = 0,
    .samples =
        [] {
          auto with = [](Shape from, List low, List high, double value) {
            return Sample{{{f32, std::move(from)}},
                          {{"low", std::move(low)}, {"high", std::move(high)}, {"value", value}}};
          };
          return std::vector<Sample>{with({4, 7}, {1, 0}, {0, 2}, 0), with({2, 3, 5}, {0, 2, 1}, {1, 0, 3}, -1.5),
                                     with({0, 3}, {2, 0}, {1, 0}, 4), with({7}, {0}, {13}, 0)};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {4}}}, {{"low", List{-1}}, {"high", List{0}}}, "padding -1 and 0 of axis 0 must not be negative"},
              {{{f32, {4}}}, {{"low", List{1}}, {"high", List{}}}, "expected 1 numbers in 'high', got 0"},
              {{{f32, {4}}}, {{"low", List{1}}}, "attribute 'high' is missing"}};
        }};

// Sliding windows (im2col): dimension axes[j] of the operand becomes the number of windows along it, and the windows'
// own dimensions follow behind all others. Element (.., o, .., k) is operand[.., o * step + k * dilation - low, ..],
// and `value` outside.
const OpDef windows_op{
    .name = "windows",
    .category = Category::affine,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      const List& axes = get<List>(a, "axes");
      check_axes(axes, t[0].shape.size());
      const size_t count = axes.size();
      const List &size = list(a, "size", count), &step = list(a, "step", count), &low = list(a, "low", count),
                 &high = list(a, "high", count), &dilation = list(a, "dilation", count);
      TensorType out = t[0];
      for (size_t j = 0; j < count; ++j) {
        int64_t& extent = out.shape[static_cast<size_t>(axes[j])];
        if (size[j] < 1 || step[j] < 1 || dilation[j] < 1)
          fail("window {}, step {} and dilation {} of axis {} must be at least 1", size[j], step[j], dilation[j],
               axes[j]);
        const int64_t reach = checked_add(checked_mul(size[j] - 1, dilation[j]), 1);
        const int64_t padded = padded_extent(extent, low[j], high[j]);
        if (padded < reach)
          fail("a window of {} does not fit into axis {} of {} with padding {} and {}", reach, axes[j],
               to_string(t[0].shape), low[j], high[j]);
        extent = (padded - reach) / step[j] + 1;
      }
      out.shape.insert(out.shape.end(), size.begin(), size.end());
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = any_dtype,
    .reference = look_up,
    .affine =
        [](const Node& n, const Shape& from) {
          const List& axes = n.integers("axes");
          AffineMap map = identity_map(from.size(), from.size() + axes.size());
          for (size_t j = 0; j < axes.size(); ++j) {
            const auto d = static_cast<size_t>(axes[j]);
            map.base[d] = -n.integers("low")[j];
            map.steps[d][d] = n.integers("step")[j];
            map.steps[d][from.size() + j] = n.integers("dilation")[j];
          }
          map.value = value_of(n);
          return map;
        },
    .vjp =
        [](const VjpArguments& a) {
          const Shape& from = a.inputs[0].shape();
          const List& axes = a.node.integers("axes");
          Var g = a.gradients[0];
          List kernels, extents;
          for (size_t j = 0; j < axes.size(); ++j) {
            const auto d = static_cast<size_t>(axes[j]);
            g = dilate(g, axes[j], g.shape()[d] > 1 ? a.node.integers("step")[j] : 1);
            kernels.push_back(static_cast<int64_t>(from.size() + j));
            extents.push_back(from[d]);
          }
          g = skew(g, axes, kernels, a.node.integers("low"), a.node.integers("dilation"), extents);
          return std::vector<Var>{kernels.empty() ? g : sum(g, kernels)};
        },
    .cost = 0,
    .samples =
        [] {
          auto with = [](Shape from, List axes, List size, List step, List low, List high, List dilation,
                         double value) {
            return Sample{{{f32, std::move(from)}},
                          {{"axes", std::move(axes)},
                           {"size", std::move(size)},
                           {"step", std::move(step)},
                           {"low", std::move(low)},
                           {"high", std::move(high)},
                           {"dilation", std::move(dilation)},
                           {"value", value}}};
          };
          return std::vector<Sample>{with({9}, {0}, {3}, {1}, {0}, {0}, {1}, 0),
                                     with({2, 7}, {1}, {3}, {2}, {1}, {1}, {1}, 0),
                                     with({5, 6}, {0, 1}, {2, 3}, {1, 2}, {1, 0}, {0, 2}, {2, 1}, 0),
                                     with({2, 1, 5, 4}, {2, 3}, {3, 2}, {2, 1}, {1, 1}, {1, 0}, {1, 1}, -2),
                                     with({6}, {0}, {2}, {3}, {-1}, {0}, {2}, 0)};
        },
    .bad_samples =
        [] {
          auto with = [](List axes, List size, List step, const char* message) {
            return BadSample{{{f32, {4, 5}}},
                             {{"axes", std::move(axes)},
                              {"size", std::move(size)},
                              {"step", std::move(step)},
                              {"low", List{0}},
                              {"high", List{0}},
                              {"dilation", List{1}}},
                             message};
          };
          return std::vector<BadSample>{
              with({2}, {1}, {1}, "axes [2] must be increasing and below 2"),
              with({1}, {0}, {1}, "window 0, step 1 and dilation 1 of axis 1 must be at least 1"),
              with({0}, {5}, {1}, "a window of 5 does not fit into axis 0 of [4, 5]"),
              with({0}, {1, 1}, {1}, "expected 1 numbers in 'size', got 2")};
        }};

// The transpose of windows, before its sum: dimension axes[j] gets extents[j], and element (.., i, .., k) is
// operand[.., i + low - k * dilation, .., k], 0 outside; k is the index along kernels[j].
const OpDef skew_op{
    .name = "skew",
    .category = Category::affine,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      const List& axes = get<List>(a, "axes");
      check_axes(axes, t[0].shape.size());
      const List& kernels = list(a, "kernels", axes.size());
      check_axes(kernels, t[0].shape.size());
      list(a, "low", axes.size()), list(a, "dilation", axes.size());
      const List& extents = list(a, "extents", axes.size());
      TensorType out = t[0];
      for (size_t j = 0; j < axes.size(); ++j) {
        if (std::find(kernels.begin(), kernels.end(), axes[j]) != kernels.end())
          fail("axis {} is among the kernels {}", axes[j], to_string(kernels));
        if (extents[j] < 0) fail("the extent of axis {} is {}", axes[j], extents[j]);
        out.shape[static_cast<size_t>(axes[j])] = extents[j];
      }
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = any_dtype,
    .reference = look_up,
    .affine =
        [](const Node& n, const Shape& from) {
          AffineMap map = identity_map(from.size(), from.size());
          for (size_t j = 0; j < n.integers("axes").size(); ++j) {
            const auto d = static_cast<size_t>(n.integers("axes")[j]);
            map.base[d] = n.integers("low")[j];
            map.steps[d][static_cast<size_t>(n.integers("kernels")[j])] = -n.integers("dilation")[j];
          }
          return map;
        },
    .vjp =
        [](const VjpArguments& a) {
          const List& axes = a.node.integers("axes");
          List low, dilation, extents;
          for (size_t j = 0; j < axes.size(); ++j) {
            low.push_back(-a.node.integers("low")[j]);
            dilation.push_back(-a.node.integers("dilation")[j]);
            extents.push_back(a.inputs[0].shape()[static_cast<size_t>(axes[j])]);
          }
          return std::vector<Var>{skew(a.gradients[0], axes, a.node.integers("kernels"), low, dilation, extents)};
        },
    .cost = 0,
    .samples =
        [] {
          auto with = [](Shape from, List axes, List kernels, List low, List dilation, List extents) {
            return Sample{{{f32, std::move(from)}},
                          {{"axes", std::move(axes)},
                           {"kernels", std::move(kernels)},
                           {"low", std::move(low)},
                           {"dilation", std::move(dilation)},
                           {"extents", std::move(extents)}}};
          };
          return std::vector<Sample>{with({7, 3}, {0}, {1}, {0}, {1}, {9}), with({2, 5, 3}, {1}, {2}, {1}, {2}, {7}),
                                     with({4, 5, 2, 3}, {0, 1}, {2, 3}, {0, 1}, {-1, 1}, {5, 6})};
        },
    .bad_samples =
        [] {
          auto with = [](List axes, List kernels, List extents, const char* message) {
            return BadSample{{{f32, {4, 5}}},
                             {{"axes", std::move(axes)},
                              {"kernels", std::move(kernels)},
                              {"low", List{0}},
                              {"dilation", List{1}},
                              {"extents", std::move(extents)}},
                             message};
          };
          return std::vector<BadSample>{with({0}, {0}, {3}, "axis 0 is among the kernels [0]"),
                                        with({0}, {1}, {-1}, "the extent of axis 0 is -1"),
                                        with({3}, {1}, {3}, "axes [3] must be increasing and below 2")};
        }};

Var slice(Var x, List start, List step, const Shape& size) {
  return apply(slice_op, {x}, {{"start", std::move(start)}, {"step", std::move(step)}, {"shape", size}});
}

Var slice(Var x, int64_t axis, int64_t begin, int64_t end, int64_t step) {
  const auto d = static_cast<size_t>(axis);
  List start(x.shape().size(), 0), steps(start.size(), 1);
  start[d] = begin;
  steps[d] = step;
  const int64_t count = step > 0 ? (end - begin + step - 1) / step : (begin - end - step - 1) / (0 - step);
  return slice(x, start, steps, with_extent(x.shape(), d, std::max<int64_t>(0, count)));
}

Var flip(Var x, const List& axes) {
  List start(x.shape().size(), 0), step(start.size(), 1);
  for (int64_t axis : axes) {
    start[static_cast<size_t>(axis)] = std::max<int64_t>(0, x.shape()[static_cast<size_t>(axis)] - 1);
    step[static_cast<size_t>(axis)] = -1;
  }
  return slice(x, start, step, x.shape());
}

Var pad(Var x, List low, List high, double value) {
  // What is negative is cut off.
  const Shape from = x.shape();
  List start(from.size(), 0);
  Shape size = from;
  for (size_t d = 0; d < from.size(); ++d) {
    // What is cut beyond all elements comes off the padding at the other end.
    int64_t front = std::max<int64_t>(0, -low[d]), behind = std::max<int64_t>(0, -high[d]);
    low[d] = std::max<int64_t>(0, low[d]);
    high[d] = std::max<int64_t>(0, high[d]);
    high[d] = std::max<int64_t>(0, high[d] - std::max<int64_t>(0, front - from[d]));
    front = std::min(front, from[d]);
    low[d] = std::max<int64_t>(0, low[d] - std::max<int64_t>(0, behind - (from[d] - front)));
    behind = std::min(behind, from[d] - front);
    size[d] = from[d] - front - behind;
    start[d] = size[d] == 0 ? 0 : front;
  }
  if (size != from) x = slice(x, start, List(from.size(), 1), size);
  return apply(pad_op, {x}, {{"low", std::move(low)}, {"high", std::move(high)}, {"value", value}});
}

Var dilate(Var x, int64_t axis, int64_t step) {
  const Shape from = x.shape();
  const auto d = static_cast<size_t>(axis);
  if (step == 1 || from[d] == 0) return x;
  // Each element gets step - 1 zeros behind it along a dimension of its own; those behind the last are cut off.
  Shape apart = from;
  apart.insert(apart.begin() + axis + 1, 1);
  List low(apart.size(), 0), high(apart.size(), 0);
  high[d + 1] = step - 1;
  const Var spread = reshape(pad(reshape(x, apart), low, high), with_extent(from, d, from[d] * step));
  return slice(spread, axis, 0, (from[d] - 1) * step + 1);
}

Var windows(Var x, List axes, List size, List step, List low, List high, List dilation, double value) {
  return apply(windows_op, {x},
               {{"axes", std::move(axes)},
                {"size", std::move(size)},
                {"step", std::move(step)},
                {"low", std::move(low)},
                {"high", std::move(high)},
                {"dilation", std::move(dilation)},
                {"value", value}});
}

Var skew(Var x, List axes, List kernels, List low, List dilation, List extents) {
  return apply(skew_op, {x},
               {{"axes", std::move(axes)},
                {"kernels", std::move(kernels)},
                {"low", std::move(low)},
                {"dilation", std::move(dilation)},
                {"extents", std::move(extents)}});
}

}  // namespace gmc::graph
