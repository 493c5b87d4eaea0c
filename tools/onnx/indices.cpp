// Operators that read or write at indices that are data.
#include "tools/onnx/build.h"

#include <numeric>

namespace gmc::onnx {
namespace {

using graph::reshape;
using List = std::vector<int64_t>;

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
  Var index = graph::cast(at, DType::i64);
  if (c.version >= 11) index = wrapped(index, depth);
  const Var hot = graph::equal(unsqueezed(index, axis), place);
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

constexpr Row rows[] = {
    {"Compress", compress},
    {"Gather", gather},
    {"GatherElements", gather_elements},
    {"GatherND", gather_nd},
    {"OneHot", one_hot},
    {"ReverseSequence", reverse_sequence},
    {"Scatter", scatter_elements},
    {"ScatterElements", scatter_elements},
    {"ScatterND", scatter_nd},
};

}  // namespace

std::span<const Row> index_rows() { return rows; }

}  // namespace gmc::onnx
