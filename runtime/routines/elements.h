// Elements by dtype, for routines.
#pragma once

#include <math.h>
#include <stdint.h>

namespace gmc::routines {

// gmc::DType, as a number.
enum : int64_t { of_f32 = 0, of_f64 = 3, of_i32 = 4, of_i64 = 5, of_i8 = 6, of_u8 = 7, of_bool = 8 };

inline constexpr int64_t max_dimensions = 16;

template <class T>
struct Type {
  using type = T;
};

// Calls visit(Type<T>{}) with the C type of a dtype. The compiler of the program admits no others.
template <class Visit>
void with_type(int64_t dtype, Visit visit) {
  switch (dtype) {
  case of_f32:
    return visit(Type<float>{});
  case of_f64:
    return visit(Type<double>{});
  case of_i32:
    return visit(Type<int32_t>{});
  case of_i64:
    return visit(Type<int64_t>{});
  case of_i8:
    return visit(Type<int8_t>{});
  default:
    return visit(Type<uint8_t>{});
  }
}

template <class T>
inline constexpr bool is_floating = static_cast<T>(0.5) != static_cast<T>(0);

// Integer arithmetic wraps.
template <class T>
T plus(T a, T b) {
  if constexpr (is_floating<T>)
    return a + b;
  else
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
template <class T>
T times(T a, T b) {
  if constexpr (is_floating<T>)
    return a * b;
  else
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
// NaN if either is.
template <class T>
T larger(T a, T b) {
  return a > b || a != a ? a : b;
}
template <class T>
T smaller(T a, T b) {
  return a < b || a != a ? a : b;
}

template <class T>
void swap(T& a, T& b) {
  const T kept = a;
  a = b;
  b = kept;
}
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace gmc::routines
