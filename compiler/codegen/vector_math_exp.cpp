// e^x and what is made of it: expm1, tanh, sigmoid, silu.
#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_detail.h"
#include "compiler/codegen/vector_math_f64.h"

#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>

namespace gmc::codegen {

using llvm::Value;

namespace {

constexpr double log2_e = 0x1.715476p0;
// Adding it rounds a number below 2^22 to an integer, left in the low bits of the sum.
constexpr double round_shift = 0x1.8p23;
// e^r = 1 + r + r^2 q(r): q for |r| <= 0.3475, relative error of e^r - 1 below 1.5e-8.
constexpr std::initializer_list<double> exp_q = {0x1.fffffep-2, 0x1.5554a8p-3, 0x1.555796p-5, 0x1.122e28p-7,
                                                 0x1.6ac056p-10};
// Below it e^x rounds to 0; above the other limit, to infinity.
constexpr double exp_lowest = -104, exp_highest = 89;

}  // namespace

VectorMath::Exponential VectorMath::exponential(Value* x) {
  Value* shifted = fma(x, real(x, log2_e), real(x, round_shift));
  Value* n = b_.CreateFSub(shifted, real(x, round_shift));
  Value* r = fma(n, real(x, -ln2_low), fma(n, real(x, -ln2_high), x));  // the inner step is exact
  Value* q = polynomial(r, exp_q);
  return {fma(fma(q, r, real(x, 1)), r, real(x, 1)), n, shifted};
}

Value* VectorMath::scale(Value* x, const Exponential& e) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(x->getType());
  if (scales_ && vector && vector->getNumElements() == 16) {
    Value* all = llvm::ConstantInt::getAllOnesValue(b_.getInt16Ty());
    return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                              {x, e.exponent, llvm::Constant::getNullValue(x->getType()), all, b_.getInt32(4)});
  }
  // Two factors, each a normal number; only the second product rounds, and only where the result is subnormal.
  Value* bits = as_int(e.shifted);
  Value* n = b_.CreateSub(bits, whole(bits, 0x4b400000));
  Value* half = b_.CreateAShr(n, 1);
  auto power = [&](Value* k) { return as_float(b_.CreateShl(b_.CreateAdd(k, whole(k, 127)), 23)); };
  return b_.CreateFMul(b_.CreateFMul(x, power(half)), power(b_.CreateSub(n, half)));
}

Value* VectorMath::scale_within(Value* x, const Exponential& e) {
  // A product, not a sum of exponents: NaN stays NaN.
  Value* n = b_.CreateShl(as_int(e.shifted), 23);
  return b_.CreateFMul(x, as_float(b_.CreateAdd(n, whole(n, 127u << 23))));
}

Value* VectorMath::exp(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).exp(x);
  Exact exact(b_);
  const Exponential e = exponential(at_least(at_most(x, exp_highest), exp_lowest));
  return scale(e.mantissa, e);
}

Value* VectorMath::exp_of_negative(Value* x) {
  const Exponential e = exponential(at_least(x, exp_lowest));
  return scale(e.mantissa, e);
}

Value* VectorMath::expm1(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).expm1(x);
  Exact exact(b_);
  Value* bounded = at_least(at_most(x, exp_highest), -25);  // below -25 the result is -1
  Value* shifted = fma(bounded, real(x, log2_e), real(x, round_shift));
  Value* n = b_.CreateFSub(shifted, real(x, round_shift));
  // r = high + low, and the low part joins late: e^r - 1 keeps all bits of the high one.
  Value* high = fma(n, real(x, -ln2_high), bounded);
  Value* low = b_.CreateFMul(n, real(x, -ln2_low));
  Value* r = b_.CreateFAdd(high, low);
  Value* q = polynomial(r, exp_q);
  Value* small = b_.CreateFAdd(high, fma(b_.CreateFMul(r, r), q, low));
  // 2^n small + (2^n - 1), all at half its size: 2^128 is not a float.
  Value* half_power = as_float(b_.CreateAdd(b_.CreateShl(as_int(shifted), 23), whole(as_int(x), 126u << 23)));
  Value* half = fma(half_power, small, b_.CreateFSub(half_power, real(x, 0.5)));
  // Tiny x itself, for the sign of zero and the last bit of subnormals.
  Value* tiny = b_.CreateFCmpOLT(abs(x), real(x, 0x1p-25));
  return b_.CreateSelect(tiny, x, b_.CreateFAdd(half, half));
}

Value* VectorMath::tanh(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).tanh(x);
  Exact exact(b_);
  Value* size = abs(x);
  Value* bounded = at_most(size, 10);  // tanh 10 rounds to 1
  const Exponential e = exponential(b_.CreateFAdd(bounded, bounded));
  Value* denominator = b_.CreateFAdd(scale_within(e.mantissa, e), real(x, 1));
  Value* large = b_.CreateFSub(real(x, 1), b_.CreateFDiv(real(x, 2), denominator));
  // tanh x = x + x^3 P(x^2) for |x| <= 0.625, relative error below 4.6e-9.
  Value* square = b_.CreateFMul(size, size);
  Value* p = polynomial(square, {-0x1.555532p-2, 0x1.1106f6p-3, -0x1.b835a4p-5, 0x1.51f8cep-6, -0x1.750ce2p-8});
  Value* small = fma(b_.CreateFMul(size, square), p, size);
  return copysign(b_.CreateSelect(b_.CreateFCmpOLT(size, real(x, 0.625)), small, large), x);
}

Value* VectorMath::sigmoid(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).sigmoid(x);
  Exact exact(b_);
  // e^x / (1 + e^x) for negative x: no overflow, and the tail keeps its bits.
  Value* e = exp_of_negative(b_.CreateFNeg(abs(x)));
  Value* numerator = b_.CreateSelect(b_.CreateFCmpOLT(x, real(x, 0)), e, real(x, 1));
  return b_.CreateFDiv(numerator, b_.CreateFAdd(e, real(x, 1)));
}

Value* VectorMath::silu(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).silu(x);
  Exact exact(b_);
  // x e^x / (1 + e^x) for negative x, scaled last: e^x is subnormal where the product is still normal.
  constexpr double lowest = -110;  // x e^x rounds to -0 below
  const Exponential e = exponential(at_least(b_.CreateFNeg(abs(x)), lowest));
  Value* negative = b_.CreateFCmpOLT(x, real(x, 0));
  Value* numerator = b_.CreateSelect(negative, b_.CreateFMul(at_least(x, lowest), e.mantissa), x);
  Value* quotient = b_.CreateFDiv(numerator, b_.CreateFAdd(scale(e.mantissa, e), real(x, 1)));
  return b_.CreateSelect(negative, scale(quotient, e), quotient);
}

}  // namespace gmc::codegen
