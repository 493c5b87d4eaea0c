// log x and what is made of it: log1p, softplus.
#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_detail.h"
#include "compiler/codegen/vector_math_f64.h"

#include <limits>

namespace gmc::codegen {

using llvm::Value;

namespace {

constexpr uint32_t sqrt_half_bits = 0x3f3504f3;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

VectorMath::Logarithm VectorMath::split(Value* x) {
  Value* bits = as_int(x);
  Value* offset = b_.CreateSub(bits, whole(bits, sqrt_half_bits));
  Value* m = as_float(b_.CreateAdd(b_.CreateAnd(offset, whole(bits, 0x7fffff)), whole(bits, sqrt_half_bits)));
  return {b_.CreateAShr(offset, 23), b_.CreateFSub(m, real(x, 1))};
}

Value* VectorMath::logarithm(Value* exponent, Value* f) {
  // log(1 + f) = f - f^2/2 + f^3 P(f) for sqrt 1/2 <= 1 + f <= sqrt 2, relative error below 8.3e-9.
  Value* p = polynomial(f, {0x1.555554p-2, -0x1.000228p-2, 0x1.99a036p-3, -0x1.547228p-3, 0x1.22d618p-3, -0x1.0d7edcp-3,
                            0x1.0567bap-3, -0x1.38ea88p-4});
  Value* square = b_.CreateFMul(f, f);
  Value* rest = fma(exponent, real(f, ln2_low), b_.CreateFMul(b_.CreateFMul(f, square), p));
  rest = fma(square, real(f, -0.5), rest);
  return fma(exponent, real(f, ln2_high), b_.CreateFAdd(f, rest));
}

Value* VectorMath::log(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).log(x);
  Exact exact(b_);
  Value* subnormal = b_.CreateFCmpOLT(x, real(x, 0x1p-126));
  const Logarithm parts = split(b_.CreateSelect(subnormal, b_.CreateFMul(x, real(x, 0x1p23)), x));
  Value* exponent = b_.CreateSIToFP(parts.exponent, x->getType());
  exponent = b_.CreateFSub(exponent, b_.CreateSelect(subnormal, real(x, 23), real(x, 0)));
  Value* y = logarithm(exponent, parts.fraction);
  y = b_.CreateSelect(b_.CreateFCmpOLT(x, real(x, infinity)), y, x);
  y = b_.CreateSelect(b_.CreateFCmpOLT(x, real(x, 0)), real(x, nan), y);
  return b_.CreateSelect(b_.CreateFCmpOEQ(x, real(x, 0)), real(x, -infinity), y);
}

Value* VectorMath::log1p(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).log1p(x);
  Exact exact(b_);
  // The exponent comes from the rounded 1 + x, the fraction from x itself: x 2^-e + (2^-e - 1), rounded once at most.
  // Past 2^24 the rounded sum has all of the fraction's bits that matter, and 2^-e may be too small.
  const Logarithm parts = split(b_.CreateFAdd(x, real(x, 1)));
  Value* e = parts.exponent;
  Value* power = as_float(b_.CreateShl(b_.CreateSub(whole(e, 127), e), 23));
  Value* fraction = fma(x, power, b_.CreateFSub(power, real(x, 1)));
  fraction = b_.CreateSelect(b_.CreateICmpSGT(e, whole(e, 24)), parts.fraction, fraction);
  Value* y = copysign(logarithm(b_.CreateSIToFP(e, x->getType()), fraction), x);
  y = b_.CreateSelect(b_.CreateFCmpOLT(x, real(x, infinity)), y, x);
  y = b_.CreateSelect(b_.CreateFCmpOLT(x, real(x, -1)), real(x, nan), y);
  return b_.CreateSelect(b_.CreateFCmpOEQ(x, real(x, -1)), real(x, -infinity), y);
}

Value* VectorMath::softplus(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).softplus(x);
  Exact exact(b_);
  Value* t = exp_of_negative(b_.CreateFNeg(abs(x)));
  // log1p on [0, 1]: the exponent is 0 or 1.
  Value* large = b_.CreateFCmpOGT(t, real(x, 0x1.a8279ap-2));  // sqrt 2 - 1
  Value* fraction = b_.CreateSelect(large, fma(t, real(x, 0.5), real(x, -0.5)), t);
  Value* y = logarithm(b_.CreateSelect(large, real(x, 1), real(x, 0)), fraction);
  return b_.CreateFAdd(at_least(x, 0), y);
}

}  // namespace gmc::codegen
