// sin and cos: the angle is reduced in f64, the waves are polynomials in f32.
#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_detail.h"
#include "compiler/codegen/vector_math_f64.h"

namespace gmc::codegen {

using llvm::Value;

VectorMath::Reduced VectorMath::reduce(Value* x) {
  // With fused steps pi/2 has two parts of 53 bits, the first step is exact and |x| may reach 2^48. With separate ones
  // the first two parts have 32 bits, so that products with quarters below 2^20 are exact.
  constexpr double limit_fused = 0x1p48, limit_apart = 0x1p20;
  Value* near = b_.CreateFCmpOLE(abs(x), real(x, fused_ ? limit_fused : limit_apart));
  Value* bounded = b_.CreateSelect(near, x, b_.CreateFMul(x, real(x, 0)));  // infinity becomes NaN
  Value* wide = b_.CreateFPExt(bounded, with_element(x, b_.getDoubleTy()));
  constexpr double two_over_pi = 0x1.45f306dc9c883p-1;
  Value* shift = real(wide, 0x1.8p52);  // leaves the rounded number in the low bits
  Value* shifted = fma(wide, real(wide, two_over_pi), shift);
  Value* n = b_.CreateFSub(shifted, shift);
  Value* r = nullptr;
  if (fused_) {
    r = fma(n, real(wide, -0x1.1a62633145c07p-54), fma(n, real(wide, -0x1.921fb54442d18p0), wide));
  } else {
    r = fma(n, real(wide, -0x1.921fb544p0), wide);
    r = fma(n, real(wide, -0x1.0b4611a6p-34), r);
    r = fma(n, real(wide, -0x1.3198a2e037073p-69), r);
  }
  Value* bits = b_.CreateBitCast(shifted, with_element(x, b_.getInt64Ty()));
  return {b_.CreateTrunc(bits, with_element(x, b_.getInt32Ty())), b_.CreateFPTrunc(r, x->getType())};
}

Value* VectorMath::sine(Value* r) {
  // sin r = r + r^3 P(r^2) for |r| <= 0.79, relative error below 4.2e-9.
  Value* square = b_.CreateFMul(r, r);
  Value* p = polynomial(square, {-0x1.555544p-3, 0x1.1106c6p-7, -0x1.991c28p-13});
  return copysign(fma(b_.CreateFMul(r, square), p, r), r);  // the sign of -0
}

Value* VectorMath::cosine(Value* r) {
  // cos r = 1 - r^2/2 + r^4 P(r^2) for |r| <= 0.79, relative error below 1.3e-10.
  Value* square = b_.CreateFMul(r, r);
  Value* p = polynomial(square, {0x1.55554ap-5, -0x1.6c0c1ep-10, 0x1.99e336p-16});
  return fma(square, fma(square, p, real(r, -0.5)), real(r, 1));
}

Value* VectorMath::quarter_wave(Value* x, uint64_t shift) {
  const Reduced reduced = reduce(x);
  Value* quarter = b_.CreateAdd(reduced.quarter, whole(reduced.quarter, shift));
  Value* odd = b_.CreateICmpNE(b_.CreateAnd(quarter, whole(quarter, 1)), whole(quarter, 0));
  Value* wave = b_.CreateSelect(odd, cosine(reduced.angle), sine(reduced.angle));
  Value* sign = b_.CreateShl(b_.CreateAnd(quarter, whole(quarter, 2)), 30);
  return as_float(b_.CreateXor(as_int(wave), sign));
}

Value* VectorMath::sin(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).sin(x);
  Exact exact(b_);
  return quarter_wave(x, 0);
}

Value* VectorMath::cos(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).cos(x);
  Exact exact(b_);
  return quarter_wave(x, 1);
}

}  // namespace gmc::codegen
