// The mathematics of generated code, as explicit vector LLVM IR: polynomials of gmc's own, no library.
//
// Every function takes and returns <W x float> or <W x double> (or float or double) for any W, unless it says
// otherwise, and computes each lane by itself. It emits only correctly rounded operations in a fixed order and no
// fast-math flag, whatever flags the builder carries, so a lane's bits depend on its input alone: not on W, on masking
// or on the CPU. The one exception is a target without fused multiply-add (`Target::lanes` is 4, plain x86-64), where
// each fused step is a product and a sum; its bits differ, its bounds are stated beside the others.
//
// docs/numerics.md has the bounds, the worst errors over all inputs and the special values. NaN in gives NaN out; the
// sign and payload of a NaN are unspecified. Subnormals are kept.
#pragma once

#include "compiler/codegen/vector_parts.h"

namespace gmc::codegen {

class DoubleMath;

class VectorMath : VectorParts {
public:
  // `lanes` is the width of what philox_words returns. `builder` must stand where code is to go.
  VectorMath(llvm::IRBuilder<>& builder, int lanes, const Target& target);

  llvm::Value* exp(llvm::Value* x);
  llvm::Value* exp2(llvm::Value* x);
  llvm::Value* expm1(llvm::Value* x);
  llvm::Value* log(llvm::Value* x);
  llvm::Value* log2(llvm::Value* x);
  llvm::Value* log10(llvm::Value* x);
  llvm::Value* log1p(llvm::Value* x);
  llvm::Value* sqrt(llvm::Value* x);                 // correctly rounded
  llvm::Value* rsqrt(llvm::Value* x);                // 1 / sqrt(x), two roundings; rsqrt(-0) = -inf
  llvm::Value* pow(llvm::Value* x, llvm::Value* y);  // special values as in C99, F.9.4.4

  llvm::Value* sinh(llvm::Value* x);
  llvm::Value* cosh(llvm::Value* x);
  llvm::Value* tanh(llvm::Value* x);
  llvm::Value* asinh(llvm::Value* x);
  llvm::Value* acosh(llvm::Value* x);
  llvm::Value* atanh(llvm::Value* x);

  // x in radians. Past |x| = 2^48 (2^20 without fused multiply-add) the angle is taken as 0.
  llvm::Value* sin(llvm::Value* x);
  llvm::Value* cos(llvm::Value* x);
  llvm::Value* tan(llvm::Value* x);
  llvm::Value* asin(llvm::Value* x);
  llvm::Value* acos(llvm::Value* x);
  llvm::Value* atan(llvm::Value* x);
  llvm::Value* atan2(llvm::Value* y, llvm::Value* x);  // special values as in C99, F.9.1.4

  llvm::Value* erf(llvm::Value* x);
  llvm::Value* erfinv(llvm::Value* x);  // infinite at -1 and 1, NaN outside

  // Exact.
  llvm::Value* floor(llvm::Value* x);
  llvm::Value* ceil(llvm::Value* x);
  llvm::Value* trunc(llvm::Value* x);
  llvm::Value* round(llvm::Value* x);                 // to the nearest integer, halves to the even one
  llvm::Value* fmod(llvm::Value* x, llvm::Value* y);  // sign of x; NaN if x is infinite or y is 0
  llvm::Value* mod(llvm::Value* x, llvm::Value* y);   // x - y floor(x / y): sign of y; fmod and one rounded sum

  llvm::Value* sigmoid(llvm::Value* x);    // 1 / (1 + e^-x)
  llvm::Value* softplus(llvm::Value* x);   // log(1 + e^x), as max(x, 0) + log1p(e^-|x|)
  llvm::Value* silu(llvm::Value* x);       // x sigmoid(x); silu(-inf) = -0
  llvm::Value* gelu(llvm::Value* x);       // x Phi(x), Phi the normal distribution; gelu(-inf) = -0
  llvm::Value* gelu_tanh(llvm::Value* x);  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); gelu_tanh(-inf) = -0

  // Floats of 16 bits are their bits, <W x i16>; the others <W x float>. Round to nearest, ties to even; NaN stays NaN.
  llvm::Value* to_bf16(llvm::Value* x);
  llvm::Value* from_bf16(llvm::Value* bits);
  llvm::Value* to_f16(llvm::Value* x);
  llvm::Value* from_f16(llvm::Value* bits);
  // <W x float> or <W x double> to <W x element>: toward zero, the nearest integer of the type past its ends, NaN to 0.
  // `element` has at most 64 bits if signed, 32 if not.
  llvm::Value* to_integer(llvm::Value* x, llvm::Type* element, bool is_signed);

  // Random streams, as runtime/execute/random.h defines them.
  // `run` points to an execute::RunParameters {u64 seed, u64 step}: loads both, returns execute::stream_key as i64.
  llvm::Value* stream_key(llvm::Value* run, llvm::Value* stream);
  // The words of elements first .. first + lanes - 1 (any first), <lanes x i32>. `key`, `first` and `loop` are i64; no
  // loop means 0. Each block of four words is computed once.
  llvm::Value* philox_words(llvm::Value* key, llvm::Value* first, llvm::Value* loop = nullptr);
  // The words of arbitrary elements, <W x i64> to <W x i32>; a whole block is computed for each.
  llvm::Value* philox_words_at(llvm::Value* key, llvm::Value* elements, llvm::Value* loop = nullptr);
  llvm::Value* uniform_from_bits(llvm::Value* words);  // <W x i32> to <W x float>: exactly execute::uniform_of
  llvm::Value* normal_from_bits(llvm::Value* words);   // <W x i32> to <W x float>: near execute::normal_of

private:
  // e^x = mantissa * 2^exponent, with the mantissa in [0.70, 1.42].
  struct Exponential {
    llvm::Value* mantissa;
    llvm::Value* exponent;  // an integer, as float
    llvm::Value* shifted;   // the same plus 1.5 * 2^23, as float: its low bits are the exponent in two's complement
  };
  // x = 2^exponent * (1 + fraction), with 1 + fraction in [sqrt 1/2, sqrt 2).
  struct Logarithm {
    llvm::Value* exponent;  // i32
    llvm::Value* fraction;
  };
  // x = quarter * pi/2 + angle, with |angle| at most pi/4 and a little.
  struct Reduced {
    llvm::Value* quarter;  // i32, modulo 2^32
    llvm::Value* angle;
  };
  // The four words of a block; each vector has the words' value in the low 32 bits of an i64.
  struct Block {
    llvm::Value* words[4];
  };

  Exponential exponential(llvm::Value* x);                   // |x| at most 2^20
  llvm::Value* scale(llvm::Value* x, const Exponential& e);  // x * 2^exponent, rounded once; exponent in [-252, 254]
  llvm::Value* scale_within(llvm::Value* x, const Exponential& e);       // the same where the result is a normal number
  llvm::Value* exp_of_negative(llvm::Value* x);                          // e^x for x <= 0
  Logarithm split(llvm::Value* x);                                       // x positive and normal
  llvm::Value* logarithm(llvm::Value* exponent, llvm::Value* fraction);  // both float
  Reduced reduce(llvm::Value* x);
  llvm::Value* sine(llvm::Value* angle);
  llvm::Value* cosine(llvm::Value* angle);
  llvm::Value* quarter_wave(llvm::Value* x, uint64_t shift);
  Block philox(llvm::Value* key, llvm::Value* blocks, llvm::Value* loop);

  llvm::Value* in_double(llvm::Value* (DoubleMath::*function)(llvm::Value*), llvm::Value* x);
  // sqrt(2) erfinv(p) times `factor`, for 0 <= p < 1 and q = 1 - p.
  llvm::Value* quantile(llvm::Value* p, llvm::Value* q, double factor);

  int lanes_;
  bool scales_;  // the target has an instruction for scale(), on 16 lanes
};

}  // namespace gmc::codegen
