// Between host tensors of any dtype and the interpreter's numbers.
#pragma once

#include "compiler/graph/op.h"
#include "runtime/base/error.h"
#include "runtime/base/tensor.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace gmc::tests {

inline double half_to_double(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction ? std::nan("") : sign * INFINITY;
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

inline uint16_t double_to_half(double v) {
  const uint16_t sign = std::signbit(v) ? 0x8000 : 0;
  v = std::fabs(v);
  if (std::isnan(v)) return static_cast<uint16_t>(sign | 0x7e00);
  if (v >= 65520) return static_cast<uint16_t>(sign | 0x7c00);
  if (v < 0x1p-14) return static_cast<uint16_t>(sign | static_cast<int>(std::nearbyint(std::ldexp(v, 24))));
  const int exponent = std::ilogb(v);
  const int bits = static_cast<int>(std::nearbyint(std::ldexp(v, 10 - exponent))) - 1024;
  return static_cast<uint16_t>(sign | (((exponent + 15) << 10) + bits));
}

inline HostTensor to_host(const graph::Reference& r, DType dtype) {
  HostTensor out(dtype, r.shape);
  for (size_t i = 0; i < r.values.size(); ++i) {
    const double v = r.values[i];
    switch (dtype) {
    case DType::f32:
      out.as<float>()[i] = static_cast<float>(v);
      break;
    case DType::f64:
      out.as<double>()[i] = v;
      break;
    case DType::bf16: {
      const auto bits = std::bit_cast<uint32_t>(static_cast<float>(v));
      out.as<uint16_t>()[i] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
      break;
    }
    case DType::f16:
      out.as<uint16_t>()[i] = double_to_half(v);
      break;
    case DType::i32:
      out.as<int32_t>()[i] = static_cast<int32_t>(v);
      break;
    case DType::i64:
      out.as<int64_t>()[i] = static_cast<int64_t>(v);
      break;
    case DType::i8:
      out.as<int8_t>()[i] = static_cast<int8_t>(v);
      break;
    case DType::u8:
      out.as<uint8_t>()[i] = static_cast<uint8_t>(v);
      break;
    case DType::boolean:
      out.as<uint8_t>()[i] = v != 0;
      break;
    }
  }
  return out;
}

inline double element_of(const HostTensor& t, size_t i) {
  switch (t.dtype) {
  case DType::f32:
    return static_cast<double>(t.as<float>()[i]);
  case DType::f64:
    return t.as<double>()[i];
  case DType::bf16:
    return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(t.as<uint16_t>()[i]) << 16));
  case DType::f16:
    return half_to_double(t.as<uint16_t>()[i]);
  case DType::i32:
    return t.as<int32_t>()[i];
  case DType::i64:
    return static_cast<double>(t.as<int64_t>()[i]);
  case DType::i8:
    return t.as<int8_t>()[i];
  default:
    return t.as<uint8_t>()[i];
  }
}

}  // namespace gmc::tests
