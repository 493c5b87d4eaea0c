// Reading and writing at indices that are data, in the forms of NumPy, PyTorch and ONNX. Negative indices count from
// the end; what is still outside is clamped, as gather does.
#include "ops/rules.h"

namespace gmc::ops {
namespace {

Var from_end(Var index, int64_t extent) {
  const Var zero = number(index, 0);
  return select(less(index, zero), index + static_cast<double>(extent), index);
}

int64_t extent_of(const Shape& s, int64_t axis) { return s[static_cast<size_t>(axis)]; }
List from_to(int64_t begin, int64_t end) {
  List out;
  for (int64_t i = begin; i < end; ++i) out.push_back(i);
  return out;
}

void check_mode(const TensorType& x, const Attributes& a) {
  const std::string& mode = get<std::string>(a, "mode");
  if (mode != "set" && mode != "add" && mode != "mul" && mode != "max" && mode != "min")
    fail("unknown mode '{}': expected set, add, mul, max or min", mode);
  if (x.dtype == boolean && mode != "set") fail("expected mode set for bool, got {}", mode);
}
void check_not_empty(const TensorType& x, int64_t axis, const Shape& indices) {
  if (extent_of(x.shape, axis) == 0 && element_count(indices) > 0)
    fail("axis {} of {} has no element to index", axis, to_string(x.shape));
}

// ---- take and put: whole slices along an axis ----

Shape taken_shape(const Shape& x, const Shape& indices, int64_t axis) {
  Shape out(x.begin(), x.begin() + axis);
  out.insert(out.end(), indices.begin(), indices.end());
  out.insert(out.end(), x.begin() + axis + 1, x.end());
  return out;
}
// Dimension of the result that a dimension of x is found at; -1 along `axis`.
List taken_dims(size_t rank, int64_t axis, size_t index_rank) {
  List dims;
  for (int64_t d = 0; d < static_cast<int64_t>(rank); ++d)
    dims.push_back(d < axis ? d : d == axis ? -1 : d + static_cast<int64_t>(index_rank) - 1);
  return dims;
}
Var spread_index(Var index, const Shape& x, int64_t axis) {
  const Shape to = taken_shape(x, index.shape(), axis);
  return broadcast(from_end(index, extent_of(x, axis)), to, from_to(axis, axis + std::ssize(index.shape())));
}

// ---- gather_nd and scatter_nd: the last dimension of the indices is a place ----

struct Places {
  std::vector<Var> indices;
  List axes, dims;
};
Shape places_shape(const Shape& x, const Shape& indices, int64_t batch) {
  Shape out(indices.begin(), indices.end() - 1);
  out.insert(out.end(), x.begin() + batch + indices.back(), x.end());
  return out;
}
void check_places(const TensorType& x, const TensorType& indices, int64_t batch) {
  check_index(indices);
  const auto rank = std::ssize(x.shape), index_rank = std::ssize(indices.shape);
  if (index_rank < 1) fail("expected indices of at least 1 dimension, got {}", to_string(indices));
  if (batch < 0 || batch >= index_rank || batch >= rank)
    fail("{} batch dimensions do not fit {} and {}", batch, to_string(x), to_string(indices));
  const int64_t depth = indices.shape.back();
  if (depth < 1 || batch + depth > rank)
    fail("places of {} numbers do not fit {} with {} batch dimensions", depth, to_string(x.shape), batch);
  for (int64_t d = 0; d < batch; ++d)
    if (extent_of(x.shape, d) != extent_of(indices.shape, d))
      fail("batches differ: {} and {}", to_string(x.shape), to_string(indices.shape));
  for (int64_t d = batch; d < batch + depth; ++d) check_not_empty(x, d, places_shape(x.shape, indices.shape, batch));
}
Places places_of(Var x, Var index, int64_t batch) {
  const Shape shape = x.shape(), from = index.shape(), to = places_shape(shape, from, batch);
  const Shape places(from.begin(), from.end() - 1);
  const auto last = std::ssize(places), depth = from.back();
  Places out{{}, from_to(batch, batch + depth), {}};
  for (int64_t j = 0; j < depth; ++j) {
    const Var one = from_end(reshape(slice(index, last, j, j + 1), places), extent_of(shape, batch + j));
    out.indices.push_back(broadcast(one, to, from_to(0, last)));
  }
  for (int64_t d = 0; d < std::ssize(shape); ++d)
    out.dims.push_back(d < batch ? d : d < batch + depth ? -1 : last + d - batch - depth);
  return out;
}

// ---- along an axis, an index per element ----

void check_along(const TensorType& x, const TensorType& index, int64_t axis) {
  check_index(index);
  check_rank(index, x.shape.size());
  for (int64_t d = 0; d < std::ssize(x.shape); ++d)
    if (d != axis && extent_of(index.shape, d) > extent_of(x.shape, d))
      fail("indices {} go past dimension {} of {}", to_string(index.shape), d, to_string(x.shape));
  check_not_empty(x, axis, index.shape);
}
List along_dims(const Shape& x, int64_t axis) {
  List dims = all_axes(x);
  dims[static_cast<size_t>(axis)] = -1;
  return dims;
}

void check_updates(const TensorType& x, const TensorType& updates, const Shape& expected) {
  if (updates.dtype != x.dtype) fail("updates of {} do not fit {}", name_of(updates.dtype), name_of(x.dtype));
  if (updates.shape != expected)
    fail("expected updates of shape {}, got {}", to_string(expected), to_string(updates.shape));
}

Attributes at(int64_t axis) { return {{"axis", axis}}; }
Attributes at(int64_t axis, const char* mode) { return {{"axis", axis}, {"mode", mode}}; }

}  // namespace

// Slices of x along `axis` at indices: [..axis] + indices + [axis + 1..]. With axis 0, an embedding.
const OpDef take_op{
    .name = "take",
    .category = Category::composite,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> Results {
      const int64_t axis = get_axis(a, t[0].shape.size());
      check_index(t[1]);
      check_not_empty(t[0], axis, t[1].shape);
      return {TensorType{t[0].dtype, taken_shape(t[0].shape, t[1].shape, axis)}};
    },
    .dtypes = any_dtype,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const int64_t axis = n.integer("axis");
          const Var index = spread_index(x[1], x[0].shape(), axis);
          return Vars{gather(x[0], {index}, {axis}, taken_dims(x[0].shape().size(), axis, x[1].shape().size()))};
        },
    .samples =
        [] {
          return std::vector<Sample>{{{{f32, {5, 3}}, {i64, {2, 4}}}, at(0), -5, 5},
                                     {{{f32, {3, 5}}, {i32, {7}}}, at(1), 0, 5},
                                     {{{f32, {2, 4, 3}}, {i64, {}}}, at(1), 0, 4},
                                     {{{f32, {4}}, {i64, {0}}}, at(0)},
                                     {{{f32, {1, 3}}, {i64, {2}}}, at(0), 0, 1}};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {5, 3}}, {f32, {2}}}, at(0), "expected indices of i32 or i64, got f32"},
              {{{f32, {5, 3}}, {i64, {2}}}, at(2), "axis 2 is out of range for 2 dimensions"},
              {{{f32, {0, 3}}, {i64, {2}}}, at(0), "axis 0 of [0, 3] has no element to index"}};
        }};

// x with updates [..axis] + indices + [axis + 1..] combined into its slices along `axis`: `mode` set (the last wins),
// add, mul, max, min. Operands: x, indices, updates.
const OpDef put_op{
    .name = "put",
    .category = Category::composite,
    .arity = 3,
    .infer = [](Types t, const Attributes& a) -> Results {
      const int64_t axis = get_axis(a, t[0].shape.size());
      check_index(t[1]);
      check_mode(t[0], a);
      check_not_empty(t[0], axis, t[1].shape);
      check_updates(t[0], t[2], taken_shape(t[0].shape, t[1].shape, axis));
      return {t[0]};
    },
    .dtypes = any_dtype,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const int64_t axis = n.integer("axis");
          const Var index = spread_index(x[1], x[0].shape(), axis);
          return Vars{scatter(x[0], x[2], {index}, {axis}, taken_dims(x[0].shape().size(), axis, x[1].shape().size()),
                              n.text("mode"))};
        },
    .samples =
        [] {
          return std::vector<Sample>{{{{f32, {5, 3}}, {i64, {4}}, {f32, {4, 3}}}, at(0, "add"), -5, 5},
                                     {{{f32, {3, 5}}, {i32, {4}}, {f32, {3, 4}}}, at(1, "set"), 0, 5},
                                     {{{f32, {1}}, {i64, {}}, {f32, {}}}, at(0, "add"), 0, 1},
                                     {{{f32, {3}}, {i64, {0}}, {f32, {0}}}, at(0, "set"), 0, 1}};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {5, 3}}, {i64, {4}}, {f32, {3, 3}}},
               at(0, "add"),
               "expected updates of shape [4, 3], got [3, 3]"},
              {{{f32, {5, 3}}, {i64, {4}}, {f64, {4, 3}}}, at(0, "add"), "updates of f64 do not fit f32"},
              {{{f32, {5}}, {i64, {4}}, {f32, {4}}}, at(0, "sub"), "unknown mode 'sub'"}};
        }};

// result[..] = x[.., index[..], ..], the index standing in for that along `axis`; the shape is that of the indices.
const OpDef take_along_axis_op{
    .name = "take_along_axis",
    .category = Category::composite,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> Results {
      check_along(t[0], t[1], get_axis(a, t[0].shape.size()));
      return {TensorType{t[0].dtype, t[1].shape}};
    },
    .dtypes = any_dtype,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const int64_t axis = n.integer("axis");
          const Shape shape = x[0].shape();
          return Vars{gather(x[0], {from_end(x[1], extent_of(shape, axis))}, {axis}, along_dims(shape, axis))};
        },
    .samples =
        [] {
          return std::vector<Sample>{{{{f32, {4, 5}}, {i64, {4, 3}}}, at(1), -5, 5},
                                     {{{f32, {4, 5}}, {i32, {7, 5}}}, at(0), 0, 4},
                                     {{{f32, {3, 2, 4}}, {i64, {2, 3, 4}}}, at(1), 0, 2},
                                     {{{f32, {0, 3}}, {i64, {0, 1}}}, at(1)},
                                     {{{f32, {1}}, {i64, {1}}}, at(0), 0, 1}};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {4, 5}}, {i64, {6, 3}}}, at(1), "indices [6, 3] go past dimension 0 of [4, 5]"},
              {{{f32, {4, 5}}, {i64, {4}}}, at(1), "expected 2 dimensions, got i64[4]"},
              {{{f32, {4, 5}}, {f32, {4, 5}}}, at(1), "expected indices of i32 or i64, got f32"}};
        }};

// x with updates combined into the places take_along_axis would read. Operands: x, indices, updates of the indices'
// shape.
const OpDef put_along_axis_op{
    .name = "put_along_axis",
    .category = Category::composite,
    .arity = 3,
    .infer = [](Types t, const Attributes& a) -> Results {
      check_along(t[0], t[1], get_axis(a, t[0].shape.size()));
      check_mode(t[0], a);
      check_updates(t[0], t[2], t[1].shape);
      return {t[0]};
    },
    .dtypes = any_dtype,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const int64_t axis = n.integer("axis");
          const Shape shape = x[0].shape();
          return Vars{scatter(x[0], x[2], {from_end(x[1], extent_of(shape, axis))}, {axis}, along_dims(shape, axis),
                              n.text("mode"))};
        },
    .samples =
        [] {
          return std::vector<Sample>{{{{f32, {4, 5}}, {i64, {4, 3}}, {f32, {4, 3}}}, at(1, "add"), -5, 5},
                                     {{{f32, {4, 5}}, {i32, {2, 5}}, {f32, {2, 5}}}, at(0, "set"), 0, 4},
                                     {{{f32, {1}}, {i64, {1}}, {f32, {1}}}, at(0, "add"), 0, 1},
                                     {{{f32, {0, 3}}, {i64, {0, 1}}, {f32, {0, 1}}}, at(1, "set")}};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {4, 5}}, {i64, {4, 3}}, {f32, {4, 2}}},
               at(1, "add"),
               "expected updates of shape [4, 3], got [4, 2]"},
              {{{f32, {4, 5}}, {i64, {4, 3}}, {f32, {4, 3}}}, at(1), "attribute 'mode' is missing"},
              {{{f32, {4, 5}}, {i64, {5, 3}}, {f32, {5, 3}}},
               at(1, "add"),
               "indices [5, 3] go past dimension 0 of [4, 5]"}};
        }};

// Elements or slices of x at the places in the last dimension of the indices, within `batch` leading dimensions that
// both share: [..indices without the last] + [what of x is behind a place].
const OpDef gather_nd_op{
    .name = "gather_nd",
    .category = Category::composite,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> Results {
      const auto batch = get<int64_t>(a, "batch");
      check_places(t[0], t[1], batch);
      return {TensorType{t[0].dtype, places_shape(t[0].shape, t[1].shape, batch)}};
    },
    .dtypes = any_dtype,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const Places p = places_of(x[0], x[1], n.integer("batch"));
          return Vars{gather(x[0], p.indices, p.axes, p.dims)};
        },
    .samples =
        [] {
          const Attributes none{{"batch", int64_t{0}}}, one{{"batch", int64_t{1}}};
          return std::vector<Sample>{{{{f32, {4, 5}}, {i64, {3, 2}}}, none, -4, 4},
                                     {{{f32, {4, 5, 2}}, {i32, {3, 1}}}, none, 0, 4},
                                     {{{f32, {3, 4, 5}}, {i64, {3, 2, 1}}}, one, 0, 4},
                                     {{{f32, {3}}, {i64, {0, 1}}}, none}};
        },
    .bad_samples =
        [] {
          const Attributes none{{"batch", int64_t{0}}}, one{{"batch", int64_t{1}}};
          return std::vector<BadSample>{
              {{{f32, {4, 5}}, {i64, {3, 3}}}, none, "places of 3 numbers do not fit [4, 5] with 0 batch dimensions"},
              {{{f32, {4, 5}}, {i64, {3, 1}}}, one, "batches differ: [4, 5] and [3, 1]"},
              {{{f32, {4, 5}}, {i64, {}}}, none, "expected indices of at least 1 dimension, got i64[]"}};
        }};

// x with updates combined into the places gather_nd would read; `mode` as put. Operands: x, indices, updates.
const OpDef scatter_nd_op{
    .name = "scatter_nd",
    .category = Category::composite,
    .arity = 3,
    .infer = [](Types t, const Attributes& a) -> Results {
      check_places(t[0], t[1], 0);
      check_mode(t[0], a);
      check_updates(t[0], t[2], places_shape(t[0].shape, t[1].shape, 0));
      return {t[0]};
    },
    .dtypes = any_dtype,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const Places p = places_of(x[0], x[1], 0);
          return Vars{scatter(x[0], x[2], p.indices, p.axes, p.dims, n.text("mode"))};
        },
    .samples =
        [] {
          const Attributes set{{"mode", "set"}}, add{{"mode", "add"}};
          return std::vector<Sample>{{{{f32, {4, 5}}, {i64, {3, 2}}, {f32, {3}}}, add, -4, 4},
                                     {{{f32, {4, 3}}, {i64, {2, 1}}, {f32, {2, 3}}}, set, 0, 4},
                                     {{{f32, {1}}, {i64, {1}}, {f32, {}}}, add, 0, 1},
                                     {{{f32, {3}}, {i64, {0, 1}}, {f32, {0}}}, set}};
        },
    .bad_samples =
        [] {
          const Attributes set{{"mode", "set"}};
          return std::vector<BadSample>{
              {{{f32, {4, 5}}, {i64, {3, 2}}, {f32, {4}}}, set, "expected updates of shape [3], got [4]"},
              {{{f32, {4, 5}}, {i64, {3, 3}}, {f32, {3}}}, set, "places of 3 numbers do not fit [4, 5]"},
              {{{f32, {4, 5}}, {i64, {3, 2}}, {f32, {3}}}, {{"mode", "sub"}}, "unknown mode 'sub'"}};
        }};

// 1 where an added last dimension of `depth` equals the index, elsewhere 0, in `dtype`; a row of zeros for an index
// outside [-depth, depth).
const OpDef one_hot_op{
    .name = "one_hot",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      const auto depth = get<int64_t>(a, "depth");
      if (depth < 0) fail("the depth is {}", depth);
      TensorType out{get_dtype(a), t[0].shape};
      out.shape.push_back(depth);
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = integral,
    .vjp = [](Args) { return Vars(1); },
    .expand =
        [](Graph& g, const Node& n, Operands x) {
          const Shape to = n.types[0].shape;
          const auto rank = std::ssize(x[0].shape());
          const Var wanted = broadcast(from_end(cast(x[0], i64), n.integer("depth")), to, from_to(0, rank));
          return Vars{cast(equal(wanted, index(g, rank, {i64, to})), n.types[0].dtype)};
        },
    .samples =
        [] {
          const auto with = [](Shape shape, const char* dtype) {
            return Sample{{{i64, std::move(shape)}}, {{"depth", int64_t{5}}, {"dtype", dtype}}, -6, 7};
          };
          return std::vector<Sample>{with({4, 3}, "f32"), with({}, "f32"), with({0, 3}, "f32"), with({7}, "bool"),
                                     with({1}, "i32")};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {4}}}, {{"depth", int64_t{5}}, {"dtype", "f32"}}, "expected an integer dtype, got f32"},
              {{{i64, {4}}}, {{"depth", int64_t{-1}}, {"dtype", "f32"}}, "the depth is -1"},
              {{{i64, {4}}}, {{"depth", int64_t{5}}, {"dtype", "f31"}}, "unknown dtype 'f31'"}};
        }};

}  // namespace gmc::ops
