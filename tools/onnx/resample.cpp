// Resizing: every axis by itself, as weighted sums of elements at places that are known beforehand.
#include "tools/onnx/build.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gmc::onnx {
namespace {

using List = std::vector<int64_t>;

struct Method {
  std::string mode, coordinates, nearest;
  double cubic = -0.75, outside_value = 0;
  bool exclude_outside = false, antialias = false;
};

struct Axis {
  int64_t from = 0, to = 0;
  double scale = 1, start = 0, end = 1;  // of the part that is resized, of tf_crop_and_resize
};

// Where element `o` of the result lies among the elements of the operand.
double place(const Method& m, const Axis& a, int64_t o) {
  // The width that the scale asks for, before it is rounded to elements.
  const auto x = static_cast<double>(o), from = static_cast<double>(a.from), width = a.scale * from;
  if (m.coordinates == "half_pixel") return (x + 0.5) / a.scale - 0.5;
  if (m.coordinates == "half_pixel_symmetric") {
    const double adjustment = static_cast<double>(a.to) / width, offset = from / 2 * (1 - adjustment);
    return offset + (x + 0.5) / a.scale - 0.5;
  }
  if (m.coordinates == "pytorch_half_pixel") return a.to > 1 ? (x + 0.5) / a.scale - 0.5 : 0;
  if (m.coordinates == "align_corners") return a.to > 1 ? x * (from - 1) / (width - 1) : 0;
  if (m.coordinates == "asymmetric") return x / a.scale;
  if (m.coordinates == "tf_half_pixel_for_nn") return (x + 0.5) / a.scale;
  if (m.coordinates == "tf_crop_and_resize")
    return a.to > 1 ? a.start * (from - 1) + x * (a.end - a.start) * (from - 1) / (width - 1)
                    : 0.5 * (a.start + a.end) * (from - 1);
  fail("attribute 'coordinate_transformation_mode': there is no '{}'", plain_name(m.coordinates));
}

int64_t nearest(const Method& m, double x) {
  const double low = std::floor(x), fraction = x - low;
  double at = low;
  if (m.nearest == "round_prefer_floor")
    at = fraction <= 0.5 ? low : low + 1;
  else if (m.nearest == "round_prefer_ceil")
    at = fraction < 0.5 ? low : low + 1;
  else if (m.nearest == "ceil")
    at = std::ceil(x);
  else if (m.nearest != "floor")
    fail("attribute 'nearest_mode': there is no '{}'", plain_name(m.nearest));
  return static_cast<int64_t>(at);
}

// Keys 1981 with parameter a: the weight of an element at distance d.
double cubic_weight(double d, double a) {
  d = std::fabs(d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

// The elements that count for place x and their weights.
struct Taps {
  int64_t first = 0;
  std::vector<double> weights;
};
Taps taps(const Method& m, const Axis& a, double x) {
  if (m.mode == "nearest") return {nearest(m, x), {1}};
  const bool linear = m.mode == "linear";
  // Against aliasing the kernel is stretched over all elements that a smaller result stands for.
  const double stretch = m.antialias ? std::min(a.scale, 1.0) : 1;
  const double reach = (linear ? 1 : 2) / stretch, low = std::floor(x);
  Taps t;
  const auto before = static_cast<int64_t>(std::floor(-reach)) + 1;
  t.first = static_cast<int64_t>(low) + before;
  const int64_t count = 2 - 2 * before;
  if (count > 4096) unsupported("{} elements for one of the result", count);
  for (int64_t i = 0; i < count; ++i) {
    const double d = (static_cast<double>(before + i) - (x - low)) * stretch;
    t.weights.push_back(linear ? std::max(0.0, 1 - std::fabs(d)) : cubic_weight(d, m.cubic));
  }
  double sum = 0;
  for (size_t i = 0; i < t.weights.size(); ++i) {
    const int64_t at = t.first + static_cast<int64_t>(i);
    if (m.exclude_outside && (at < 0 || at >= a.from)) t.weights[i] = 0;
    sum += t.weights[i];
  }
  if (m.exclude_outside || m.antialias)
    for (double& w : t.weights) w /= sum;
  return t;
}

Var resize_axis(Var x, int64_t axis, const Method& m, const Axis& a) {
  if (a.to > 10'000'000) unsupported("{} elements along a resized axis", a.to);
  std::vector<Taps> all;
  size_t width = 0;
  for (int64_t o = 0; o < a.to; ++o) {
    all.push_back(taps(m, a, place(m, a, o)));
    width = std::max(width, all.back().weights.size());
    check_table(a.to, static_cast<int64_t>(width));
  }
  Var out;
  const auto rank = std::ssize(x.shape());
  for (size_t k = 0; k < width; ++k) {
    List at;
    std::vector<double> weights;
    for (const Taps& t : all) {
      at.push_back(std::clamp<int64_t>(t.first + static_cast<int64_t>(k), 0, a.from - 1));
      weights.push_back(t.weights[k]);
    }
    if (std::all_of(weights.begin(), weights.end(), [](double w) { return w == 0; })) continue;
    Var term = take(x, at, axis);
    if (m.mode != "nearest")
      term = term * along(graph::literal(*x.graph, weights, {x.type().dtype, {a.to}}), axis, rank);
    out = out.valid() ? out + term : term;
  }
  if (m.coordinates != "tf_crop_and_resize") return out;
  std::vector<double> inside;
  for (int64_t o = 0; o < a.to; ++o) {
    const double p = place(m, a, o);
    inside.push_back(p >= 0 && p <= static_cast<double>(a.from - 1) ? 1 : 0);
  }
  const Var kept = along(graph::literal(*x.graph, inside, {DType::boolean, {a.to}}), axis, rank);
  return graph::select(kept, out, number_like(out, m.outside_value));
}

std::vector<Value> resize_axes(Call& c, const Method& m, const std::vector<Axis>& axes) {
  Var x = c[0];
  const DType dtype = x.type().dtype;
  for (size_t d = 0; d < axes.size(); ++d) {
    const Axis& a = axes[d];
    if (a.to < 0 || !(a.scale > 0) || (a.from == 0 && a.to > 0))
      fail("axis {} of {} by {}", d, to_string(c[0].shape()), a.scale);
    if (a.from == a.to && a.scale == 1 && m.coordinates != "tf_crop_and_resize") continue;
    if (a.to == 0) {
      List low(axes.size(), 0), high = low;
      high[d] = -a.from;
      x = graph::pad(x, low, high);
      continue;
    }
    if (m.mode != "nearest" && !is_float(dtype)) unsupported("sums of {}", name_of(dtype));
    x = resize_axis(x, static_cast<int64_t>(d), m, a);
  }
  return one(x);
}

// Extents are multiplied as f32, as the standard's shape inference does: 10 by 0.7f is 7.
int64_t scaled(int64_t extent, double scale) {
  const float to = std::floor(static_cast<float>(extent) * static_cast<float>(scale));
  if (!(to >= 0 && to < 0x1p40)) fail("a scale of {}", scale);
  return static_cast<int64_t>(to);
}

// Upsample, and Resize before version 11: scales only.
std::vector<Value> upsample(Call& c) {
  Method m{.mode = c.text("mode", "nearest"), .coordinates = "asymmetric", .nearest = "floor"};
  if (m.mode != "nearest" && m.mode != "linear") unsupported("mode '{}'", plain_name(m.mode));
  const std::vector<double> scales = c.count() > 1 ? c.numbers(1) : c.numbers("scales");
  const Shape shape = c[0].shape();
  if (scales.size() != shape.size()) fail("{} scales for {}", scales.size(), to_string(shape));
  std::vector<Axis> axes;
  for (size_t d = 0; d < shape.size(); ++d) axes.push_back({shape[d], scaled(shape[d], scales[d]), scales[d], 0, 1});
  return resize_axes(c, m, axes);
}

std::vector<Value> resize(Call& c) {
  if (c.version < 11) return upsample(c);
  Method m{.mode = c.text("mode", "nearest"),
           .coordinates = c.text("coordinate_transformation_mode", "half_pixel"),
           .nearest = c.text("nearest_mode", "round_prefer_floor"),
           .cubic = c.number("cubic_coeff_a", -0.75),
           .outside_value = c.number("extrapolation_value", 0),
           .exclude_outside = c.integer("exclude_outside", 0) != 0,
           .antialias = c.integer("antialias", 0) != 0};
  if (m.mode != "nearest" && m.mode != "linear" && m.mode != "cubic")
    fail("attribute 'mode': there is no '{}'", plain_name(m.mode));
  if (m.mode == "nearest") m.antialias = false;
  const Shape shape = c[0].shape();
  List which = c.integers("axes");
  if (!c.find("axes")) {
    which.resize(shape.size());
    std::iota(which.begin(), which.end(), 0);
  }
  c.axes_in(which, c.rank(0));
  std::vector<Axis> axes;
  for (const int64_t extent : shape) axes.push_back({extent, extent, 1, 0, 1});
  const auto axis = [&](size_t i) -> Axis& { return axes[static_cast<size_t>(c.axis_in(which[i], c.rank(0)))]; };
  if (m.coordinates == "tf_crop_and_resize") {
    const std::vector<double> roi = c.numbers(1);
    if (roi.size() != 2 * which.size()) fail("a roi of {} numbers for {} axes", roi.size(), which.size());
    for (size_t i = 0; i < which.size(); ++i) axis(i).start = roi[i], axis(i).end = roi[i + which.size()];
  }
  const bool by_scale = c.has(2) && element_count(c[2].shape()) > 0;
  if (by_scale == c.has(3)) fail("either scales or sizes have to be given");
  if (by_scale) {
    const std::vector<double> scales = c.numbers(2);
    if (scales.size() != which.size()) fail("{} scales for {} axes", scales.size(), which.size());
    for (size_t i = 0; i < which.size(); ++i) {
      axis(i).scale = scales[i];
      axis(i).to = scaled(axis(i).from, scales[i]);
    }
    return resize_axes(c, m, axes);
  }
  const List sizes = c.integers(3);
  if (sizes.size() != which.size()) fail("{} sizes for {} axes", sizes.size(), which.size());
  const std::string policy = c.text("keep_aspect_ratio_policy", "stretch");
  double common = policy == "not_larger" ? HUGE_VAL : 0;
  for (size_t i = 0; i < which.size(); ++i) {
    if (axis(i).from == 0) fail("axis {} has no elements", which[i]);
    axis(i).to = sizes[i];
    axis(i).scale = static_cast<double>(sizes[i]) / static_cast<double>(axis(i).from);
    common = policy == "not_larger" ? std::min(common, axis(i).scale) : std::max(common, axis(i).scale);
  }
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller")
    fail("attribute 'keep_aspect_ratio_policy': there is no '{}'", plain_name(policy));
  if (policy != "stretch")
    for (size_t i = 0; i < which.size(); ++i) {
      axis(i).scale = common;
      axis(i).to = static_cast<int64_t>(std::floor(static_cast<double>(axis(i).from) * common + 0.5));
    }
  return resize_axes(c, m, axes);
}

constexpr Row rows[] = {
    {"Resize", resize},
    {"Upsample", upsample},
};

}  // namespace

std::span<const Row> resample_rows() { return rows; }

}  // namespace gmc::onnx
