// Operators that move elements.
#include "tools/onnx/build.h"

#include <algorithm>
#include <numeric>

namespace gmc::onnx {
namespace {

using graph::reshape;
using List = std::vector<int64_t>;

// ---- shapes --------------------------------------------------------------------------------------------------------

std::vector<Value> reshape_to(Call& c) {
  const Shape& from = c[0].shape();
  List to = c.version >= 5 ? c.integers(1) : c.integers("shape");
  const bool zero = c.integer("allowzero", 0) != 0;
  int64_t known = 1, *rest = nullptr;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] < -1 || (to[i] == -1 && rest)) fail("the shape {} does not say what is meant", to_string(to));
    if (to[i] == 0 && !zero) {
      if (i >= from.size()) fail("the shape {} takes an extent that {} does not have", to_string(to), to_string(from));
      to[i] = from[i];
    }
    if (to[i] == -1)
      rest = &to[i];
    else
      known = checked_mul(known, to[i]);
  }
  if (rest) {
    const int64_t all = element_count(from);
    if (known == 0 || all % known != 0) fail("{} does not fit the shape {}", to_string(from), to_string(to));
    *rest = all / known;
  }
  return one(reshape(c[0], to));
}

std::vector<Value> flatten(Call& c) {
  const Shape& shape = c[0].shape();
  const int64_t rank = c.rank(0);
  int64_t axis = c.integer("axis", 1);
  if (axis < -rank || axis > rank) fail("axis {} is out of range for {} dimensions", axis, rank);
  const auto d = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  return one(reshape(c[0], {product_of(shape, 0, d), product_of(shape, d, shape.size())}));
}

std::vector<Value> squeeze(Call& c) {
  const Shape& from = c[0].shape();
  const auto given = c.integers("axes", 1);
  const List axes = given ? c.axes_in(*given, c.rank(0)) : List();
  Shape to;
  for (int64_t d = 0; d < std::ssize(from); ++d) {
    const int64_t extent = from[static_cast<size_t>(d)];
    const bool named = std::binary_search(axes.begin(), axes.end(), d);
    if (named && extent != 1) fail("dimension {} of {} is not 1", d, to_string(from));
    if (given ? !named : extent != 1) to.push_back(extent);
  }
  return one(reshape(c[0], to));
}

std::vector<Value> unsqueeze(Call& c) {
  const auto given = c.integers("axes", 1);
  if (!given) fail("axes are missing");
  Shape to = c[0].shape();
  for (const int64_t axis : c.axes_in(*given, std::ssize(to) + std::ssize(*given))) to.insert(to.begin() + axis, 1);
  return one(reshape(c[0], to));
}

std::vector<Value> transposed(Call& c) {
  List perm = c.integers("perm");
  if (!c.find("perm")) {
    perm.resize(c[0].shape().size());
    std::iota(perm.rbegin(), perm.rend(), 0);
  }
  return one(graph::transpose(c[0], perm));
}

std::vector<Value> expand(Call& c) {
  const List to = c.integers(1);
  for (const int64_t e : to)
    if (e < 0) fail("the shape {} has a negative extent", to_string(to));
  return one(graph::broadcast_to(c[0], graph::broadcast_shape(c[0].shape(), to)));
}

// How channels are counted: block by block of all channels, or channel by channel of all of a block.
bool depth_comes_first(Call& c) {
  const std::string mode = c.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") fail("attribute 'mode' is neither DCR nor CRD");
  return mode == "DCR";
}

std::vector<Value> depth_to_space(Call& c) {
  const Shape s = c[0].shape();
  const int64_t b = c.integer("blocksize");
  if (s.size() != 4 || b < 1 || s[1] % (b * b) != 0) fail("blocks of {} do not fit {}", b, to_string(s));
  const int64_t depth = s[1] / (b * b);
  const Var split = depth_comes_first(c)
                        ? graph::transpose(reshape(c[0], {s[0], b, b, depth, s[2], s[3]}), {0, 3, 4, 1, 5, 2})
                        : graph::transpose(reshape(c[0], {s[0], depth, b, b, s[2], s[3]}), {0, 1, 4, 2, 5, 3});
  return one(reshape(split, {s[0], depth, s[2] * b, s[3] * b}));
}

std::vector<Value> space_to_depth(Call& c) {
  const Shape s = c[0].shape();
  const int64_t b = c.integer("blocksize");
  if (s.size() != 4 || b < 1 || s[2] % b != 0 || s[3] % b != 0) fail("blocks of {} do not fit {}", b, to_string(s));
  const bool depth_first = depth_comes_first(c);
  const Var apart = reshape(c[0], {s[0], s[1], s[2] / b, b, s[3] / b, b});
  const Var split = graph::transpose(apart, depth_first ? List{0, 3, 5, 1, 2, 4} : List{0, 1, 3, 5, 2, 4});
  return one(reshape(split, {s[0], s[1] * b * b, s[2] / b, s[3] / b}));
}

// ---- pieces --------------------------------------------------------------------------------------------------------

std::vector<Value> concatenate(Call& c) {
  const int64_t axis = c.version >= 4 ? c.axis_in(c.integer("axis"), c.rank(0)) : c.integer("axis", 1);
  std::vector<Var> parts;
  for (size_t i = 0; i < c.count(); ++i) parts.push_back(c[i]);
  return one(concat(parts, axis));
}

std::vector<Value> split(Call& c) {
  const int64_t axis = c.axis_in(c.integer("axis", 0), c.rank(0)), extent = c[0].shape()[static_cast<size_t>(axis)];
  List sizes = c.integers("split", 1).value_or(List());
  if (sizes.empty()) {
    const int64_t parts = c.integer("num_outputs", std::ssize(c.node.outputs));
    if (parts < 1 || parts > std::ssize(c.node.outputs)) fail("{} parts", parts);
    const int64_t size = (extent + parts - 1) / parts;  // the last may be smaller
    for (int64_t i = 0; i < parts; ++i) sizes.push_back(std::clamp<int64_t>(extent - i * size, 0, size));
  }
  int64_t at = 0;
  std::vector<Value> out;
  for (const int64_t size : sizes) {
    if (size < 0 || size > extent - at) fail("sizes {} do not fit {}", to_string(sizes), to_string(c[0].shape()));
    out.push_back({graph::slice(c[0], axis, at, at + size), nullptr});
    at += size;
  }
  if (at != extent) fail("sizes {} do not fit {}", to_string(sizes), to_string(c[0].shape()));
  return out;
}

std::vector<Value> slice(Call& c) {
  const Shape& from = c[0].shape();
  const bool operands = c.version >= 10;
  const List starts = operands ? c.integers(1) : c.integers("starts"),
             ends = operands ? c.integers(2) : c.integers("ends");
  List axes = c.integers("axes", operands ? 3 : 99).value_or(List());
  const List steps = operands && c.has(4) ? c.integers(4) : List(starts.size(), 1);
  if (axes.empty() && !starts.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    fail("starts {}, ends {}, axes {} and steps {} differ in number", to_string(starts), to_string(ends),
         to_string(axes), to_string(steps));
  List start(from.size(), 0), step(from.size(), 1);
  Shape size = from;
  c.axes_in(axes, c.rank(0));
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(c.axis_in(axes[i], c.rank(0)));
    const int64_t n = from[d], s = steps[i];
    if (s == 0) fail("the step of axis {} is 0", axes[i]);
    const auto bound = [&](int64_t at, int64_t low, int64_t high) {
      return std::clamp<int64_t>(at < 0 ? at + n : at, low, std::max(low, high));
    };
    const int64_t first = s > 0 ? bound(starts[i], 0, n) : bound(starts[i], 0, n - 1),
                  last = n == 0  ? first
                         : s > 0 ? bound(ends[i], 0, n)
                                 : bound(ends[i], -1, n - 1);
    step[d] = s;
    start[d] = first;
    const int64_t distance = s > 0 ? last - first : first - last;
    const int64_t stride = s > 0 ? s : s == INT64_MIN ? INT64_MAX : -s;
    size[d] = distance <= 0 ? 0 : (distance - 1) / stride + 1;
    if (size[d] == 0) start[d] = 0;
    if (size[d] <= 1) step[d] = 1;
  }
  return one(graph::slice(c[0], start, step, size));
}

// Where each element along an axis of extent n comes from, -1 for what is new.
List sources(const std::string& mode, int64_t n, int64_t low, int64_t high) {
  List out;
  for (int64_t i = -low; i < n + high; ++i) {
    if (i >= 0 && i < n) {
      out.push_back(i);
    } else if (mode == "edge") {
      out.push_back(std::clamp<int64_t>(i, 0, n - 1));
    } else if (mode == "wrap") {
      out.push_back(((i % n) + n) % n);
    } else {
      const int64_t period = std::max<int64_t>(2 * (n - 1), 1), at = ((i % period) + period) % period;
      out.push_back(at < n ? at : period - at);
    }
  }
  return out;
}

std::vector<Value> padded(Call& c) {
  Var x = c[0];
  const auto rank = c[0].shape().size();
  const bool operands = c.version >= 11;
  const List given = operands ? c.integers(1) : c.integers(c.version >= 2 ? "pads" : "paddings");
  List axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (operands && c.has(3)) {
    axes = c.integers(3);
    c.axes_in(axes, c.rank(0));
  }
  if (given.size() != 2 * axes.size()) fail("{} pads for {} axes", given.size(), axes.size());
  List low(rank, 0), high(rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(c.axis_in(axes[i], c.rank(0)));
    low[d] = given[i];
    high[d] = given[i + axes.size()];
    if (std::max(std::abs(low[d]), std::abs(high[d])) > (int64_t{1} << 40)) fail("pads of {} and {}", low[d], high[d]);
    if (x.shape()[d] + low[d] + high[d] < 0)
      fail("pads of {} and {} leave less than nothing of axis {}", low[d], high[d], d);
  }
  const std::string mode = c.text("mode", "constant");
  if (mode == "constant") {
    double value = c.number("value", 0);
    if (operands && c.has(2)) value = c.number(2);
    return one(graph::pad(x, low, high, value));
  }
  if (mode != "reflect" && mode != "edge" && mode != "wrap")
    fail("attribute 'mode': there is no mode '{}'", plain_name(mode));
  for (size_t d = 0; d < rank; ++d) {
    if (low[d] == 0 && high[d] == 0) continue;
    const int64_t n = x.shape()[d];
    if (n == 0) fail("axis {} has nothing to repeat", d);
    if (n + low[d] + high[d] > 1'000'000) unsupported("{} elements along a padded axis", n + low[d] + high[d]);
    x = take(x, sources(mode, n, low[d], high[d]), static_cast<int64_t>(d));
  }
  return one(x);
}

std::vector<Value> tile(Call& c) {
  if (c.version < 6) unsupported("the operator of version 1");
  const List repeats = c.integers(1);
  const Shape& from = c[0].shape();
  if (repeats.size() != from.size()) fail("{} repeats for {}", repeats.size(), to_string(from));
  Shape apart, spread, to;
  for (size_t d = 0; d < from.size(); ++d) {
    if (repeats[d] < 0) fail("repeats {} are negative", to_string(repeats));
    apart.insert(apart.end(), {1, from[d]});
    spread.insert(spread.end(), {repeats[d], from[d]});
    to.push_back(checked_mul(repeats[d], from[d]));
  }
  return one(reshape(graph::broadcast_to(reshape(c[0], apart), spread), to));
}

std::vector<Value> triangle(Call& c) {
  const Shape& shape = c[0].shape();
  if (shape.size() < 2) fail("expected matrices, got {}", to_string(shape));
  const auto k = static_cast<double>(c.has(1) ? c.integer(1) : 0);
  const Shape matrix(shape.end() - 2, shape.end());
  const Var row = graph::index(c.graph(), 0, {DType::i64, matrix}),
            column = graph::index(c.graph(), 1, {DType::i64, matrix});
  const Var kept = c.integer("upper", 1) != 0 ? less_or_equal(row + k, column) : less_or_equal(column, row + k);
  return one(graph::select(kept, c[0], number_like(c[0], 0)));
}

std::vector<Value> center_crop_pad(Call& c) {
  const List wanted = c.integers(1);
  const Shape& from = c[0].shape();
  List axes = c.integers("axes");
  if (!c.find("axes")) {
    axes.resize(from.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (axes.size() != wanted.size()) fail("{} extents for {} axes", wanted.size(), axes.size());
  c.axes_in(axes, c.rank(0));
  List low(from.size(), 0), high(from.size(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(c.axis_in(axes[i], c.rank(0)));
    if (wanted[i] < 0) fail("extent {}", wanted[i]);
    const int64_t more = wanted[i] - from[d];
    // An odd one goes to the end when padding, and is cut off there.
    low[d] = more >= 0 ? more / 2 : -((-more) / 2);
    high[d] = more - low[d];
  }
  return one(graph::pad(c[0], low, high));
}

std::vector<Value> identity(Call& c) { return c.has(0) ? std::vector<Value>{c.value(0)} : std::vector<Value>{Value{}}; }

constexpr Row rows[] = {
    {"CenterCropPad", center_crop_pad},
    {"Concat", concatenate},
    {"DepthToSpace", depth_to_space},
    {"Expand", expand},
    {"Flatten", flatten},
    {"Identity", identity},
    {"Pad", padded},
    {"Reshape", reshape_to},
    {"Slice", slice},
    {"SpaceToDepth", space_to_depth},
    {"Split", split},
    {"Squeeze", squeeze},
    {"Tile", tile},
    {"Transpose", transposed},
    {"Trilu", triangle},
    {"Unsqueeze", unsqueeze},
};

}  // namespace

std::span<const Row> movement_rows() { return rows; }

}  // namespace gmc::onnx
