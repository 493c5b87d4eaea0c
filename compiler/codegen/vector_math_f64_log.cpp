// log x in f64 and what is made of it: log2, log10, log1p, softplus, the inverse hyperbolic functions.
#include "compiler/codegen/vector_math_f64.h"

#include <limits>

namespace gmc::codegen {

using llvm::Value;

namespace {

constexpr uint64_t sqrt_half_bits = 0x3fe6a09e667f3bcd;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
// Logarithms of 2 in two parts, the first of 42 bits: its product with an exponent is exact.
constexpr double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
constexpr double log10_2_high = 0x1.34413509f78p-2, log10_2_low = 0x1.fef311f12b358p-46;
// Past it sqrt(x^2 + 1) and sqrt(x^2 - 1) round to x, and 1 + x to x.
constexpr double huge = 0x1p60;

}  // namespace

DoubleMath::Logarithm DoubleMath::split(Value* x) {
  Value* bits = as_int(x);
  Value* offset = b_.CreateSub(bits, whole(bits, sqrt_half_bits));
  Value* m = b_.CreateAdd(b_.CreateAnd(offset, whole(bits, 0xfffffffffffff)), whole(bits, sqrt_half_bits));
  return {b_.CreateAShr(offset, 52), b_.CreateFSub(as_float(m), real(x, 1))};
}

DoubleMath::Logarithm DoubleMath::split_any(Value* x) {
  Value* subnormal = is_less(x, 0x1p-1022);
  Logarithm parts = split(b_.CreateSelect(subnormal, b_.CreateFMul(x, real(x, 0x1p54)), x));
  Value* excess = b_.CreateSelect(subnormal, whole(parts.exponent, 54), whole(parts.exponent, 0));
  return {b_.CreateSub(parts.exponent, excess), parts.fraction};
}

Value* DoubleMath::to_double(Value* exponent) {
  // By way of i32: AVX2 converts no 64-bit integers.
  Value* narrow = b_.CreateTrunc(exponent, with_element(exponent, b_.getInt32Ty()));
  return b_.CreateSIToFP(narrow, with_element(exponent, b_.getDoubleTy()));
}

Value* DoubleMath::logarithm(Value* exponent, Value* f) {
  // With s = f / (2 + f), log(1 + f) = 2 s + s R(s^2) = f - (f^2/2 - s (f^2/2 + R(s^2))); R = z P(z) for
  // 0 <= z <= 0.0295, absolute error of s R below 2^-58 s.
  Value* s = b_.CreateFDiv(f, b_.CreateFAdd(f, real(f, 2)));
  Value* z = b_.CreateFMul(s, s);
  Value* p = polynomial(z, {0x1.5555555555555p-1, 0x1.9999999999a3ap-2, 0x1.249249247681dp-2, 0x1.c71c7201d3bbdp-3,
                            0x1.745cf8d4c84bcp-3, 0x1.3b1c3ee5e3158p-3, 0x1.0fbda3f746c38p-3, 0x1.0c0d02b0f3a00p-3});
  Value* half_square = b_.CreateFMul(b_.CreateFMul(f, f), real(f, 0.5));
  Value* inner = fma(z, p, half_square);
  if (!exponent) return b_.CreateFSub(f, b_.CreateFSub(half_square, b_.CreateFMul(s, inner)));
  Value* k = to_double(exponent);
  Value* rest = fma(s, inner, b_.CreateFMul(k, real(f, ln2_low)));
  rest = b_.CreateFSub(b_.CreateFSub(half_square, rest), f);
  return b_.CreateFSub(b_.CreateFMul(k, real(f, ln2_high)), rest);
}

Value* DoubleMath::logarithm(Value* fraction) { return logarithm(nullptr, fraction); }

Value* DoubleMath::log_ends(Value* x, Value* y) {
  y = b_.CreateSelect(is_less(x, infinity), y, x);
  y = either(is_less(x, 0), nan, y);
  return either(is_equal(x, 0), -infinity, y);
}

Value* DoubleMath::log(Value* x) {
  const Logarithm parts = split_any(x);
  return log_ends(x, logarithm(parts.exponent, parts.fraction));
}

Value* DoubleMath::log2(Value* x) {
  const Logarithm parts = split_any(x);
  return log_ends(x, fma(logarithm(parts.fraction), real(x, 0x1.71547652b82fep0), to_double(parts.exponent)));
}

Value* DoubleMath::log10(Value* x) {
  const Logarithm parts = split_any(x);
  Value* k = to_double(parts.exponent);
  Value* rest = b_.CreateFMul(logarithm(parts.fraction), real(x, 0x1.bcb7b1526e50ep-2));
  rest = fma(k, real(x, log10_2_low), rest);
  return log_ends(x, fma(k, real(x, log10_2_high), rest));
}

Value* DoubleMath::log1p(Value* x) {
  // The exponent comes from the rounded 1 + x, the fraction from x itself: x 2^-e + (2^-e - 1), rounded once at most.
  // Past 2^53 the rounded sum has all of the fraction's bits that matter, and 2^-e may be too small.
  const Logarithm parts = split(b_.CreateFAdd(x, real(x, 1)));
  Value* e = parts.exponent;
  Value* power = as_float(b_.CreateShl(b_.CreateSub(whole(e, 1023), e), 52));
  Value* fraction = fma(x, power, b_.CreateFSub(power, real(x, 1)));
  fraction = b_.CreateSelect(b_.CreateICmpSGT(e, whole(e, 53)), parts.fraction, fraction);
  Value* y = copysign(logarithm(e, fraction), x);
  y = b_.CreateSelect(is_less(x, infinity), y, x);
  y = either(is_less(x, -1), nan, y);
  return either(is_equal(x, -1), -infinity, y);
}

Value* DoubleMath::softplus(Value* x) { return b_.CreateFAdd(at_least(x, 0), log1p(exp_of_negative(x))); }

Value* DoubleMath::asinh(Value* x) {
  // log(x + sqrt(1 + x^2)) = log1p(x + x^2 / (1 + sqrt(1 + x^2))).
  Value* size = abs(x);
  Value* far = is_more(size, huge);
  Value* square = b_.CreateFMul(size, size);
  Value* rest = b_.CreateFAdd(root(b_.CreateFAdd(square, real(x, 1))), real(x, 1));
  Value* t = b_.CreateFAdd(size, b_.CreateFDiv(square, rest));
  Value* y = log1p(b_.CreateSelect(far, size, t));
  return copysign(b_.CreateFAdd(y, either(far, ln2_high + ln2_low, real(x, 0))), x);
}

Value* DoubleMath::acosh(Value* x) {
  // log(x + sqrt(x^2 - 1)) = log1p(t + sqrt(t (t + 2))) with t = x - 1.
  Value* far = is_more(x, huge);
  Value* t = b_.CreateFSub(x, real(x, 1));
  Value* rest = root(b_.CreateFMul(t, b_.CreateFAdd(t, real(x, 2))));
  Value* y = log1p(b_.CreateSelect(far, x, b_.CreateFAdd(t, rest)));
  y = b_.CreateFAdd(y, either(far, ln2_high + ln2_low, real(x, 0)));
  return either(is_less(x, 1), nan, y);
}

Value* DoubleMath::atanh(Value* x) {
  // log((1 + x) / (1 - x)) / 2 = log1p(2 x / (1 - x)) / 2, the quotient as 2 x + 2 x^2 / (1 - x).
  Value* size = abs(x);
  Value* twice = b_.CreateFAdd(size, size);
  Value* t = b_.CreateFDiv(b_.CreateFMul(twice, size), b_.CreateFSub(real(x, 1), size));
  Value* y = b_.CreateFMul(log1p(b_.CreateFAdd(twice, t)), real(x, 0.5));
  return copysign(either(is_more(size, 1), nan, y), x);
}

}  // namespace gmc::codegen
