// Functions that join, cut, index and make tensors. Negative axes and indices count from the end.
#pragma once

#include "compiler/dsl/location.h"

#include <source_location>
#include <string>
#include <vector>

namespace gmc {

using Axes = std::vector<int64_t>;

// Several operands: `{a, b}` or a vector.
struct Tensors {
  std::vector<At> list;
  Tensors(std::initializer_list<At> operands) : list(operands) {}
  Tensors(const std::vector<Tensor>& operands, std::source_location where = std::source_location::current()) {
    for (const Tensor& t : operands) list.emplace_back(t, where);
  }
};

// ---- joining and cutting ----

// One after the other along an existing axis, or along a new one.
Tensor concat(const Tensors&, int64_t axis = 0);
Tensor stack(const Tensors&, int64_t axis = 0);
// Pieces of the given extents, which add up to the axis's; or `count` equal ones.
std::vector<Tensor> split(At, const std::vector<int64_t>& extents, int64_t axis = 0);
std::vector<Tensor> chunk(At, int64_t count, int64_t axis = 0);
// Elements begin, begin + step, .. before `end` along an axis; negative bounds count from the end, bounds past it are
// cut to it. A negative step goes down from `begin` to after `end`.
Tensor slice(At, int64_t axis, int64_t begin, int64_t end, int64_t step = 1);
// One index along an axis, which disappears.
Tensor select_index(At, int64_t axis, int64_t index);
Tensor flip(At, const Axes& axes);
// Element i becomes element i + shift, around the end.
Tensor roll(At, int64_t shift, int64_t axis = 0);
// The whole `times[d]` times along dimension d; each element `times` times along an axis.
Tensor tile(At, const std::vector<int64_t>& times);
Tensor repeat(At, int64_t times, int64_t axis);
Tensor expand_dims(At, int64_t axis);
// Without the axes, whose extents are 1; all such if empty.
Tensor squeeze(At, const Axes& axes = {});
// Dimensions first..last become one.
Tensor flatten(At, int64_t first = 0, int64_t last = -1);

// `low` elements before and `high` after each dimension: of `value` (negative: cut off), or taken from x: `mode`
// reflect (without the edge), symmetric (with it), edge or circular.
Tensor pad(At, const std::vector<int64_t>& low, const std::vector<int64_t>& high, double value = 0);
Tensor extend(At, const std::vector<int64_t>& low, const std::vector<int64_t>& high, const std::string& mode);
// Of the last two dimensions what is on and below (above) a diagonal; 0 elsewhere.
Tensor tril(At, int64_t diagonal = 0);
Tensor triu(At, int64_t diagonal = 0);

// ---- making ----

Tensor full(const Shape&, double value, DType = f32, std::source_location where = std::source_location::current());
// start + i * step, for `count` elements; linspace ends with `stop`.
Tensor arange(int64_t count, double start = 0, double step = 1, DType = i64,
              std::source_location where = std::source_location::current());
Tensor linspace(double start, double stop, int64_t count, DType = f32,
                std::source_location where = std::source_location::current());
Tensor eye(int64_t rows, int64_t columns = -1, DType = f32,
           std::source_location where = std::source_location::current());
// A table, row-major.
Tensor table(const std::vector<double>& values, const Shape&, DType = f32,
             std::source_location where = std::source_location::current());
// indices [..] -> [.., depth].
Tensor one_hot(At indices, int64_t depth, DType = f32);

// ---- indices that are data: i32 or i64; outside [-n, n) they are clamped ----

// Slices at indices: [..axis] + indices + [axis + 1..]. embedding: rows of a table [n, d], ids [..] -> [.., d].
Tensor take(At, At indices, int64_t axis = 0);
Tensor embedding(At ids, At table);
// An index per element along an axis; the shape is that of the indices.
Tensor take_along_axis(At, At indices, int64_t axis);
// Places in the last dimension of the indices, within `batch` leading dimensions that both share.
Tensor gather_nd(At, At indices, int64_t batch = 0);
// x with updates combined into what the function above would read; `mode` set (the last wins), add, mul, max, min.
Tensor put(At, At indices, At updates, int64_t axis, const std::string& mode = "set");
Tensor index_add(At, At indices, At updates, int64_t axis = 0);
Tensor put_along_axis(At, At indices, At updates, int64_t axis, const std::string& mode = "set");
Tensor scatter_nd(At, At indices, At updates, const std::string& mode = "set");

// ---- images [n, c, h, w] ----

// [n, c r^2, h, w] -> [n, c, h r, w r] and back (space to depth).
Tensor pixel_shuffle(At, int64_t r);
Tensor pixel_unshuffle(At, int64_t r);
// [n, c, spatial..] -> [n, c, size..]; `mode` nearest or linear, `coordinates` half_pixel, align_corners or asymmetric.
// Nearest of PyTorch is asymmetric.
Tensor resize(At, const std::vector<int64_t>& size, const std::string& mode = "nearest",
              const std::string& coordinates = "asymmetric");

// Products by named dimensions: einsum("bij,bjk->bik", {a, b}); see einsum_op.
Tensor einsum(const std::string& equation, const Tensors&);

}  // namespace gmc
