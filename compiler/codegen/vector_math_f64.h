// The functions of VectorMath on <W x double> (or double). docs/numerics.md has their bounds and special values.
//
// Those of f32 that are not worth polynomials of their own are these, rounded once.
#pragma once

#include "compiler/codegen/vector_parts.h"

namespace gmc::codegen {

class DoubleMath : VectorParts {
public:
  // Emits without fast-math flags for its lifetime.
  DoubleMath(llvm::IRBuilder<>& builder, bool fused) : VectorParts(builder, fused), flags_(builder) {
    builder.clearFastMathFlags();
  }

  llvm::Value* exp(llvm::Value* x);
  llvm::Value* exp2(llvm::Value* x);
  llvm::Value* expm1(llvm::Value* x);
  llvm::Value* log(llvm::Value* x);
  llvm::Value* log2(llvm::Value* x);
  llvm::Value* log10(llvm::Value* x);
  llvm::Value* log1p(llvm::Value* x);
  // `exact` carries the logarithm in two numbers; otherwise the relative error is that of the logarithm times
  // |y log x|, enough for what is rounded to f32.
  llvm::Value* pow(llvm::Value* x, llvm::Value* y, bool exact = true);

  llvm::Value* sinh(llvm::Value* x);
  llvm::Value* cosh(llvm::Value* x);
  llvm::Value* tanh(llvm::Value* x);
  llvm::Value* asinh(llvm::Value* x);
  llvm::Value* acosh(llvm::Value* x);
  llvm::Value* atanh(llvm::Value* x);

  llvm::Value* sin(llvm::Value* x);
  llvm::Value* cos(llvm::Value* x);
  llvm::Value* tan(llvm::Value* x);
  llvm::Value* asin(llvm::Value* x);
  llvm::Value* acos(llvm::Value* x);
  llvm::Value* atan(llvm::Value* x);
  llvm::Value* atan2(llvm::Value* y, llvm::Value* x);

  llvm::Value* erf(llvm::Value* x);
  llvm::Value* erfinv(llvm::Value* x);
  llvm::Value* gelu(llvm::Value* x);

  llvm::Value* sigmoid(llvm::Value* x);
  llvm::Value* softplus(llvm::Value* x);
  llvm::Value* silu(llvm::Value* x);
  llvm::Value* gelu_tanh(llvm::Value* x);

  llvm::Value* fmod(llvm::Value* x, llvm::Value* y);

private:
  // e^x = mantissa * 2^exponent, with the mantissa in [0.70, 1.42].
  struct Exponential {
    llvm::Value* mantissa;
    llvm::Value* exponent;  // i64
  };
  // x = 2^exponent * (1 + fraction), with 1 + fraction in [sqrt 1/2, sqrt 2).
  struct Logarithm {
    llvm::Value* exponent;  // i64
    llvm::Value* fraction;
  };
  // x = quarter * pi/2 + high + low, with |high| at most 0.82.
  struct Reduced {
    llvm::Value* quarter;  // i64
    llvm::Value* high;
    llvm::Value* low;
  };

  Exponential exponential(llvm::Value* x);  // |x| at most 2^10
  Exponential exponential(llvm::Value* r, llvm::Value* low, llvm::Value* shifted);
  Exponential exponential(const Pair& x);
  llvm::Value* scale(llvm::Value* x, llvm::Value* exponent);  // x * 2^exponent, rounded once; exponent in [-2044, 2046]
  llvm::Value* exp_of_negative(llvm::Value* x);               // e^-|x|
  Logarithm split(llvm::Value* x);                            // x positive and normal
  Logarithm split_any(llvm::Value* x);                        // x positive
  llvm::Value* logarithm(llvm::Value* fraction);              // log(1 + fraction)
  llvm::Value* logarithm(llvm::Value* exponent, llvm::Value* fraction);  // the exponent as i64
  Pair logarithm_pair(const Logarithm& x);
  llvm::Value* log_ends(llvm::Value* x, llvm::Value* y);  // y, the logarithm of x, where x is positive and finite
  llvm::Value* to_double(llvm::Value* exponent);
  llvm::Value* power_signs(llvm::Value* x, llvm::Value* y, llvm::Value* magnitude);

  Reduced reduce(llvm::Value* x);
  llvm::Value* sine(const Reduced& r);
  llvm::Value* cosine(const Reduced& r);
  llvm::Value* is_odd(llvm::Value* quarter);
  llvm::Value* quarter_wave(llvm::Value* x, uint64_t shift);
  llvm::Value* arc_sine(llvm::Value* square, llvm::Value* t);  // asin t for |t| <= 1/2, t^2 = square

  llvm::Value* small_erf(llvm::Value* x);            // |x| <= 1/2
  llvm::Value* scaled_erfc(llvm::Value* x);          // e^(x^2) erfc x, x in [1/2, 30]
  Exponential gauss(llvm::Value* x, double factor);  // e^(factor x^2), factor a power of two

  llvm::Function* remainder_function(llvm::Type* type);
  llvm::Value* remainder_step(llvm::Value* x, llvm::Value* y);

  llvm::IRBuilderBase::FastMathFlagGuard flags_;
};

}  // namespace gmc::codegen
