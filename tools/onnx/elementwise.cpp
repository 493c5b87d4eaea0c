// Operators that work element by element, and the activations.
#include "tools/onnx/build.h"

#include <cmath>
#include <limits>

namespace gmc::onnx {
namespace {

using graph::cast;
using graph::less;
using graph::select;

constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<Value> unary(Call& c, const char* op) { return one(apply_named(op, {c[0]})); }

// The second operand as NumPy aligns it; until version 6 the node says itself where it lies.
Var second(Call& c) {
  const Var b = c[1];
  if (c.version >= 7 || c.integer("broadcast", 0) == 0 || !c.find("axis")) return b;
  const int64_t rank = c.rank(0), axis = c.axis_in(c.integer("axis"), rank);
  Shape shape = b.shape();
  if (axis + std::ssize(shape) > rank) fail("axis {} does not fit {}", axis, to_string(shape));
  shape.resize(static_cast<size_t>(rank - axis), 1);
  return graph::reshape(b, shape);
}

// Of several operands, one after the other.
template <Var (*combine)(Var, Var)>
std::vector<Value> fold(Call& c) {
  Var out = c[0];
  for (size_t i = 1; i < c.count(); ++i) out = combine(out, c[i]);
  return one(out);
}

Var sum_of(Var a, Var b) { return a + b; }

std::vector<Value> mean(Call& c) {
  Var out = c[0];
  for (size_t i = 1; i < c.count(); ++i) out = out + c[i];
  return one(out / static_cast<double>(c.count()));
}

std::vector<Value> power(Call& c) {
  const Var x = c[0], y = second(c);
  const DType dtype = x.type().dtype;
  if (is_float(dtype)) return one(apply_named("pow", {x, cast(y, dtype)}));
  // Of integers: exact in f64 up to 2^53.
  return one(cast(apply_named("pow", {cast(x, DType::f64), cast(y, DType::f64)}), dtype));
}

std::vector<Value> modulo(Call& c) {
  const Var a = c[0], b = c[1];
  const bool as_in_c = c.integer("fmod", 0) != 0;
  if (is_float(a.type().dtype)) {
    if (!as_in_c && c.version < 28) fail("attribute 'fmod' has to be 1 for floating operands until opset 27");
    return one(apply_named(as_in_c ? "fmod" : "mod", {a, b}));
  }
  const Var rest = a - (a / b) * b;  // of the sign of a
  if (as_in_c) return one(rest);
  const Var zero = number_like(a, 0);
  const Var other = both(negated(graph::equal(rest, zero)), negated(graph::equal(less(rest, zero), less(b, zero))));
  return one(select(other, rest + b, rest));
}

std::vector<Value> clip(Call& c) {
  Var x = c[0];
  if (c.version < 11) {
    if (c.find("min")) x = maximum(x, number_like(x, c.number("min", 0)));
    if (c.find("max")) x = minimum(x, number_like(x, c.number("max", 0)));
    return one(x);
  }
  for (const size_t i : {size_t{1}, size_t{2}})
    if (c.has(i) && element_count(c[i].shape()) != 1) fail("input {} is no scalar: {}", i, to_string(c[i].shape()));
  if (c.has(1)) x = maximum(x, graph::reshape(c[1], {}));
  if (c.has(2)) x = minimum(x, graph::reshape(c[2], {}));
  return one(x);
}

DType target(Call& c) {
  if (const Attribute* to = c.find("to"); to && to->kind == Attribute::Kind::text) {  // until version 5
    for (int32_t e = 1; e <= 16; ++e) {
      std::string name = name_of(static_cast<Element>(e));
      for (char& letter : name) letter = static_cast<char>(toupper(letter));
      if (name == to->text || (name == "FLOAT32" && to->text == "FLOAT") || (name == "FLOAT64" && to->text == "DOUBLE"))
        return need_dtype(static_cast<Element>(e));
    }
    fail("attribute 'to': unknown type");
  }
  const int64_t to = c.integer("to");
  if (to < 1 || to > 64) fail("attribute 'to': there is no type {}", to);
  return need_dtype(static_cast<Element>(to));
}

std::vector<Value> cast_to(Call& c) { return one(cast(c[0], target(c))); }
// The same bits as another type, where that is arithmetic: no op of gmc sees the bits of a floating number.
std::vector<Value> bit_cast(Call& c) {
  const DType from = c[0].type().dtype, to = target(c);
  if (from == to) return one(c[0]);
  if (size_of(from) != size_of(to)) fail("{} and {} differ in size", name_of(from), name_of(to));
  const bool small = from == DType::boolean || from == DType::i8 || from == DType::u8;
  if (!small || to == DType::boolean) unsupported("the bits of {} as {}", name_of(from), name_of(to));
  const Var x = cast(c[0], DType::i32);
  if (to == DType::u8) return one(cast(apply_named("bit_and", {x, number_like(x, 255)}), to));
  return one(cast(select(less(number_like(x, 127), x), x - 256.0, x), to));
}

std::vector<Value> cast_like(Call& c) { return one(cast(c[0], c[1].type().dtype)); }

template <Var (*compare)(Var, Var)>
std::vector<Value> comparison(Call& c) {
  return one(compare(c[0], second(c)));
}
Var greater(Var a, Var b) { return less(b, a); }
Var greater_or_equal(Var a, Var b) { return less_or_equal(b, a); }
Var differs(Var a, Var b) { return negated(graph::equal(a, b)); }

std::vector<Value> negate_bool(Call& c) { return one(negated(c[0])); }

std::vector<Value> is_nan(Call& c) { return one(negated(graph::equal(c[0], c[0]))); }
std::vector<Value> is_inf(Call& c) {
  const Var x = c[0], up = graph::equal(x, number_like(x, infinity)), down = graph::equal(x, number_like(x, -infinity));
  const bool positive = c.integer("detect_positive", 1) != 0, negative = c.integer("detect_negative", 1) != 0;
  if (positive && negative) return one(either(up, down));
  if (positive || negative) return one(positive ? up : down);
  return one(graph::constant(c.graph(), 0, {DType::boolean, x.shape()}));
}

std::vector<Value> shift(Call& c) {
  const std::string direction = c.text("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") fail("attribute 'direction' is neither LEFT nor RIGHT");
  return one(apply_named(direction == "LEFT" ? "shift_left" : "shift_right", {c[0], c[1]}));
}

std::vector<Value> bitwise_not(Call& c) {
  return one(apply_named("bit_xor", {c[0], number_like(c[0], c[0].type().dtype == DType::u8 ? 255 : -1)}));
}

std::vector<Value> where(Call& c) { return one(select(c[0], c[1], c[2])); }
std::vector<Value> reciprocal(Call& c) { return one(number_like(c[0], 1) / c[0]); }
std::vector<Value> negative(Call& c) { return one(-c[0]); }

std::vector<Value> relu(Call& c) {
  return one(is_float(c[0].type().dtype) ? apply_named("relu", {c[0]}) : maximum(c[0], number_like(c[0], 0)));
}
// x where it is at least 0, elsewhere `other`.
Var positive_or(Var x, Var other) { return select(less(x, number_like(x, 0)), other, x); }

std::vector<Value> leaky_relu(Call& c) { return one(positive_or(c[0], c[0] * c.number("alpha", 0.01f))); }
std::vector<Value> prelu(Call& c) {
  Var slope = c[1];
  // Until version 6 a slope per channel is a vector.
  if (c.version < 7 && slope.shape().size() == 1 && c.rank(0) > 1) slope = along(slope, 1, c.rank(0));
  return one(positive_or(c[0], c[0] * slope));
}
Var expm1(Var x) { return apply_named("expm1", {minimum(x, number_like(x, 0))}); }
std::vector<Value> elu(Call& c) { return one(positive_or(c[0], c.number("alpha", 1) * expm1(c[0]))); }
std::vector<Value> selu(Call& c) {
  const double alpha = c.number("alpha", 1.67326319217681884765625),
               gamma = c.number("gamma", 1.05070102214813232421875);
  return one(gamma * positive_or(c[0], alpha * expm1(c[0])));
}
std::vector<Value> celu(Call& c) {
  const double alpha = c.number("alpha", 1);
  return one(positive_or(c[0], alpha * expm1(c[0] / alpha)));
}
std::vector<Value> thresholded_relu(Call& c) {
  return one(select(less(number_like(c[0], c.number("alpha", 1)), c[0]), c[0], number_like(c[0], 0)));
}
Var hard_sigmoid(Var x, double alpha, double beta) {
  return maximum(minimum(alpha * x + beta, number_like(x, 1)), number_like(x, 0));
}
std::vector<Value> hard_sigmoid(Call& c) {
  return one(hard_sigmoid(c[0], c.number("alpha", 0.2f), c.number("beta", 0.5)));
}
std::vector<Value> hard_swish(Call& c) { return one(c[0] * hard_sigmoid(c[0], 1.0 / 6, 0.5)); }
std::vector<Value> softsign(Call& c) { return one(c[0] / (apply_named("abs", {c[0]}) + 1.0)); }
std::vector<Value> gelu(Call& c) {
  const std::string approximate = c.text("approximate", "none");
  if (approximate != "none" && approximate != "tanh") fail("attribute 'approximate' is neither none nor tanh");
  return unary(c, approximate == "none" ? "gelu" : "gelu_tanh");
}
std::vector<Value> mish(Call& c) { return one(c[0] * apply_named("tanh", {apply_named("softplus", {c[0]})})); }
Var swish_of(Call& c) { return c[0] * apply_named("sigmoid", {c[0] * c.number("alpha", 1)}); }
std::vector<Value> swish(Call& c) { return one(swish_of(c)); }
std::vector<Value> swiglu(Call& c) {
  if (c[1].shape() != c[0].shape())
    fail("the gate {} and the value {} differ", to_string(c[0].shape()), to_string(c[1].shape()));
  return one(swish_of(c) * c[1]);
}
std::vector<Value> shrink(Call& c) {
  const Var x = c[0];
  const double bias = c.number("bias", 0), lambda = c.number("lambd", 0.5);
  const Var low = less(x, number_like(x, -lambda)), high = less(number_like(x, lambda), x);
  return one(select(low, x + bias, select(high, x - bias, number_like(x, 0))));
}

std::vector<Value> dropout(Call& c) {
  const Var x = c[0];
  bool training = false;
  if (c.version >= 12) {
    training = c.has(2) && c.number(2) != 0 && !(c.has(1) && c.number(1) == 0);
  } else if (c.version < 7) {
    training = c.integer("is_test", 0) == 0;
  }
  if (training) unsupported("its random numbers are those of another generator");
  const DType mask = c.version >= 10 ? DType::boolean : x.type().dtype;
  return {{x, nullptr}, {graph::constant(c.graph(), 1, {mask, x.shape()}), nullptr}};
}

std::vector<Value> random(Call&) { unsupported("its random numbers are those of another generator"); }

template <bool logarithm>
std::vector<Value> soft_max(Call& c) {
  const Var x = c[0];
  const auto along_axis = [](Var v, int64_t axis) { return logarithm ? log_softmax(v, axis) : softmax(v, axis); };
  const int64_t axis = c.axis_in(c.integer("axis", c.version >= 13 ? -1 : 1), c.rank(0));
  if (c.version >= 13) return one(along_axis(x, axis));
  // Over all dimensions from `axis` on, as one.
  const Shape& shape = x.shape();
  const int64_t rows = product_of(shape, 0, static_cast<size_t>(axis));
  const int64_t columns = product_of(shape, static_cast<size_t>(axis), shape.size());
  return one(graph::reshape(along_axis(graph::reshape(x, {rows, columns}), 1), shape));
}

#define GMC_UNARY(OP) [](Call& c) { return unary(c, OP); }
#define GMC_NAMED(OP) [](Call& c) { return one(apply_named(OP, {c[0], second(c)})); }
#define GMC_BINARY(OP) [](Call& c) { return one(c[0] OP second(c)); }

constexpr Row rows[] = {
    {"Abs", GMC_UNARY("abs")},
    {"Acos", GMC_UNARY("acos")},
    {"Acosh", GMC_UNARY("acosh")},
    {"Add", GMC_BINARY(+)},
    {"And", comparison<both>},
    {"Asin", GMC_UNARY("asin")},
    {"Asinh", GMC_UNARY("asinh")},
    {"Atan", GMC_UNARY("atan")},
    {"Atanh", GMC_UNARY("atanh")},
    {"Bernoulli", random},
    {"BitCast", bit_cast},
    {"BitShift", shift},
    {"BitwiseAnd", GMC_NAMED("bit_and")},
    {"BitwiseNot", bitwise_not},
    {"BitwiseOr", GMC_NAMED("bit_or")},
    {"BitwiseXor", GMC_NAMED("bit_xor")},
    {"Cast", cast_to},
    {"CastLike", cast_like},
    {"Ceil", GMC_UNARY("ceil")},
    {"Celu", celu},
    {"Clip", clip},
    {"Cos", GMC_UNARY("cos")},
    {"Cosh", GMC_UNARY("cosh")},
    {"Div", GMC_BINARY(/)},
    {"Dropout", dropout},
    {"Elu", elu},
    {"Equal", comparison<graph::equal>},
    {"Erf", GMC_UNARY("erf")},
    {"Exp", GMC_UNARY("exp")},
    {"Floor", GMC_UNARY("floor")},
    {"Gelu", gelu},
    {"Greater", comparison<greater>},
    {"GreaterOrEqual", comparison<greater_or_equal>},
    {"HardSigmoid", hard_sigmoid},
    {"HardSwish", hard_swish},
    {"IsInf", is_inf},
    {"IsNaN", is_nan},
    {"LeakyRelu", leaky_relu},
    {"Less", comparison<less>},
    {"LessOrEqual", comparison<less_or_equal>},
    {"Log", GMC_UNARY("log")},
    {"LogSoftmax", soft_max<true>},
    {"Max", fold<maximum>},
    {"Mean", mean},
    {"Min", fold<minimum>},
    {"Mish", mish},
    {"Mod", modulo},
    {"Mul", GMC_BINARY(*)},
    {"Multinomial", random},
    {"Neg", negative},
    {"Not", negate_bool},
    {"Or", comparison<either>},
    {"PRelu", prelu},
    {"Pow", power},
    {"RandomNormal", random},
    {"RandomNormalLike", random},
    {"RandomUniform", random},
    {"RandomUniformLike", random},
    {"Reciprocal", reciprocal},
    {"Relu", relu},
    {"Round", GMC_UNARY("round")},
    {"Selu", selu},
    {"Shrink", shrink},
    {"Sigmoid", GMC_UNARY("sigmoid")},
    {"Sign", GMC_UNARY("sign")},
    {"Sin", GMC_UNARY("sin")},
    {"Sinh", GMC_UNARY("sinh")},
    {"Softmax", soft_max<false>},
    {"Softplus", GMC_UNARY("softplus")},
    {"Softsign", softsign},
    {"Sqrt", GMC_UNARY("sqrt")},
    {"Sub", GMC_BINARY(-)},
    {"Sum", fold<sum_of>},
    {"SwiGLU", swiglu},
    {"Swish", swish},
    {"Tan", GMC_UNARY("tan")},
    {"Tanh", GMC_UNARY("tanh")},
    {"ThresholdedRelu", thresholded_relu},
    {"Where", where},
    {"Xor", comparison<differs>},
};

}  // namespace

std::span<const Row> elementwise_rows() { return rows; }

}  // namespace gmc::onnx
