// e^x in f64 and what is made of it.
#include "compiler/codegen/vector_math_f64.h"

namespace gmc::codegen {

using llvm::Value;

namespace {

constexpr double log2_e = 0x1.71547652b82fep0;
// ln 2 in two parts: the first has 42 bits, so that its product with an exponent is exact.
constexpr double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
// Adding it rounds a number below 2^51 to an integer, left in the low bits of the sum.
constexpr double round_shift = 0x1.8p52;
constexpr uint64_t round_shift_bits = 0x4338000000000000;
// e^r = 1 + r + r^2 q(r): q for |r| <= 0.348, absolute error below 2^-58.
constexpr std::initializer_list<double> exp_q = {
    0x1p-1,
    0x1.5555555555557p-3,
    0x1.5555555555558p-5,
    0x1.1111111110054p-7,
    0x1.6c16c16c1513cp-10,
    0x1.a01a01ac31bc0p-13,
    0x1.a01a01ad485c8p-16,
    0x1.71de01489272ep-19,
    0x1.27e4cc09df0ebp-22,
    0x1.af4fcc8deb6dbp-26,
    0x1.1f8c9fd43ac04p-29,
};
// Below it e^x rounds to 0; above the other limit, to infinity.
constexpr double exp_lowest = -746, exp_highest = 710;

}  // namespace

DoubleMath::Exponential DoubleMath::exponential(Value* r, Value* low, Value* shifted) {
  Value* q = polynomial(r, exp_q);
  Value* rest = fma(b_.CreateFMul(r, r), q, low);
  Value* mantissa = b_.CreateFAdd(real(r, 1), b_.CreateFAdd(r, rest));
  Value* bits = as_int(shifted);
  return {mantissa, b_.CreateSub(bits, whole(bits, round_shift_bits))};
}

DoubleMath::Exponential DoubleMath::exponential(const Pair& x) {
  Value* shifted = fma(x.high, real(x.high, log2_e), real(x.high, round_shift));
  Value* n = b_.CreateFSub(shifted, real(x.high, round_shift));
  Value* high = fma(n, real(n, -ln2_high), x.high);  // exact
  Value* low = fma(n, real(n, -ln2_low), x.low);
  const Pair r = sum_of_ordered(high, low);
  return exponential(r.high, r.low, shifted);
}

DoubleMath::Exponential DoubleMath::exponential(Value* x) { return exponential(Pair{x, real(x, 0)}); }

Value* DoubleMath::scale(Value* x, Value* exponent) {
  // Two factors, each a normal number; only the second product rounds, and only where the result is subnormal.
  Value* half = b_.CreateAShr(exponent, 1);
  auto power = [&](Value* k) { return as_float(b_.CreateShl(b_.CreateAdd(k, whole(k, 1023)), 52)); };
  return b_.CreateFMul(b_.CreateFMul(x, power(half)), power(b_.CreateSub(exponent, half)));
}

Value* DoubleMath::exp(Value* x) {
  const Exponential e = exponential(at_least(at_most(x, exp_highest), exp_lowest));
  return scale(e.mantissa, e.exponent);
}

Value* DoubleMath::exp_of_negative(Value* x) { return exp(b_.CreateFNeg(abs(x))); }

Value* DoubleMath::exp2(Value* x) {
  Value* bounded = at_least(at_most(x, 1025), -1076);
  Value* shifted = b_.CreateFAdd(bounded, real(x, round_shift));
  Value* rest = b_.CreateFSub(bounded, b_.CreateFSub(shifted, real(x, round_shift)));
  // 2^rest = e^(rest ln 2), with the product in two numbers.
  const Pair r = product(Pair{rest, real(x, 0)}, Pair{real(x, 0x1.62e42fefa39efp-1), real(x, 0x1.abc9e3b39803fp-56)});
  const Exponential e = exponential(r.high, r.low, shifted);
  return scale(e.mantissa, e.exponent);
}

Value* DoubleMath::expm1(Value* x) {
  Value* bounded = at_least(at_most(x, exp_highest), -40);  // below -40 the result is -1
  Value* shifted = fma(bounded, real(x, log2_e), real(x, round_shift));
  Value* n = b_.CreateFSub(shifted, real(x, round_shift));
  // r = high + low, and the low part joins late: e^r - 1 keeps all bits of the high one.
  Value* high = fma(n, real(x, -ln2_high), bounded);
  Value* low = b_.CreateFMul(n, real(x, -ln2_low));
  Value* r = b_.CreateFAdd(high, low);
  Value* small = b_.CreateFAdd(high, fma(b_.CreateFMul(r, r), polynomial(r, exp_q), low));
  // 2^n small + (2^n - 1), all at half its size: 2^1024 is not a double.
  Value* half_power = as_float(b_.CreateAdd(b_.CreateShl(as_int(shifted), 52), whole(as_int(x), uint64_t{1022} << 52)));
  Value* half = fma(half_power, small, b_.CreateFSub(half_power, real(x, 0.5)));
  return b_.CreateSelect(is_less(abs(x), 0x1p-54), x, b_.CreateFAdd(half, half));
}

Value* DoubleMath::sinh(Value* x) {
  Value* size = abs(x);
  Value* t = expm1(size);
  Value* small = b_.CreateFMul(b_.CreateFAdd(t, b_.CreateFDiv(t, b_.CreateFAdd(t, real(x, 1)))), real(x, 0.5));
  const Exponential e = exponential(at_most(size, 711));
  Value* half = scale(b_.CreateFMul(e.mantissa, real(x, 0.5)), e.exponent);
  Value* large = b_.CreateFSub(half, b_.CreateFDiv(real(x, 0.25), half));
  return copysign(b_.CreateSelect(is_less(size, 1), small, large), x);
}

Value* DoubleMath::cosh(Value* x) {
  const Exponential e = exponential(at_most(abs(x), 711));
  Value* half = scale(b_.CreateFMul(e.mantissa, real(x, 0.5)), e.exponent);
  return b_.CreateFAdd(half, b_.CreateFDiv(real(x, 0.25), half));
}

Value* DoubleMath::tanh(Value* x) {
  Value* size = at_most(abs(x), 20);  // tanh 20 rounds to 1
  Value* t = expm1(b_.CreateFAdd(size, size));
  Value* denominator = b_.CreateFAdd(t, real(x, 2));
  Value* small = b_.CreateFDiv(t, denominator);
  Value* large = b_.CreateFSub(real(x, 1), b_.CreateFDiv(real(x, 2), denominator));
  return copysign(b_.CreateSelect(is_less(size, 0.5), small, large), x);
}

Value* DoubleMath::sigmoid(Value* x) {
  Value* e = exp_of_negative(x);
  return b_.CreateFDiv(b_.CreateSelect(is_less(x, 0), e, real(x, 1)), b_.CreateFAdd(e, real(x, 1)));
}

Value* DoubleMath::silu(Value* x) {
  // x e^x / (1 + e^x) for negative x, scaled last: e^x is subnormal where the product is still normal.
  constexpr double lowest = -760;  // x e^x rounds to -0 below
  const Exponential e = exponential(at_least(b_.CreateFNeg(abs(x)), lowest));
  Value* negative = is_less(x, 0);
  Value* numerator = b_.CreateSelect(negative, b_.CreateFMul(at_least(x, lowest), e.mantissa), x);
  Value* quotient = b_.CreateFDiv(numerator, b_.CreateFAdd(scale(e.mantissa, e.exponent), real(x, 1)));
  return b_.CreateSelect(negative, scale(quotient, e.exponent), quotient);
}

Value* DoubleMath::gelu_tanh(Value* x) {
  // x / (1 + e^-w) with w = x (a + b x^2) in two numbers, since e^-w has the absolute error of w as its relative one:
  // a = 2 sqrt(2/pi), b = 0.044715 a.
  Value* bounded = at_least(at_most(x, 40), -40);  // e^-|w| is 0 there
  const Pair one{bounded, real(x, 0)};
  const Pair b{real(x, 0x1.2444f2a4d8b4bp-4), real(x, -0x1.6c843a29d1c7p-61)};
  const Pair cubic = product(product(one, one), b);
  const Pair slope = sum(real(x, 0x1.9884533d43651p0), cubic.high);
  Value* low = b_.CreateFAdd(slope.low, b_.CreateFAdd(cubic.low, real(x, -0x1.cbc0d30ebfd15p-54)));
  const Pair w = product(one, sum_of_ordered(slope.high, low));
  Value* sign = is_more(bounded, 0);
  auto negative = [&](Value* v) { return b_.CreateSelect(sign, b_.CreateFNeg(v), v); };
  Value* high = at_least(negative(w.high), -760);
  const Exponential e = exponential(Pair{high, b_.CreateSelect(is_more(high, -760), negative(w.low), real(x, 0))});
  Value* numerator = b_.CreateSelect(sign, x, b_.CreateFMul(bounded, e.mantissa));
  Value* quotient = b_.CreateFDiv(numerator, b_.CreateFAdd(scale(e.mantissa, e.exponent), real(x, 1)));
  return b_.CreateSelect(sign, quotient, scale(quotient, e.exponent));
}

}  // namespace gmc::codegen
