// Operators that move elements, make shapes or make tensors of nothing.
#include "tools/onnx/build.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gmc::onnx {
namespace {

using graph::reshape;
using List = std::vector<int64_t>;

HostTensor table(const List& values, const Shape& shape) {
  return host_tensor(DType::i64, shape, std::vector<double>(values.begin(), values.end()));
}
std::vector<Value> table_of(Call& c, const List& values) {
  return one(c.constant(table(values, {std::ssize(values)})));
}

// ---- tensors of nothing --------------------------------------------------------------------------------------------

std::vector<Value> constant(Call& c) {
  const auto floats = [&](const std::vector<double>& v, const Shape& shape) {
    return one(c.constant(host_tensor(DType::f32, shape, v)));
  };
  if (const Attribute* a = c.find("value_float")) return floats({a->number}, {});
  if (const Attribute* a = c.find("value_floats")) return floats(a->numbers, {std::ssize(a->numbers)});
  if (const Attribute* a = c.find("value_int")) return one(c.constant(table({a->integer}, {})));
  if (const Attribute* a = c.find("value_ints")) return table_of(c, a->integers);
  if (!c.find("value")) unsupported("a constant of strings, or a sparse one");
  return one(c.weight(c.tensor("value"), 1024));
}

std::vector<Value> constant_of_shape(Call& c) {
  const List shape = c.integers(0);
  for (const int64_t e : shape)
    if (e < 0) fail("the shape {} has a negative extent", to_string(shape));
  if (!c.find("value")) return one(graph::constant(c.graph(), 0, {DType::f32, shape}));
  const HostTensor value = host_tensor(c.tensor("value"));
  if (value.count() != 1) fail("attribute 'value' has {} elements, expected one", value.count());
  return one(graph::constant(c.graph(), numbers_of(value)[0], {value.dtype, shape}));
}

std::vector<Value> eye_like(Call& c) {
  if (c.rank(0) != 2) fail("expected a matrix, got {}", to_string(c[0].shape()));
  const Shape shape = c[0].shape();
  const DType dtype = c.find("dtype") ? need_dtype(static_cast<Element>(c.integer("dtype"))) : c[0].type().dtype;
  const Var row = graph::index(c.graph(), 0, {DType::i64, shape}),
            column = graph::index(c.graph(), 1, {DType::i64, shape});
  return one(graph::cast(graph::equal(row + static_cast<double>(c.integer("k", 0)), column), dtype));
}

std::vector<Value> range(Call& c) {
  const double start = c.number(0), limit = c.number(1), delta = c.number(2);
  if (delta == 0 || !std::isfinite((limit - start) / delta)) fail("from {} to {} in steps of {}", start, limit, delta);
  const double count = std::max(std::ceil((limit - start) / delta), 0.0);
  if (count > 1e9) fail("{} elements", count);
  return one(iota(c.graph(), static_cast<int64_t>(count), c[0].type().dtype) * c[2] + c[0]);
}

std::vector<Value> shape_of(Call& c) {
  const Shape& shape = c[0].shape();
  const auto bound = [&](int64_t i) {
    return std::clamp<int64_t>(i < 0 ? i + std::ssize(shape) : i, 0, std::ssize(shape));
  };
  const int64_t start = bound(c.integer("start", 0)), end = bound(c.integer("end", std::ssize(shape)));
  return table_of(c, start < end ? List(shape.begin() + start, shape.begin() + end) : List());
}

std::vector<Value> size_of_tensor(Call& c) { return one(c.constant(table({element_count(c[0].shape())}, {}))); }

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

std::vector<Value> depth_to_space(Call& c) {
  const Shape s = c[0].shape();
  const int64_t b = c.integer("blocksize");
  if (s.size() != 4 || b < 1 || s[1] % (b * b) != 0) fail("blocks of {} do not fit {}", b, to_string(s));
  const int64_t depth = s[1] / (b * b);
  const std::string mode = c.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") fail("attribute 'mode' is neither DCR nor CRD");
  const Var split = mode == "DCR"
                        ? graph::transpose(reshape(c[0], {s[0], b, b, depth, s[2], s[3]}), {0, 3, 4, 1, 5, 2})
                        : graph::transpose(reshape(c[0], {s[0], depth, b, b, s[2], s[3]}), {0, 1, 4, 2, 5, 3});
  return one(reshape(split, {s[0], depth, s[2] * b, s[3] * b}));
}

std::vector<Value> space_to_depth(Call& c) {
  const Shape s = c[0].shape();
  const int64_t b = c.integer("blocksize");
  if (s.size() != 4 || b < 1 || s[2] % b != 0 || s[3] % b != 0) fail("blocks of {} do not fit {}", b, to_string(s));
  const Var split = graph::transpose(reshape(c[0], {s[0], s[1], s[2] / b, b, s[3] / b, b}), {0, 3, 5, 1, 2, 4});
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
    const auto bound = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + n : at, s > 0 ? 0 : -1, s > 0 ? n : n - 1);
    };
    const int64_t first = bound(starts[i]), last = bound(ends[i]);
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

// ---- indices that are data -----------------------------------------------------------------------------------------

Var as_indices(Var v) {
  if (v.type().dtype != DType::i32 && v.type().dtype != DType::i64)
    fail("expected indices of int32 or int64, got {}", name_of(v.type().dtype));
  return v;
}

std::vector<Value> gather(Call& c) {
  return one(take(c[0], as_indices(c[1]), c.axis_in(c.integer("axis", 0), c.rank(0))));
}

List dims_without(int64_t rank, int64_t axis) {
  List dims(static_cast<size_t>(rank));
  std::iota(dims.begin(), dims.end(), 0);
  dims[static_cast<size_t>(axis)] = -1;
  return dims;
}

std::vector<Value> gather_elements(Call& c) {
  const int64_t axis = c.axis_in(c.integer("axis", 0), c.rank(0));
  if (c.rank(1) != c.rank(0)) fail("indices {} for {}", to_string(c[1].shape()), to_string(c[0].shape()));
  const Var at = wrapped(as_indices(c[1]), c[0].shape()[static_cast<size_t>(axis)]);
  return one(graph::gather(c[0], {at}, {axis}, dims_without(c.rank(0), axis)));
}

std::string mode_of(Call& c) {
  const std::string reduction = c.text("reduction", "none");
  if (reduction == "none") return "set";
  if (reduction == "add" || reduction == "mul" || reduction == "max" || reduction == "min") return reduction;
  fail("attribute 'reduction': there is no '{}'", plain_name(reduction));
}

std::vector<Value> scatter_elements(Call& c) {
  const int64_t axis = c.axis_in(c.integer("axis", 0), c.rank(0));
  if (c.rank(1) != c.rank(0)) fail("indices {} for {}", to_string(c[1].shape()), to_string(c[0].shape()));
  const Var at = wrapped(as_indices(c[1]), c[0].shape()[static_cast<size_t>(axis)]);
  return one(graph::scatter(c[0], c[2], {at}, {axis}, dims_without(c.rank(0), axis), mode_of(c)));
}

// The indices of N-dimensional gathers and scatters: [batch.., places.., k] as k tensors of the shape of what is read,
// [batch.., places.., rest..].
struct Places {
  std::vector<Var> indices;
  List axes, dims;
  Shape space;
};
Places places_of(Var x, Var at, int64_t batch) {
  const Shape from = x.shape(), grid = as_indices(at).shape();
  if (grid.empty() || from.empty()) fail("indices {} for {}", to_string(grid), to_string(from));
  const int64_t k = grid.back(), rank = std::ssize(from), q = std::ssize(grid) - 1;
  if (batch < 0 || batch > q || batch + k > rank || k < 1)
    fail("indices {} for {} with {} batch dimensions", to_string(grid), to_string(from), batch);
  Places p;
  p.space.assign(grid.begin(), grid.end() - 1);
  p.dims.assign(from.size(), -1);
  for (int64_t d = 0; d < batch; ++d) p.dims[static_cast<size_t>(d)] = d;
  for (int64_t d = batch + k; d < rank; ++d) {
    p.dims[static_cast<size_t>(d)] = std::ssize(p.space);
    p.space.push_back(from[static_cast<size_t>(d)]);
  }
  List leading(static_cast<size_t>(q));
  std::iota(leading.begin(), leading.end(), 0);
  for (int64_t j = 0; j < k; ++j) {
    p.axes.push_back(batch + j);
    const Var one_of = squeezed(graph::slice(at, q, j, j + 1), q);
    p.indices.push_back(graph::broadcast(wrapped(one_of, from[static_cast<size_t>(batch + j)]), p.space, leading));
  }
  return p;
}

std::vector<Value> gather_nd(Call& c) {
  const Places p = places_of(c[0], c[1], c.integer("batch_dims", 0));
  return one(graph::gather(c[0], p.indices, p.axes, p.dims));
}

std::vector<Value> scatter_nd(Call& c) {
  const Places p = places_of(c[0], c[1], 0);
  return one(graph::scatter(c[0], c[2], p.indices, p.axes, p.dims, mode_of(c)));
}

std::vector<Value> one_hot(Call& c) {
  const Var at = c[0];
  const int64_t depth = c.integer(1), rank = c.rank(0);
  if (depth < 1) fail("depth {}", depth);
  const int64_t axis = c.axis_in(c.integer("axis", -1), rank + 1);
  if (c.rank(2) != 1 || c[2].shape()[0] != 2) fail("expected two values, got {}", to_string(c[2].shape()));
  const Var place = along(iota(c.graph(), depth, DType::i64), axis, rank + 1);
  const Var hot = graph::equal(unsqueezed(wrapped(graph::cast(at, DType::i64), depth), axis), place);
  const auto value = [&](int64_t i) { return reshape(graph::slice(c[2], 0, i, i + 1), {}); };
  return one(graph::select(hot, value(1), value(0)));
}

std::vector<Value> compress(Call& c) {
  Var x = c[0];
  int64_t axis = 0;
  if (c.find("axis"))
    axis = c.axis_in(c.integer("axis"), c.rank(0));
  else
    x = reshape(x, {element_count(x.shape())});
  List kept;
  const std::vector<double> condition = c.numbers(1);
  for (size_t i = 0; i < condition.size(); ++i)
    if (condition[i] != 0) kept.push_back(static_cast<int64_t>(i));
  if (!kept.empty() && kept.back() >= x.shape()[static_cast<size_t>(axis)])
    fail("the condition is longer than axis {} of {}", axis, to_string(x.shape()));
  return one(take(x, kept, axis));
}

std::vector<Value> non_zero(Call& c) {
  const auto values = c.if_known(0);
  if (!values) unsupported("the shape of its result depends on data");
  const Shape& shape = c[0].shape();
  std::vector<std::vector<int64_t>> at(shape.size());
  int64_t found = 0;
  for (size_t i = 0; i < values->size(); ++i) {
    if ((*values)[i] == 0) continue;
    ++found;
    int64_t rest = static_cast<int64_t>(i);
    for (size_t d = shape.size(); d-- > 0; rest /= shape[d]) at[d].push_back(rest % shape[d]);
  }
  List all;
  for (const auto& row : at) all.insert(all.end(), row.begin(), row.end());
  return one(c.constant(table(all, {std::ssize(shape), found})));
}

// Element i of a sequence of length n comes from n - 1 - i, what lies behind it stays.
std::vector<Value> reverse_sequence(Call& c) {
  const int64_t time = c.integer("time_axis", 0), batch = c.integer("batch_axis", 1);
  if (c.rank(0) < 2 || time + batch != 1 || time * batch != 0)
    fail("axes {} and {} of {}", time, batch, to_string(c[0].shape()));
  const Shape shape = c[0].shape();
  const Shape grid{shape[0], shape[1]};
  const Var at = graph::index(c.graph(), time, {DType::i64, grid});
  const Var length = graph::broadcast(graph::cast(c[1], DType::i64), grid, {batch});
  const Var from = graph::select(graph::less(at, length), length - 1.0 - at, at);
  return one(graph::gather(c[0], {graph::broadcast(from, shape, {0, 1})}, {time}, dims_without(c.rank(0), time)));
}

std::vector<Value> identity(Call& c) { return c.has(0) ? std::vector<Value>{c.value(0)} : std::vector<Value>{Value{}}; }

constexpr Row rows[] = {
    {"CenterCropPad", center_crop_pad},
    {"Compress", compress},
    {"Concat", concatenate},
    {"Constant", constant},
    {"ConstantOfShape", constant_of_shape},
    {"DepthToSpace", depth_to_space},
    {"Expand", expand},
    {"EyeLike", eye_like},
    {"Flatten", flatten},
    {"Gather", gather},
    {"GatherElements", gather_elements},
    {"GatherND", gather_nd},
    {"Identity", identity},
    {"NonZero", non_zero},
    {"OneHot", one_hot},
    {"Pad", padded},
    {"Range", range},
    {"Reshape", reshape_to},
    {"ReverseSequence", reverse_sequence},
    {"Scatter", scatter_elements},
    {"ScatterElements", scatter_elements},
    {"ScatterND", scatter_nd},
    {"Shape", shape_of},
    {"Size", size_of_tensor},
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
