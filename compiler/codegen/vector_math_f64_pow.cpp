// Powers in f64: x^y = e^(y log x), with the logarithm in two numbers.
#include "compiler/codegen/vector_math_f64.h"

#include <limits>

namespace gmc::codegen {

using llvm::Value;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;

}  // namespace

DoubleMath::Pair DoubleMath::logarithm_pair(const Logarithm& x) {
  // With s = f / (2 + f), log(1 + f) = 2 s + s^3 (2/3 + s^2 Q(s^2)). All in two numbers but the term of Q, which is at
  // most 2^-12 of the result: relative error below 2^-63 all in all.
  Value* f = x.fraction;
  const Pair divisor = sum_of_ordered(real(f, 2), f);
  Pair s{b_.CreateFDiv(f, divisor.high), nullptr};
  const Pair back = product(s.high, divisor.high);
  Value* rest = b_.CreateFSub(b_.CreateFSub(f, back.high), back.low);
  rest = b_.CreateFSub(rest, b_.CreateFMul(s.high, divisor.low));
  s.low = b_.CreateFDiv(rest, divisor.high);
  const Pair square = product(s, s);
  Value* z = square.high;
  Value* q = polynomial(z, {0x1.999999999999ap-2, 0x1.2492492492523p-2, 0x1.c71c71c6ea203p-3, 0x1.745d177afef25p-3,
                            0x1.3b1395a96d2cbp-3, 0x1.1118cffb2d49ap-3, 0x1.df7b30caae976p-4, 0x1.e03e3af5c2272p-4});
  Pair cubic = sum_of_ordered(real(z, 0x1.5555555555555p-1), b_.CreateFMul(z, q));
  cubic.low = b_.CreateFAdd(cubic.low, real(z, 0x1.5555555555555p-55));
  cubic = product(s, product(square, cubic));
  const Pair small = sum_of_ordered(b_.CreateFAdd(s.high, s.high), cubic.high);
  Value* low = b_.CreateFAdd(small.low, b_.CreateFAdd(b_.CreateFAdd(s.low, s.low), cubic.low));
  Value* k = to_double(x.exponent);
  const Pair all = sum(b_.CreateFMul(k, real(k, ln2_high)), small.high);
  low = b_.CreateFAdd(low, fma(k, real(k, ln2_low), all.low));
  return sum_of_ordered(all.high, low);
}

Value* DoubleMath::pow(Value* x, Value* y, bool exact) {
  Value* size = abs(x);
  const Logarithm parts = split_any(size);
  Pair l{};
  if (exact) {
    l = logarithm_pair(parts);
  } else {
    l = {logarithm(parts.exponent, parts.fraction), real(x, 0)};
  }
  l.high = log_ends(size, l.high);
  const Pair p = product(l.high, y);
  // Past +-800 the result is 0 or infinite, and the low parts may be NaN.
  constexpr double limit = 800;
  Value* low = b_.CreateSelect(is_less(abs(p.high), limit), fma(l.low, y, p.low), real(x, 0));
  const Exponential e = exponential(Pair{at_least(at_most(p.high, limit), -limit), low});
  return power_signs(x, y, scale(e.mantissa, e.exponent));
}

Value* DoubleMath::power_signs(Value* x, Value* y, Value* magnitude) {
  Value* half = b_.CreateFMul(y, real(y, 0.5));
  Value* is_whole = b_.CreateFCmpOEQ(truncate(y), y);  // infinity too
  Value* odd = b_.CreateAnd(is_whole, b_.CreateFCmpUNE(truncate(half), half));
  Value* result = b_.CreateSelect(odd, copysign(magnitude, x), magnitude);
  Value* finite_negative = b_.CreateAnd(is_less(x, 0), is_more(x, -infinity));
  result = either(b_.CreateAnd(finite_negative, b_.CreateFCmpUNE(truncate(y), y)), nan, result);
  // |x| = 1 to any power but those that give NaN: the product 0 * inf is no power.
  Value* unit = b_.CreateAnd(is_equal(abs(x), 1), is_equal(abs(y), infinity));
  Value* one = b_.CreateOr(b_.CreateOr(is_equal(x, 1), is_equal(y, 0)), unit);
  return either(one, 1, result);
}

}  // namespace gmc::codegen
