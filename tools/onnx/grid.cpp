// Reading between elements at places that are data.
#include "tools/onnx/build.h"

#include <functional>
#include <numeric>

namespace gmc::onnx {
namespace {

using graph::cast;
using graph::less;
using graph::select;
using List = std::vector<int64_t>;

Var floor_of(Var x) { return apply_named("floor", {x}); }

// Turned round at both ends until it lies inside.
Var reflected(Var x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return number_like(x, low) + x * 0.0;
  const Var under = low - x, over = x - high;
  const Var beyond = maximum(maximum(under, over), number_like(x, 0));
  const Var turns = floor_of(beyond / range), rest = beyond - turns * range;
  const Var odd = turns - 2.0 * floor_of(turns / 2.0);
  const Var is_odd = less(number_like(x, 0.5), odd), is_under = less(number_like(x, 0), under);
  const Var from_low = rest + low, from_high = high - rest;
  const Var turned = select(is_under, select(is_odd, from_high, from_low), select(is_odd, from_low, from_high));
  return select(less(number_like(x, 0), beyond), turned, x);
}

struct Sampler {
  Var x;  // [N, C, extents..]
  std::string mode, padding;
  bool align = false;
  Shape extents, space;  // of x; [N, C, places..]

  double low() const { return align ? 0 : -0.5; }
  double high(size_t d) const { return static_cast<double>(extents[d]) - (align ? 1 : 0.5); }

  // Elements at whole numbers, [N, places..] per dimension.
  Var at(const std::vector<Var>& places) const {
    std::vector<Var> indices;
    Var inside;
    List axes, dims{0, 1};
    for (size_t d = 0; d < places.size(); ++d) {
      const auto last = static_cast<double>(extents[d] - 1);
      Var p = places[d];
      if (padding == "reflection") p = reflected(p, low(), high(d));
      const Var here = both(less_or_equal(number_like(p, 0), p), less_or_equal(p, number_like(p, last)));
      inside = inside.valid() ? both(inside, here) : here;
      p = maximum(minimum(p, number_like(p, last)), number_like(p, 0));
      indices.push_back(spread(cast(p, DType::i64)));
      axes.push_back(static_cast<int64_t>(d) + 2);
      dims.push_back(-1);
    }
    const Var value = graph::gather(x, indices, axes, dims);
    return padding == "zeros" ? select(spread(inside), value, number_like(value, 0)) : value;
  }

  // [N, places..] over the channels.
  Var spread(Var v) const {
    List dims{0};
    for (int64_t i = 2; i < std::ssize(space); ++i) dims.push_back(i);
    return graph::broadcast(v, space, dims);
  }
};

// Weights of the taps at floor(x) + first, + first + 1, ... for the fraction f of x.
std::vector<Var> weights(const std::string& mode, Var f) {
  if (mode == "linear") return {1.0 - f, f};
  const double a = -0.75;
  const auto near = [&](Var d) { return ((a + 2) * d - (a + 3)) * d * d + 1.0; };
  const auto far = [&](Var d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(f + 1.0), near(f), near(1.0 - f), far(2.0 - f)};
}

std::vector<Value> grid_sample(Call& c) {
  const Shape xs = c[0].shape(), gs = c[1].shape();
  const size_t rank = xs.size() < 3 ? 0 : xs.size() - 2;
  if (rank < 1 || gs.size() != xs.size() || gs[0] != xs[0] || gs.back() != static_cast<int64_t>(rank))
    fail("a grid {} for {}", to_string(gs), to_string(xs));
  Sampler s{.x = c[0],
            .mode = c.text("mode", c.version >= 20 ? "linear" : "bilinear"),
            .padding = c.text("padding_mode", "zeros"),
            .align = c.integer("align_corners", 0) != 0,
            .extents = {xs.begin() + 2, xs.end()},
            .space = {xs[0], xs[1]}};
  if (s.mode == "bilinear") s.mode = "linear";
  if (s.mode == "bicubic") s.mode = "cubic";
  if (s.mode != "linear" && s.mode != "cubic" && s.mode != "nearest")
    fail("attribute 'mode': there is no '{}'", plain_name(s.mode));
  if (s.padding != "zeros" && s.padding != "border" && s.padding != "reflection")
    fail("attribute 'padding_mode': there is no '{}'", plain_name(s.padding));
  s.space.insert(s.space.end(), gs.begin() + 1, gs.end() - 1);
  std::vector<Var> whole, fraction;
  for (size_t d = 0; d < rank; ++d) {
    const auto n = static_cast<double>(s.extents[d]);
    // The grid names the last dimension first, -1 and 1 being the ends.
    const auto k = static_cast<int64_t>(rank - 1 - d), last = std::ssize(gs) - 1;
    Var p = cast(squeezed(graph::slice(c[1], last, k, k + 1), last), c[0].type().dtype);
    p = s.align ? (p + 1.0) * ((n - 1) / 2) : ((p + 1.0) * n - 1.0) / 2.0;
    if (s.mode == "nearest") p = apply_named("round", {p});
    const Var outside = either(less(p, number_like(p, s.low())), less(number_like(p, s.high(d)), p));
    if (s.padding == "border") p = select(outside, maximum(minimum(p, number_like(p, n - 1)), number_like(p, 0)), p);
    if (s.padding == "reflection") p = select(outside, reflected(p, s.low(), s.high(d)), p);
    whole.push_back(s.mode == "nearest" ? p : floor_of(p));
    fraction.push_back(p - whole.back());
  }
  if (s.mode == "nearest") return one(s.at(whole));
  std::vector<std::vector<Var>> w;
  for (const Var& f : fraction) w.push_back(weights(s.mode, f));
  const double first = s.mode == "linear" ? 0 : -1;
  // Every combination of taps.
  Var out;
  std::vector<Var> places(rank);
  const std::function<void(size_t, Var)> sum = [&](size_t d, Var weight) {
    if (d == rank) {
      const Var term = s.at(places) * s.spread(weight);
      out = out.valid() ? out + term : term;
      return;
    }
    for (size_t i = 0; i < w[d].size(); ++i) {
      places[d] = whole[d] + (first + static_cast<double>(i));
      sum(d + 1, weight.valid() ? weight * w[d][i] : w[d][i]);
    }
  };
  sum(0, Var{});
  return one(out);
}

// Coordinates of a grid under affine maps [N, 2, 3] or [N, 3, 4].
std::vector<Value> affine_grid(Call& c) {
  const List size = c.integers(1);
  const size_t rank = size.size() < 3 ? 0 : size.size() - 2;
  const auto r = static_cast<int64_t>(rank);
  if ((rank != 2 && rank != 3) || c[0].shape() != Shape{size[0], r, r + 1})
    fail("maps {} for {}", to_string(c[0].shape()), to_string(size));
  const bool align = c.integer("align_corners", 0) != 0;
  const Shape extents(size.begin() + 2, size.end());
  for (const int64_t e : extents)
    if (e < 1) fail("a grid {}", to_string(size));
  const DType dtype = c[0].type().dtype;
  Shape column = extents;
  column.push_back(1);
  std::vector<Var> columns;
  for (size_t k = 0; k < rank; ++k) {
    const size_t d = rank - 1 - k;  // the last dimension comes first
    const auto n = static_cast<double>(extents[d]);
    const Var i = graph::index(c.graph(), static_cast<int64_t>(d), {dtype, column});
    columns.push_back(align ? (n > 1 ? i * (2 / (n - 1)) - 1.0 : i - 1.0) : (i * 2.0 + 1.0) / n - 1.0);
  }
  columns.push_back(graph::constant(c.graph(), 1, {dtype, column}));
  const int64_t count = element_count(extents);
  const Var base = graph::broadcast_to(graph::reshape(concat(columns, r), {1, count, r + 1}), {size[0], count, r + 1});
  Shape to{size[0]};
  to.insert(to.end(), extents.begin(), extents.end());
  to.push_back(r);
  return one(graph::reshape(graph::matmul(base, c[0], false, true), to));
}

// Where an interpolated place lies between elements; outside there is nothing.
struct Between {
  Var low, high, fraction, inside;  // i64, i64, floating, bool
};
Between between(Var p, int64_t extent) {
  const auto n = static_cast<double>(extent);
  const Var inside = both(less_or_equal(number_like(p, -1), p), less_or_equal(p, number_like(p, n)));
  const Var clamped = maximum(minimum(p, number_like(p, n - 1)), number_like(p, 0));
  const Var low = floor_of(clamped), high = minimum(low + 1.0, number_like(p, n - 1));
  return {cast(low, DType::i64), cast(high, DType::i64), clamped - low, inside};
}

// Means of `ratio`^2 interpolated elements in every bin of regions of interest (He et al. 2017).
std::vector<Value> roi_align(Call& c) {
  const Shape xs = c[0].shape(), rs = c[1].shape();
  if (xs.size() != 4 || rs.size() != 2 || rs[1] != 4) fail("regions {} of {}", to_string(rs), to_string(xs));
  if (c.text("mode", "avg") != "avg") unsupported("the maximum of weighted elements");
  const int64_t ratio = c.integer("sampling_ratio", 0), r = rs[0];
  if (ratio < 1) unsupported("a number of samples that depends on data");
  const Shape bins{c.integer("output_height", 1), c.integer("output_width", 1)};
  if (bins[0] < 1 || bins[1] < 1 || ratio > 1000) fail("bins {} of {} samples", to_string(bins), ratio);
  const bool half = c.version >= 16 && c.text("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  const double scale = c.number("spatial_scale", 1), offset = half ? 0.5 : 0;
  const auto corner = [&](int64_t i) { return graph::slice(c[1], 1, i, i + 1) * scale - offset; };  // [R, 1]
  // Samples along one dimension, [R, bins * ratio].
  const auto places = [&](int64_t first, size_t d) {
    const Var start = corner(first);
    Var size = corner(first + 2) - start;
    if (!half) size = maximum(size, number_like(size, 1));
    const Var at = along(iota(c.graph(), bins[d] * ratio, c[0].type().dtype), 1, 2);
    return between(start + (at + 0.5) * (size / static_cast<double>(bins[d] * ratio)), xs[d + 2]);
  };
  const Between y = places(1, 0), x = places(0, 1);
  const Shape space{r, xs[1], bins[0] * ratio, bins[1] * ratio};
  const auto rows = [&](Var v) { return graph::broadcast(v, space, {0, 2}); };
  const auto columns = [&](Var v) { return graph::broadcast(v, space, {0, 3}); };
  const Var image = graph::broadcast(cast(c[2], DType::i64), space, {0});
  const auto at = [&](Var h, Var w) {
    return graph::gather(c[0], {image, rows(h), columns(w)}, {0, 2, 3}, {-1, 1, -1, -1});
  };
  const Var fy = rows(y.fraction), fx = columns(x.fraction);
  const Var value = (1.0 - fy) * ((1.0 - fx) * at(y.low, x.low) + fx * at(y.low, x.high)) +
                    fy * ((1.0 - fx) * at(y.high, x.low) + fx * at(y.high, x.high));
  const Var kept = select(both(rows(y.inside), columns(x.inside)), value, number_like(value, 0));
  const Var sum = graph::sum(graph::reshape(kept, {r, xs[1], bins[0], ratio, bins[1], ratio}), {3, 5});
  return one(sum / static_cast<double>(ratio * ratio));
}

constexpr Row rows[] = {
    {"AffineGrid", affine_grid},
    {"GridSample", grid_sample},
    {"RoiAlign", roi_align},
};

}  // namespace

std::span<const Row> grid_rows() { return rows; }

}  // namespace gmc::onnx
