// The error function and the activations made of the normal distribution: gelu and its tanh form.
#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_detail.h"
#include "compiler/codegen/vector_math_f64.h"

namespace gmc::codegen {

using llvm::Value;

Value* VectorMath::erf(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).erf(x);
  Exact exact(b_);
  Value* size = at_most(abs(x), 4);  // erf 4 rounds to 1
  // erf x = x + x P(x^2) for |x| <= 0.9375, relative error below 2e-8.
  Value* p = polynomial(b_.CreateFMul(size, size),
                        {0x1.06eba6p-3, -0x1.8126dcp-2, 0x1.ce1856p-4, -0x1.b6698ep-6, 0x1.466a4ap-8, -0x1.36a80cp-11});
  Value* small = fma(size, p, size);
  // erf x = 1 - e^Q(x) for 0.9375 <= x <= 4, absolute error below 1.5e-9.
  Value* q = polynomial(size, {-0x1.d4bd38p-13, -0x1.20a7dap0, -0x1.4655e2p-1, -0x1.a90482p-4, 0x1.6ad918p-6,
                               -0x1.8c3ec2p-9, 0x1.969fccp-13});
  const Exponential e = exponential(q);
  Value* large = b_.CreateFSub(real(x, 1), scale_within(e.mantissa, e));
  return copysign(b_.CreateSelect(b_.CreateFCmpOLT(size, real(x, 0.9375)), small, large), x);
}

Value* VectorMath::gelu(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).gelu(x);
  Exact exact(b_);
  Value* size = abs(x);
  // Phi(x) = 1/2 + x P(x^2) for |x| <= 1.25, absolute error below 0.16 * 1.3e-8.
  Value* p = polynomial(b_.CreateFMul(x, x), {0x1.988450p-2, -0x1.10577ep-4, 0x1.46b6c0p-7, -0x1.35ae02p-10,
                                              0x1.cb29e6p-14, -0x1.b0d7c8p-18});
  Value* middle = fma(x, p, real(x, 0.5));
  // Phi(-x) = e^Q(x) for 1.25 <= x <= 8, error below 1.3e-9 Phi(-x)^0.4; Q falls to -inf past that.
  Value* q = polynomial(size, {-0x1.62d418p-1, -0x1.98d73cp-1, -0x1.448332p-2, -0x1.38345cp-5, 0x1.96bb62p-8,
                               -0x1.78fb68p-11, 0x1.b30a5ap-15, -0x1.d026b8p-20});
  Value* tail = exp_of_negative(q);
  tail = b_.CreateSelect(b_.CreateFCmpOLT(x, real(x, 0)), tail, b_.CreateFSub(real(x, 1), tail));
  Value* phi = b_.CreateSelect(b_.CreateFCmpOLT(size, real(x, 1.25)), middle, tail);
  return b_.CreateFMul(at_least(x, -40), phi);  // the limit keeps -inf * 0 away
}

Value* VectorMath::gelu_tanh(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).gelu_tanh(x);
  Exact exact(b_);
  // (1 + tanh u) / 2 = sigmoid(2u), and 2u = 2 sqrt(2/pi) x + 2 sqrt(2/pi) 0.044715 x^3.
  Value* twice = fma(b_.CreateFMul(x, x), real(x, 0x1.2444f2p-4), real(x, 0x1.988454p0));
  Value* e = exp_of_negative(b_.CreateFNeg(abs(b_.CreateFMul(x, twice))));
  Value* numerator = b_.CreateSelect(b_.CreateFCmpOLT(x, real(x, 0)), e, real(x, 1));
  Value* quotient = b_.CreateFDiv(numerator, b_.CreateFAdd(e, real(x, 1)));
  return b_.CreateFMul(at_least(x, -40), quotient);  // the limit keeps -inf * 0 away
}

}  // namespace gmc::codegen
