// Quantised operators: integers that stand for (q - zero point) * scale.
#include "tools/onnx/build.h"

namespace gmc::onnx {
namespace {

using graph::cast;
using graph::reshape;

struct Limits {
  double low, high;
};
Limits limits(DType d) {
  if (d == DType::u8) return {0, 255};
  if (d == DType::i8) return {-128, 127};
  unsupported("quantisation to {}", name_of(d));
}

// A scale or zero point as it lies along the dimensions of x: one, one per element of `axis`, or one per block there.
Var placed(Call& c, Var v, Var x) {
  const Shape from = v.shape(), to = x.shape();
  if (element_count(from) == 1) return reshape(v, {});
  const int64_t block = c.integer("block_size", 0);
  const int64_t axis = c.axis_in(c.integer("axis", 1), std::ssize(to));
  const auto d = static_cast<size_t>(axis);
  if (from.size() == 1 && block == 0) {
    if (from[0] != to[d]) fail("{} scales for axis {} of {}", from[0], axis, to_string(to));
    return along(v, axis, std::ssize(to));
  }
  if (from.size() != to.size() || block < 1 || from[d] != (to[d] + block - 1) / block)
    fail("scales {} in blocks of {} for {}", to_string(from), block, to_string(to));
  // Each scale repeated for its block.
  check_table(to[d], 1);
  std::vector<int64_t> at;
  for (int64_t i = 0; i < to[d]; ++i) at.push_back(i / block);
  return take(v, at, axis);
}

Var quantised(Var scaled, Var zero, DType dtype) {
  Var q = apply_named("round", {scaled});
  if (zero.valid()) q = q + cast(zero, q.type().dtype);
  const Limits l = limits(dtype);
  return cast(maximum(minimum(q, number_like(q, l.high)), number_like(q, l.low)), dtype);
}

std::vector<Value> quantize(Call& c) {
  Var x = c[0].type().dtype == DType::i32 ? cast(c[0], DType::f32) : c[0];
  // Divided in the type of the scale, or in the one that is asked for.
  if (c.version >= 23) {
    const int64_t precision = c.integer("precision", 0);
    x = cast(x, precision != 0 ? need_dtype(static_cast<Element>(precision)) : c[1].type().dtype);
  }
  DType dtype = DType::u8;
  if (c.integer("output_dtype", 0) != 0) dtype = need_dtype(static_cast<Element>(c.integer("output_dtype")));
  if (c.has(2)) dtype = c[2].type().dtype;
  const Var scale = cast(placed(c, c[1], x), x.type().dtype);
  return one(quantised(x / scale, c.has(2) ? placed(c, c[2], x) : Var{}, dtype));
}

std::vector<Value> dequantize(Call& c) {
  const DType dtype = c[1].type().dtype;
  const Var x = cast(c[0], dtype), scale = placed(c, c[1], c[0]);
  const Var out = (c.has(2) ? x - cast(placed(c, c[2], c[0]), dtype) : x) * scale;
  const int64_t to = c.version >= 23 ? c.integer("output_dtype", 0) : 0;
  return one(to == 0 ? out : cast(out, need_dtype(static_cast<Element>(to))));
}

std::vector<Value> dynamic_quantize(Call& c) {
  const Var x = c[0];
  const Var top = maximum(graph::reduce(x, "max"), number_like(x, 0)),
            bottom = minimum(graph::reduce(x, "min"), number_like(x, 0));
  const Var scale = (top - bottom) / 255.0;
  const Var zero = quantised(-bottom / scale, Var{}, DType::u8);
  return {{quantised(x / scale, zero, DType::u8), nullptr}, {scale, nullptr}, {zero, nullptr}};
}

// i32, less the zero point: a scalar, or one per row (`axis` from the end).
Var less_zero(Call& c, size_t i, size_t zero, int64_t axis) {
  const Var x = cast(c[i], DType::i32);
  if (!c.has(zero)) return x;
  const Var z = cast(c[zero], DType::i32);
  if (element_count(z.shape()) == 1) return x - reshape(z, {});
  if (z.shape().size() == 1) return x - along(z, c.axis_in(axis, std::ssize(x.shape())), std::ssize(x.shape()));
  return x - z;
}

std::vector<Value> matmul_integer(Call& c) { return one(product(less_zero(c, 0, 2, -2), less_zero(c, 1, 3, -1))); }

// Scales along a dimension of the result.
Var scale_along(Call& c, size_t i, int64_t axis, int64_t rank) {
  return element_count(c[i].shape()) == 1 ? reshape(c[i], {})
         : c[i].shape().size() == 1       ? along(c[i], axis, rank)
                                          : c[i];
}

std::vector<Value> qlinear_matmul(Call& c) {
  const Var sum = product(less_zero(c, 0, 2, -2), less_zero(c, 3, 5, -1));
  const int64_t rank = std::ssize(sum.shape());
  const Var scale =
      scale_along(c, 1, rank - 2, rank) * scale_along(c, 4, rank - 1, rank) / scale_along(c, 6, rank - 2, rank);
  return one(
      quantised(cast(sum, DType::f32) * cast(scale, DType::f32), scale_along(c, 7, rank - 2, rank), c[7].type().dtype));
}

std::vector<Value> qlinear_conv(Call& c) {
  const int64_t rank = c.rank(0);
  Var sum = convolution(c, less_zero(c, 0, 2, 1), less_zero(c, 3, 5, 0));
  if (c.has(8)) sum = sum + along(c[8], 1, rank);
  const Var scale = scale_along(c, 1, 1, rank) * scale_along(c, 4, 1, rank) / scale_along(c, 6, 1, rank);
  return one(quantised(cast(sum, DType::f32) * scale, reshape(c[7], {}), c[7].type().dtype));
}

constexpr Row rows[] = {
    {"DequantizeLinear", dequantize}, {"DynamicQuantizeLinear", dynamic_quantize}, {"MatMulInteger", matmul_integer},
    {"QLinearConv", qlinear_conv},    {"QLinearMatMul", qlinear_matmul},           {"QuantizeLinear", quantize},
};

}  // namespace

std::span<const Row> quantize_rows() { return rows; }

}  // namespace gmc::onnx
