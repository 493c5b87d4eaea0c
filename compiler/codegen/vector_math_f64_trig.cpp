// sin, cos and tan in f64: the angle is reduced to two numbers, the waves are polynomials of them.
#include "compiler/codegen/vector_math_f64.h"

namespace gmc::codegen {

using llvm::Value;

DoubleMath::Reduced DoubleMath::reduce(Value* x) {
  constexpr double limit_fused = 0x1p48, limit_apart = 0x1p20;
  Value* near = b_.CreateFCmpOLE(abs(x), real(x, fused_ ? limit_fused : limit_apart));
  Value* bounded = b_.CreateSelect(near, x, b_.CreateFMul(x, real(x, 0)));  // infinity becomes NaN
  constexpr double two_over_pi = 0x1.45f306dc9c883p-1;
  Value* shift = real(x, 0x1.8p52);  // leaves the rounded number in the low bits
  Value* shifted = fma(bounded, real(x, two_over_pi), shift);
  Value* n = b_.CreateFSub(shifted, shift);
  auto negative = [&](double part) { return b_.CreateFMul(n, real(x, -part)); };
  Pair r{};
  if (fused_) {
    // pi/2 in parts of 53 bits: the first step is exact since the result has no more bits than that.
    Value* first = fma(n, real(x, -0x1.921fb54442d18p0), bounded);
    const Pair second = product(n, real(x, -0x1.1a62633145c07p-54));
    r = sum(first, second.high);
    r.low = b_.CreateFAdd(r.low, fma(n, real(x, 0x1.f1976b7ed8fbcp-110), second.low));
  } else {
    // Three parts of 33 bits, whose products with quarters below 2^20 are exact, and a last one.
    r = sum(b_.CreateFAdd(bounded, negative(0x1.921fb544p0)), negative(0x1.0b4611a6p-34));
    const Pair third = sum(r.high, negative(0x1.3198a2ep-69));
    r = {third.high, b_.CreateFAdd(b_.CreateFAdd(r.low, third.low), negative(0x1.b839a252049c1p-104))};
  }
  r = sum_of_ordered(r.high, r.low);
  // x itself where it is the angle, for the sign of zero.
  Value* none = is_equal(n, 0);
  return {as_int(shifted), b_.CreateSelect(none, bounded, r.high), either(none, 0, r.low)};
}

Value* DoubleMath::sine(const Reduced& r) {
  // sin r = r + r^3 P(r^2) for |r| <= 0.83, relative error below 2^-57; the low part adds (1 - r^2/2) low.
  Value* square = b_.CreateFMul(r.high, r.high);
  Value* p =
      polynomial(square, {-0x1.5555555555555p-3, 0x1.111111111110fp-7, -0x1.a01a01a019428p-13, 0x1.71de3a53cc32cp-19,
                          -0x1.ae64531fba843p-26, 0x1.6120c9387ee31p-33, -0x1.aab28cd5814ecp-41});
  Value* low = fma(b_.CreateFMul(square, real(square, -0.5)), r.low, r.low);
  Value* rest = fma(b_.CreateFMul(r.high, square), p, low);
  return copysign(b_.CreateFAdd(r.high, rest), r.high);  // the sign of -0
}

Value* DoubleMath::cosine(const Reduced& r) {
  // cos r = 1 - r^2/2 + r^4 P(r^2) for |r| <= 0.83, error below 2^-59; the low part adds -r low.
  Value* square = b_.CreateFMul(r.high, r.high);
  Value* p =
      polynomial(square, {0x1.5555555555555p-5, -0x1.6c16c16c16c16p-10, 0x1.a01a01a019acap-16, -0x1.27e4fb76d0d3fp-22,
                          0x1.1eed8d7f7a059p-29, -0x1.93941848f23acp-37, 0x1.ab1e404abb6c5p-45});
  const Pair most = sum_of_ordered(real(square, 1), b_.CreateFMul(square, real(square, -0.5)));
  Value* rest = fma(b_.CreateFMul(square, square), p, b_.CreateFNeg(b_.CreateFMul(r.high, r.low)));
  return b_.CreateFAdd(most.high, b_.CreateFAdd(most.low, rest));
}

Value* DoubleMath::is_odd(Value* quarter) {
  return b_.CreateICmpNE(b_.CreateAnd(quarter, whole(quarter, 1)), whole(quarter, 0));
}

Value* DoubleMath::quarter_wave(Value* x, uint64_t shift) {
  const Reduced reduced = reduce(x);
  Value* quarter = b_.CreateAdd(reduced.quarter, whole(reduced.quarter, shift));
  Value* wave = b_.CreateSelect(is_odd(quarter), cosine(reduced), sine(reduced));
  Value* sign = b_.CreateShl(b_.CreateAnd(quarter, whole(quarter, 2)), 62);
  return as_float(b_.CreateXor(as_int(wave), sign));
}

Value* DoubleMath::sin(Value* x) { return quarter_wave(x, 0); }

Value* DoubleMath::cos(Value* x) { return quarter_wave(x, 1); }

Value* DoubleMath::tan(Value* x) {
  const Reduced reduced = reduce(x);
  Value* odd = is_odd(reduced.quarter);
  Value* s = sine(reduced);
  Value* c = cosine(reduced);
  return b_.CreateFDiv(b_.CreateSelect(odd, b_.CreateFNeg(c), s), b_.CreateSelect(odd, s, c));
}

}  // namespace gmc::codegen
