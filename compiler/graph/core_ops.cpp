#include "compiler/graph/core_ops.h"

#include "compiler/graph/core_rules.h"

#include <algorithm>
#include <numeric>

namespace gmc::graph {
// ---- rules shared by many ops --------------------------------------------------------------------------------------

std::vector<TensorType> infer_same(Types types, const Attributes&) {
  for (const TensorType& t : types) {
    if (!(t == types[0])) fail("operands differ: {} and {}", to_string(types[0]), to_string(t));
  }
  return {types[0]};
}

std::vector<TensorType> infer_compare(Types types, const Attributes& attributes) {
  infer_same(types, attributes);
  return {TensorType{DType::boolean, types[0].shape}};
}

std::vector<Sample> unary_samples() {
  return {{{{f32, {4, 7}}}}, {{{f32, {}}}}, {{{f32, {0, 3}}}}, {{{f32, {1}}}}, {{{f32, {2, 3, 17}}}}};
}
std::vector<Sample> positive_samples() {
  auto samples = unary_samples();
  for (Sample& s : samples) s.low = 0.1, s.high = 4;
  return samples;
}
std::vector<Sample> binary_samples() {
  auto samples = unary_samples();
  for (Sample& s : samples) s.inputs.push_back(s.inputs[0]);
  return samples;
}
std::vector<BadSample> unary_bad_samples() {
  return {{{{boolean, {2}}}, {}, "dtype, got bool"},
          {{}, {}, "expected 1 operands, got 0"},
          {{{f32, {2}}, {f32, {2}}}, {}, "expected 1 operands, got 2"}};
}
std::vector<BadSample> binary_bad_samples() {
  return {{{{f32, {2}}, {f32, {3}}}, {}, "operands differ: f32[2] and f32[3]"},
          {{{f32, {2}}, {f64, {2}}}, {}, "operands differ: f32[2] and f64[2]"},
          {{{f32, {2}}}, {}, "expected 2 operands, got 1"}};
}

std::vector<const OpDef*> core_ops() {
  return {&input_op,         &constant_op,  &literal_op, &index_op,     &add_op,    &sub_op,
          &mul_op,           &div_op,       &neg_op,     &less_op,      &equal_op,  &select_op,
          &cast_op,          &broadcast_op, &reshape_op, &transpose_op, &slice_op,  &pad_op,
          &windows_op,       &skew_op,      &gather_op,  &scatter_op,   &reduce_op, &matmul_op,
          &stop_gradient_op, &loop_op,      &scan_op,    &while_op,     &cond_op};
}

// ---- builders ------------------------------------------------------------------------------------------------------

Var apply(const OpDef& op, std::vector<Var> operands, Attributes attributes) {
  Graph& g = *operands.at(0).graph;
  std::vector<Value> values;
  for (const Var& v : operands) values.push_back(v.value);
  return {&g, g.add(op, std::move(values), std::move(attributes))};
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  Shape out = a.size() >= b.size() ? a : b;
  const Shape& other = a.size() >= b.size() ? b : a;
  for (size_t i = 0; i < other.size(); ++i) {
    int64_t& extent = out[out.size() - other.size() + i];
    if (extent != other[i] && extent != 1 && other[i] != 1)
      fail("shapes do not broadcast: {} and {}", to_string(a), to_string(b));
    if (extent == 1) extent = other[i];
  }
  return out;
}

Var apply_elementwise(const OpDef& op, std::vector<Var> operands, Attributes attributes) {
  Graph& g = *operands.at(0).graph;
  Shape shape;
  try {
    for (const Var& v : operands) shape = broadcast_shape(shape, v.shape());
  } catch (const Error& e) {
    std::vector<Value> values;
    for (const Var& v : operands) values.push_back(v.value);
    throw Error(diagnose(g, fmt::format("{}: {}", op.name, e.what()), values));
  }
  for (Var& v : operands) v = broadcast_to(v, shape);
  return apply(op, std::move(operands), std::move(attributes));
}

namespace {
std::vector<int64_t> shape_attribute(const Shape& shape) { return shape; }
Var number(Var like, double value) { return constant(*like.graph, value, {like.type().dtype, {}}); }
}  // namespace

Var operator+(Var a, Var b) { return apply_elementwise(add_op, {a, b}); }
Var operator-(Var a, Var b) { return apply_elementwise(sub_op, {a, b}); }
Var operator*(Var a, Var b) { return apply_elementwise(mul_op, {a, b}); }
Var operator/(Var a, Var b) { return apply_elementwise(div_op, {a, b}); }
Var operator-(Var a) { return apply(neg_op, {a}); }
Var operator+(Var a, double b) { return a + number(a, b); }
Var operator-(Var a, double b) { return a - number(a, b); }
Var operator-(double a, Var b) { return number(b, a) - b; }
Var operator*(Var a, double b) { return a * number(a, b); }
Var operator*(double a, Var b) { return number(b, a) * b; }
Var operator/(Var a, double b) { return a / number(a, b); }
Var less(Var a, Var b) { return apply_elementwise(less_op, {a, b}); }
Var equal(Var a, Var b) { return apply_elementwise(equal_op, {a, b}); }
Var select(Var condition, Var a, Var b) { return apply_elementwise(select_op, {condition, a, b}); }
Var cast(Var a, DType to) {
  return a.type().dtype == to ? a : apply(cast_op, {a}, {{"dtype", std::string(name_of(to))}});
}

Var broadcast(Var a, const Shape& to, std::vector<int64_t> dims) {
  return a.shape() == to ? a : apply(broadcast_op, {a}, {{"shape", shape_attribute(to)}, {"dims", std::move(dims)}});
}
Var broadcast_to(Var a, const Shape& to) {
  std::vector<int64_t> dims(a.shape().size());
  std::iota(dims.begin(), dims.end(), static_cast<int64_t>(to.size() - std::min(to.size(), dims.size())));
  return broadcast(a, to, std::move(dims));
}
Var reshape(Var a, const Shape& to) {
  return a.shape() == to ? a : apply(reshape_op, {a}, {{"shape", shape_attribute(to)}});
}
Var transpose(Var a, std::vector<int64_t> perm) { return apply(transpose_op, {a}, {{"perm", std::move(perm)}}); }
Var reduce(Var a, const std::string& monoid, std::vector<int64_t> axes) {
  if (axes.empty()) {
    axes.resize(a.shape().size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  return axes.empty() ? a : apply(reduce_op, {a}, {{"monoid", monoid}, {"axes", std::move(axes)}});
}
Var sum(Var a, std::vector<int64_t> axes) { return reduce(a, "sum", std::move(axes)); }
Var matmul(Var a, Var b, bool transpose_a, bool transpose_b) {
  Attributes attributes;
  if (transpose_a) attributes["transpose_a"] = true;
  if (transpose_b) attributes["transpose_b"] = true;
  return apply(matmul_op, {a, b}, std::move(attributes));
}

}  // namespace gmc::graph
