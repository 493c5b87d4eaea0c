#include "tools/onnx/host.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace gmc::onnx {
namespace {

constexpr std::pair<Element, DType> pairs[] = {
    {Element::f32, DType::f32}, {Element::f16, DType::f16}, {Element::bf16, DType::bf16},
    {Element::f64, DType::f64}, {Element::i32, DType::i32}, {Element::i64, DType::i64},
    {Element::i8, DType::i8},   {Element::u8, DType::u8},   {Element::boolean, DType::boolean}};

// A binary float of `exponent` and `mantissa` bits below its sign, without the library's types for it.
double small_float(uint16_t bits, int exponent, int mantissa) {
  const int biased = (bits >> mantissa) & ((1 << exponent) - 1), bias = (1 << (exponent - 1)) - 1;
  const double sign = bits >> 15 ? -1 : 1, fraction = bits & ((1 << mantissa) - 1);
  if (biased == (1 << exponent) - 1) return fraction == 0 ? sign * HUGE_VAL : std::nan("");
  if (biased == 0) return sign * std::ldexp(fraction, 1 - bias - mantissa);
  return sign * std::ldexp(fraction + (1 << mantissa), biased - bias - mantissa);
}

uint16_t to_small_float(double value, int exponent, int mantissa) {
  const int bias = (1 << (exponent - 1)) - 1, all = (1 << exponent) - 1;
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const auto with = [&](int magnitude) { return static_cast<uint16_t>(sign | magnitude); };
  value = std::fabs(value);
  if (std::isnan(value)) return with((all << mantissa) | (1 << (mantissa - 1)));
  if (std::isinf(value)) return with(all << mantissa);
  if (value == 0) return with(0);
  const int power = std::max(std::ilogb(value), 1 - bias);
  // In units of the last place; a carry of the rounding runs into the exponent as it has to.
  const double scaled = std::nearbyint(std::ldexp(value, mantissa - power));
  if (power > bias) return with(all << mantissa);
  const int magnitude = static_cast<int>(scaled) + ((power + bias - 1) << mantissa);
  return with(std::min(magnitude, all << mantissa));
}

template <class From>
std::vector<double> widen(const HostTensor& t) {
  const From* from = t.as<From>();
  return {from, from + t.count()};
}

template <class To>
void narrow(HostTensor& t, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) t.as<To>()[i] = static_cast<To>(values[i]);
}

}  // namespace

std::optional<DType> dtype_of(Element e) {
  for (const auto& [element, dtype] : pairs)
    if (element == e) return dtype;
  return std::nullopt;
}

DType need_dtype(Element e) {
  if (const auto dtype = dtype_of(e)) return *dtype;
  unsupported("there are no tensors of {}", name_of(e));
}

Element element_of(DType d) {
  for (const auto& [element, dtype] : pairs)
    if (dtype == d) return element;
  return Element::undefined;
}

HostTensor host_tensor(const TensorData& t) {
  if (!t.missing.empty()) unsupported("tensor '{}': {}", t.name, t.missing);
  HostTensor out;
  out.dtype = need_dtype(t.element);
  out.shape = t.dims;
  out.bytes = t.bytes;
  return out;
}

std::vector<double> numbers_of(const HostTensor& t, bool* beyond_exact) {
  std::vector<double> out;
  switch (t.dtype) {
  case DType::f32:
    return widen<float>(t);
  case DType::f64:
    return widen<double>(t);
  case DType::i32:
    return widen<int32_t>(t);
  case DType::i8:
    return widen<int8_t>(t);
  case DType::u8:
  case DType::boolean:
    return widen<uint8_t>(t);
  case DType::i64:
    for (int64_t i = 0; i < t.count(); ++i) {
      const int64_t value = t.as<int64_t>()[i];
      out.push_back(static_cast<double>(value));
      if (std::abs(out.back()) <= 0x1p53) continue;
      if (!beyond_exact) unsupported("the constant {} is beyond 2^53", value);
      *beyond_exact = true;
      out.back() = std::min(out.back(), 0x1p63 - 1024);  // the last double that is an i64
    }
    return out;
  case DType::f16:
  case DType::bf16:
    for (int64_t i = 0; i < t.count(); ++i)
      out.push_back(t.dtype == DType::f16 ? small_float(t.as<uint16_t>()[i], 5, 10)
                                          : small_float(t.as<uint16_t>()[i], 8, 7));
    return out;
  }
  fail("dtype {} has no numbers", name_of(t.dtype));
}

HostTensor host_tensor(DType dtype, const Shape& shape, const std::vector<double>& values) {
  HostTensor t(dtype, shape);
  if (static_cast<size_t>(t.count()) != values.size())
    fail("{} asks for {} values, got {}", to_string(shape), t.count(), values.size());
  switch (dtype) {
  case DType::f32:
    narrow<float>(t, values);
    break;
  case DType::f64:
    narrow<double>(t, values);
    break;
  case DType::i32:
    narrow<int32_t>(t, values);
    break;
  case DType::i64:
    narrow<int64_t>(t, values);
    break;
  case DType::i8:
    narrow<int8_t>(t, values);
    break;
  case DType::u8:
  case DType::boolean:
    narrow<uint8_t>(t, values);
    break;
  case DType::f16:
  case DType::bf16:
    for (size_t i = 0; i < values.size(); ++i)
      t.as<uint16_t>()[i] = dtype == DType::f16 ? to_small_float(values[i], 5, 10) : to_small_float(values[i], 8, 7);
    break;
  }
  return t;
}

}  // namespace gmc::onnx
