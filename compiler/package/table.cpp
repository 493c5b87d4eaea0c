#include "compiler/package/table.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace gmc::package {
namespace {

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// A half with `digits` bits of fraction behind the point and exponents from `low` on, straight from f64: rounding by
// way of f32 would round twice.
uint16_t half_bits(double value, int digits, int low) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const auto infinity = static_cast<uint16_t>(0x7fff >> digits << digits);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | infinity | 1 << (digits - 1));
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  if (std::isinf(magnitude)) return static_cast<uint16_t>(sign | infinity);
  const int exponent = std::max(std::ilogb(magnitude), low);
  // In units of the last place; a carry moves into the exponent, and at the end of the range into infinity.
  const double units = std::nearbyint(std::ldexp(magnitude, digits - exponent));
  const double bits = units + std::ldexp(exponent - low, digits);
  return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::fmin(bits, infinity)));
}

}  // namespace

std::string bytes_of(DType dtype, const std::vector<double>& values) {
  std::string out;
  out.reserve(values.size() * size_of(dtype));
  for (double v : values) {
    switch (dtype) {
    case DType::f32:
      append(out, static_cast<float>(v));
      break;
    case DType::f64:
      append(out, v);
      break;
    case DType::f16:
      append(out, half_bits(v, 10, -14));
      break;
    case DType::bf16:
      append(out, half_bits(v, 7, -126));
      break;
    case DType::i32:
      append(out, static_cast<int32_t>(v));
      break;
    case DType::i64:
      append(out, static_cast<int64_t>(v));
      break;
    case DType::i8:
      append(out, static_cast<int8_t>(v));
      break;
    case DType::u8:
      append(out, static_cast<uint8_t>(v));
      break;
    case DType::boolean:
      append(out, static_cast<uint8_t>(v != 0));
      break;
    }
  }
  return out;
}

}  // namespace gmc::package
