// Tensors of nothing: constants, ranges, the shapes of others.
#include "tools/onnx/build.h"

#include <algorithm>
#include <cmath>

namespace gmc::onnx {
namespace {

using List = std::vector<int64_t>;

HostTensor table(const List& values, const Shape& shape) {
  HostTensor t(DType::i64, shape);
  std::copy(values.begin(), values.end(), t.as<int64_t>());
  return t;
}
std::vector<Value> table_of(Call& c, const List& values) {
  return one(c.constant(table(values, {std::ssize(values)})));
}

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

constexpr Row rows[] = {
    {"Constant", constant},   {"ConstantOfShape", constant_of_shape},
    {"EyeLike", eye_like},    {"NonZero", non_zero},
    {"Range", range},         {"Shape", shape_of},
    {"Size", size_of_tensor},
};

}  // namespace

std::span<const Row> constant_rows() { return rows; }

}  // namespace gmc::onnx
