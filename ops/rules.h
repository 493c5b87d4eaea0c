// What the paragraphs of this folder share: pieces of type rules, of algebra and of samples. Internal.
#pragma once

#include "compiler/graph/core_rules.h"
#include "ops/elementwise.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace gmc::ops {

using namespace graph;
using Vars = std::vector<Var>;
using Operands = std::span<const Var>;
using Args = const VjpArguments&;
using Results = std::vector<TensorType>;
using List = std::vector<int64_t>;

inline constexpr double infinity = std::numeric_limits<double>::infinity();

// ---- types ---------------------------------------------------------------------------------------------------------

inline void check_rank(const TensorType& t, size_t rank) {
  if (t.shape.size() != rank) fail("expected {} dimensions, got {}", rank, to_string(t));
}

inline int64_t get_axis(const Attributes& a, size_t rank, const char* key = "axis") {
  const auto axis = get<int64_t>(a, key);
  if (axis < 0 || axis >= static_cast<int64_t>(rank)) fail("axis {} is out of range for {} dimensions", axis, rank);
  return axis;
}

// Increasing and below `rank`.
inline const List& get_axes(const Attributes& a, size_t rank, const char* key = "axes") {
  const List& axes = get<List>(a, key);
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] < 0 || axes[i] >= static_cast<int64_t>(rank) || (i > 0 && axes[i] <= axes[i - 1]))
      fail("axes {} must be increasing and below {}", to_string(axes), rank);
  return axes;
}

inline const List& get_list(const Attributes& a, const char* key, size_t size) {
  const List& out = get<List>(a, key);
  if (out.size() != size) fail("expected {} numbers in '{}', got {}", size, key, out.size());
  return out;
}

inline void check_same_dtype(Types types) {
  for (const TensorType& t : types)
    if (t.dtype != types[0].dtype)
      fail("expected operands of one dtype, got {} and {}", name_of(types[0].dtype), name_of(t.dtype));
}

inline void check_index(const TensorType& t) {
  if (t.dtype != i32 && t.dtype != i64) fail("expected indices of i32 or i64, got {}", name_of(t.dtype));
}

// The shape with `extent` in place of that of `axis`.
inline Shape with_extent(Shape shape, int64_t axis, int64_t extent) {
  shape[static_cast<size_t>(axis)] = extent;
  return shape;
}

inline Shape without(const Shape& shape, const List& axes) {
  Shape out;
  for (size_t d = 0; d < shape.size(); ++d)
    if (std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) == axes.end()) out.push_back(shape[d]);
  return out;
}

inline List all_axes(const Shape& shape) {
  List out(shape.size());
  std::iota(out.begin(), out.end(), 0);
  return out;
}

inline List axes_from(const Shape& shape, size_t first) {
  List out = all_axes(shape);
  return {out.begin() + static_cast<ptrdiff_t>(std::min(first, out.size())), out.end()};
}

// Elements along `axes`.
inline int64_t count_along(const Shape& shape, const List& axes) {
  int64_t count = 1;
  for (int64_t axis : axes) count = checked_mul(count, shape[static_cast<size_t>(axis)]);
  return count;
}

// ---- algebra -------------------------------------------------------------------------------------------------------

// A scalar of the dtype of `like`; operands broadcast.
inline Var number(Var like, double value) { return constant(*like.graph, value, {like.type().dtype, {}}); }
inline Var full_like(Var x, double value) { return broadcast_to(number(x, value), x.shape()); }
inline Var zeros_like(Var x) { return full_like(x, 0); }

// A reduced value over the shape it was reduced from.
inline Var spread(Var reduced, const Shape& to, const List& axes) {
  List dims;
  for (int64_t d = 0; d < std::ssize(to); ++d)
    if (std::find(axes.begin(), axes.end(), d) == axes.end()) dims.push_back(d);
  return broadcast(reduced, to, dims);
}
// reduce() of no axes is a reduction over all; these reduce over none.
inline Var reduce_over(Var x, const char* monoid, const List& axes) {
  return axes.empty() ? x : reduce(x, monoid, axes);
}
inline Var sum_over(Var x, const List& axes) { return reduce_over(x, "sum", axes); }
inline Var mean_over(Var x, const List& axes) {
  return sum_over(x, axes) / static_cast<double>(count_along(x.shape(), axes));
}
// x - its mean along `axes`.
inline Var centred(Var x, const List& axes) { return x - spread(mean_over(x, axes), x.shape(), axes); }

// One value per channel (dimension 1) over a shape.
inline Var per_channel(Var v, const Shape& to) { return broadcast(v, to, {1}); }

// Element i along `axis`, of the shape of `x`, as i64.
inline Var positions(Var x, int64_t axis) { return index(*x.graph, axis, {i64, x.shape()}); }

inline Var logical_not(Var x) { return equal(x, broadcast_to(constant(*x.graph, 0, {boolean, {}}), x.shape())); }

// ---- samples -------------------------------------------------------------------------------------------------------

inline std::vector<Sample> within(std::vector<Sample> samples, double low, double high) {
  for (Sample& s : samples) s.low = low, s.high = high;
  return samples;
}
inline std::vector<Sample> with_attributes(std::vector<Sample> samples, const Attributes& attributes) {
  for (Sample& s : samples) s.attributes = attributes;
  return samples;
}
inline std::vector<BadSample> bad_with_attributes(std::vector<BadSample> samples, const Attributes& attributes) {
  for (BadSample& s : samples) s.attributes = attributes;
  return samples;
}
template <class T>
std::vector<T> joined(std::vector<T> a, const std::vector<T>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace gmc::ops
