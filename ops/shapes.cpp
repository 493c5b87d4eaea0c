#include "ops/shapes.h"

#include "ops/call.h"
#include "ops/op_list.h"

#include <numeric>

namespace gmc {

using graph::Var;
using ops::axes_of;
using ops::axis_of;
using ops::Call;
using ops::rank_of;

namespace {

int64_t extent_of(const Var& x, int64_t axis) { return x.shape()[static_cast<size_t>(axis)]; }

// The axis of a value with `more` further dimensions.
int64_t new_axis(const Call& call, int64_t axis, const Var& x) { return axis_of(call, axis, rank_of(x) + 1); }

Shape with_one(Shape shape, int64_t axis) {
  shape.insert(shape.begin() + axis, 1);
  return shape;
}

Var joined(std::vector<Var> parts, int64_t axis) {
  return parts.size() == 1 ? parts[0] : graph::apply(ops::concat_op, std::move(parts), {{"axis", axis}});
}

// x [..] with each of `axes` followed by a dimension of `times`, then merged behind it or before it.
Var repeated(Var x, int64_t axis, int64_t times, bool whole) {
  Shape apart = x.shape(), to = apart;
  apart.insert(apart.begin() + axis + (whole ? 0 : 1), times);
  to[static_cast<size_t>(axis)] = checked_mul(to[static_cast<size_t>(axis)], times);
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < std::ssize(apart); ++d)
    if (d != axis + (whole ? 0 : 1)) dims.push_back(d);
  return graph::reshape(graph::broadcast(x, apart, dims), to);
}

}  // namespace

Tensor concat(const Tensors& operands, int64_t axis) {
  const Call call("concat", operands.list);
  return call.result(graph::apply(ops::concat_op, call.all(), {{"axis", axis_of(call, axis, rank_of(call[0]))}}));
}

Tensor stack(const Tensors& operands, int64_t axis) {
  const Call call("stack", operands.list);
  const int64_t at = new_axis(call, axis, call[0]);
  std::vector<Var> rows;
  for (const Var& x : call.all()) {
    if (x.shape() != call[0].shape())
      call.fail(fmt::format("shapes differ: {} and {}", to_string(call[0].shape()), to_string(x.shape())));
    rows.push_back(graph::reshape(x, with_one(x.shape(), at)));
  }
  return call.result(joined(std::move(rows), at));
}

std::vector<Tensor> split(At x, const std::vector<int64_t>& extents, int64_t axis) {
  const Call call("split", {x});
  const int64_t at = axis_of(call, axis, rank_of(call[0])), all = extent_of(call[0], at);
  int64_t begin = 0;
  std::vector<Tensor> out;
  for (int64_t extent : extents) {
    if (extent < 0 || extent > all - begin)
      call.fail(
          fmt::format("extents {} do not add up to axis {} of {}", to_string(extents), at, to_string(call[0].shape())));
    out.push_back(call.result(graph::slice(call[0], at, begin, begin + extent)));
    begin += extent;
  }
  if (begin != all)
    call.fail(
        fmt::format("extents {} do not add up to axis {} of {}", to_string(extents), at, to_string(call[0].shape())));
  return out;
}

std::vector<Tensor> chunk(At x, int64_t count, int64_t axis) {
  const Call call("chunk", {x});
  const int64_t at = axis_of(call, axis, rank_of(call[0])), all = extent_of(call[0], at);
  if (count < 1 || all % count != 0)
    call.fail(fmt::format("axis {} of {} does not fall into {} equal pieces", at, to_string(call[0].shape()), count));
  return split(x, std::vector<int64_t>(static_cast<size_t>(count), all / count), at);
}

Tensor slice(At x, int64_t axis, int64_t begin, int64_t end, int64_t step) {
  const Call call("slice", {x});
  const int64_t at = axis_of(call, axis, rank_of(call[0])), n = extent_of(call[0], at);
  if (step == 0) call.fail("the step is 0");
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
  const auto bounded = [&](int64_t i) { return std::clamp(i < 0 ? i + n : i, low, high); };
  const int64_t from = bounded(begin), to = bounded(end);
  const int64_t count = std::max<int64_t>(0, step > 0 ? (to - from + step - 1) / step : (from - to - step - 1) / -step);
  std::vector<int64_t> start(call[0].shape().size(), 0), steps(start.size(), 1);
  Shape size = call[0].shape();
  start[static_cast<size_t>(at)] = count == 0 ? 0 : from;
  steps[static_cast<size_t>(at)] = step;
  size[static_cast<size_t>(at)] = count;
  return call.result(graph::slice(call[0], start, steps, size));
}

Tensor select_index(At x, int64_t axis, int64_t index) {
  const Call call("select_index", {x});
  const int64_t at = axis_of(call, axis, rank_of(call[0])), n = extent_of(call[0], at);
  if (index < -n || index >= n)
    call.fail(fmt::format("index {} is out of range for axis {} of {}", index, at, to_string(call[0].shape())));
  const int64_t i = index < 0 ? index + n : index;
  Shape shape = call[0].shape();
  shape.erase(shape.begin() + at);
  return call.result(graph::reshape(graph::slice(call[0], at, i, i + 1), shape));
}

Tensor flip(At x, const Axes& axes) {
  const Call call("flip", {x});
  return call.result(graph::flip(call[0], axes_of(call, axes, call[0].shape())));
}

Tensor roll(At x, int64_t shift, int64_t axis) {
  const Call call("roll", {x});
  const int64_t at = axis_of(call, axis, rank_of(call[0])), n = extent_of(call[0], at);
  const int64_t cut = n == 0 ? 0 : ((-shift) % n + n) % n;
  if (cut == 0) return call.result(call[0]);
  return call.result(joined({graph::slice(call[0], at, cut, n), graph::slice(call[0], at, 0, cut)}, at));
}

Tensor tile(At x, const std::vector<int64_t>& times) {
  const Call call("tile", {x});
  const int64_t rank = rank_of(call[0]);
  if (std::ssize(times) != rank) call.fail(fmt::format("expected {} numbers, got {}", rank, to_string(times)));
  Var y = call[0];
  for (int64_t d = 0; d < rank; ++d) {
    const int64_t n = times[static_cast<size_t>(d)];
    if (n < 0) call.fail(fmt::format("{} times along axis {}", n, d));
    if (n != 1) y = repeated(y, d, n, true);
  }
  return call.result(y);
}

Tensor repeat(At x, int64_t times, int64_t axis) {
  const Call call("repeat", {x});
  if (times < 0) call.fail(fmt::format("{} times", times));
  return call.result(repeated(call[0], axis_of(call, axis, rank_of(call[0])), times, false));
}

Tensor expand_dims(At x, int64_t axis) {
  const Call call("expand_dims", {x});
  return call.result(graph::reshape(call[0], with_one(call[0].shape(), new_axis(call, axis, call[0]))));
}

Tensor squeeze(At x, const Axes& axes) {
  const Call call("squeeze", {x});
  const Shape from = call[0].shape();
  const Axes named = axes.empty() ? Axes() : axes_of(call, axes, from);
  Shape to;
  for (size_t d = 0; d < from.size(); ++d) {
    const bool is_named = std::find(named.begin(), named.end(), static_cast<int64_t>(d)) != named.end();
    if (is_named && from[d] != 1) call.fail(fmt::format("axis {} of {} is not 1", d, to_string(from)));
    if (!is_named && (!named.empty() || from[d] != 1)) to.push_back(from[d]);
  }
  return call.result(graph::reshape(call[0], to));
}

Tensor flatten(At x, int64_t first, int64_t last) {
  const Call call("flatten", {x});
  const Shape from = call[0].shape();
  const int64_t rank = rank_of(call[0]);
  if (rank == 0) return call.result(graph::reshape(call[0], {1}));
  const int64_t a = axis_of(call, first, rank), b = axis_of(call, last, rank);
  if (b < a) call.fail(fmt::format("dimensions {} to {} are none", a, b));
  Shape to(from.begin(), from.begin() + a);
  to.push_back(element_count(Shape(from.begin() + a, from.begin() + b + 1)));
  to.insert(to.end(), from.begin() + b + 1, from.end());
  return call.result(graph::reshape(call[0], to));
}

Tensor pad(At x, const std::vector<int64_t>& low, const std::vector<int64_t>& high, double value) {
  const Call call("pad", {x});
  const size_t rank = call[0].shape().size();
  if (low.size() != rank || high.size() != rank)
    call.fail(fmt::format("expected {} numbers each, got {} and {}", rank, to_string(low), to_string(high)));
  return call.result(graph::pad(call[0], low, high, value));
}

Tensor extend(At x, const std::vector<int64_t>& low, const std::vector<int64_t>& high, const std::string& mode) {
  return ops::unary(ops::extend_op, x, {{"low", low}, {"high", high}, {"mode", mode}});
}

Tensor tril(At x, int64_t diagonal) { return ops::unary(ops::tril_op, x, {{"diagonal", diagonal}}); }
Tensor triu(At x, int64_t diagonal) { return ops::unary(ops::triu_op, x, {{"diagonal", diagonal}}); }

Tensor full(const Shape& shape, double value, DType dtype, std::source_location where) {
  const auto& g = ops::entry_at("full", where);
  return {g, graph::broadcast_to(graph::constant(*g, value, {dtype, {}}), shape).value};
}

Tensor arange(int64_t count, double start, double step, DType dtype, std::source_location where) {
  const auto& g = ops::entry_at("arange", where);
  if (is_float(dtype)) {
    std::vector<double> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(start + static_cast<double>(i) * step);
    return {g, graph::literal(*g, values, {dtype, {count}}).value};
  }
  Var i = graph::index(*g, 0, {dtype, {count}});
  if (step != 1) i = i * step;
  return {g, (start != 0 ? i + start : i).value};
}

Tensor linspace(double start, double stop, int64_t count, DType dtype, std::source_location where) {
  const auto& g = ops::entry_at("linspace", where);
  std::vector<double> values;
  const auto last = static_cast<double>(count - 1);
  for (int64_t i = 0; i < count; ++i) {
    const double at = count == 1 ? 0 : static_cast<double>(i) / last;
    values.push_back(i + 1 == count && count > 1 ? stop : start + (stop - start) * at);
  }
  return {g, graph::literal(*g, values, {dtype, {count}}).value};
}

Tensor eye(int64_t rows, int64_t columns, DType dtype, std::source_location where) {
  const auto& g = ops::entry_at("eye", where);
  const graph::TensorType type{i32, {rows, columns < 0 ? rows : columns}};
  return {g, graph::cast(graph::equal(graph::index(*g, 0, type), graph::index(*g, 1, type)), dtype).value};
}

Tensor table(const std::vector<double>& values, const Shape& shape, DType dtype, std::source_location where) {
  const auto& g = ops::entry_at("table", where);
  return {g, graph::literal(*g, values, {dtype, shape}).value};
}

Tensor one_hot(At indices, int64_t depth, DType dtype) {
  return ops::unary(ops::one_hot_op, indices, {{"depth", depth}, {"dtype", std::string(name_of(dtype))}});
}

namespace {

// An op on x, indices and perhaps updates, with an axis of x.
Tensor indexed(const graph::OpDef& op, std::initializer_list<At> operands, int64_t axis,
               graph::Attributes attributes = {}) {
  const Call call(op.name, operands);
  attributes["axis"] = axis_of(call, axis, rank_of(call[0]));
  return call.result(graph::apply(op, call.all(), std::move(attributes)));
}

}  // namespace

Tensor take(At x, At indices, int64_t axis) { return indexed(ops::take_op, {x, indices}, axis); }
Tensor embedding(At ids, At table) { return indexed(ops::take_op, {table, ids}, 0); }
Tensor take_along_axis(At x, At indices, int64_t axis) { return indexed(ops::take_along_axis_op, {x, indices}, axis); }
Tensor gather_nd(At x, At indices, int64_t batch) {
  return ops::call_op(ops::gather_nd_op, {x, indices}, {{"batch", batch}});
}
Tensor put(At x, At indices, At updates, int64_t axis, const std::string& mode) {
  return indexed(ops::put_op, {x, indices, updates}, axis, {{"mode", mode}});
}
Tensor index_add(At x, At indices, At updates, int64_t axis) { return put(x, indices, updates, axis, "add"); }
Tensor put_along_axis(At x, At indices, At updates, int64_t axis, const std::string& mode) {
  return indexed(ops::put_along_axis_op, {x, indices, updates}, axis, {{"mode", mode}});
}
Tensor scatter_nd(At x, At indices, At updates, const std::string& mode) {
  return ops::call_op(ops::scatter_nd_op, {x, indices, updates}, {{"mode", mode}});
}

Tensor pixel_shuffle(At x, int64_t r) {
  const Call call("pixel_shuffle", {x});
  const Shape s = call[0].shape();
  if (s.size() != 4 || r < 1 || s[1] % (r * r) != 0)
    call.fail(fmt::format("expected [n, a multiple of {} * {}, h, w], got {}", r, r, to_string(s)));
  const Var y = graph::transpose(graph::reshape(call[0], {s[0], s[1] / (r * r), r, r, s[2], s[3]}), {0, 1, 4, 2, 5, 3});
  return call.result(graph::reshape(y, {s[0], s[1] / (r * r), s[2] * r, s[3] * r}));
}

Tensor pixel_unshuffle(At x, int64_t r) {
  const Call call("pixel_unshuffle", {x});
  const Shape s = call[0].shape();
  if (s.size() != 4 || r < 1 || s[2] % r != 0 || s[3] % r != 0)
    call.fail(fmt::format("expected [n, c, multiples of {}], got {}", r, to_string(s)));
  const Var y = graph::transpose(graph::reshape(call[0], {s[0], s[1], s[2] / r, r, s[3] / r, r}), {0, 1, 3, 5, 2, 4});
  return call.result(graph::reshape(y, {s[0], s[1] * r * r, s[2] / r, s[3] / r}));
}

Tensor resize(At x, const std::vector<int64_t>& size, const std::string& mode, const std::string& coordinates) {
  return ops::unary(ops::resize_op, x, {{"size", size}, {"mode", mode}, {"coordinates", coordinates}});
}

}  // namespace gmc
