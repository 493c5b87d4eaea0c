// Errors of f64 against long double, and samples of doubles.
#pragma once

#include "tests/math/generated.h"

#include <limits>

namespace gmc::test {

inline double double_of(uint64_t bits) {
  double d;
  memcpy(&d, &bits, 8);
  return d;
}

inline uint64_t bits_of(double d) {
  uint64_t bits;
  memcpy(&bits, &d, 8);
  return bits;
}

// As the one for f32: |got - exact| in units of the spacing of doubles at `exact`.
inline double ulps(double got, long double exact) {
  if (isnan(exact) || isnan(got)) return isnan(exact) && isnan(got) ? 0 : INFINITY;
  const long double end = 0x1p1024L;
  exact = std::clamp(exact, -end, end);
  const long double value = isinf(got) ? copysignl(end, got) : got;
  if (fabsl(exact) >= 0x1.fffffffffffff8p1023L && value == copysignl(end, exact)) return 0;
  const int exponent = exact == 0 ? -1022 : std::clamp(ilogbl(exact), -1022, 1023);
  return static_cast<double>(ldexpl(fabsl(value - exact), 52 - exponent));
}

// Numbers for a sample, the same in every run: splitmix64.
struct Numbers {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  double uniform(double low, double high) { return low + (high - low) * static_cast<double>(next() >> 11) * 0x1p-53; }
};

}  // namespace gmc::test
