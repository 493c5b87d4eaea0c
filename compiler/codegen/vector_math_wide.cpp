// The functions that f32 computes in f64 and rounds once.
#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_f64.h"

namespace gmc::codegen {

using llvm::Value;

Value* VectorMath::in_double(Value* (DoubleMath::*function)(Value*), Value* x) {
  DoubleMath math(b_, fused_);
  if (is_double(x)) return (math.*function)(x);
  Value* wide = b_.CreateFPExt(x, with_element(x, b_.getDoubleTy()));
  return b_.CreateFPTrunc((math.*function)(wide), x->getType());
}

Value* VectorMath::exp2(Value* x) { return in_double(&DoubleMath::exp2, x); }

Value* VectorMath::log2(Value* x) { return in_double(&DoubleMath::log2, x); }

Value* VectorMath::log10(Value* x) { return in_double(&DoubleMath::log10, x); }

Value* VectorMath::sinh(Value* x) { return in_double(&DoubleMath::sinh, x); }

Value* VectorMath::cosh(Value* x) { return in_double(&DoubleMath::cosh, x); }

Value* VectorMath::asinh(Value* x) { return in_double(&DoubleMath::asinh, x); }

Value* VectorMath::acosh(Value* x) { return in_double(&DoubleMath::acosh, x); }

Value* VectorMath::atanh(Value* x) { return in_double(&DoubleMath::atanh, x); }

Value* VectorMath::tan(Value* x) { return in_double(&DoubleMath::tan, x); }

Value* VectorMath::asin(Value* x) { return in_double(&DoubleMath::asin, x); }

Value* VectorMath::acos(Value* x) { return in_double(&DoubleMath::acos, x); }

Value* VectorMath::atan(Value* x) { return in_double(&DoubleMath::atan, x); }

Value* VectorMath::pow(Value* x, Value* y) {
  DoubleMath math(b_, fused_);
  if (is_double(x)) return math.pow(x, y);
  llvm::Type* wide = with_element(x, b_.getDoubleTy());
  return b_.CreateFPTrunc(math.pow(b_.CreateFPExt(x, wide), b_.CreateFPExt(y, wide), false), x->getType());
}

Value* VectorMath::atan2(Value* y, Value* x) {
  DoubleMath math(b_, fused_);
  if (is_double(x)) return math.atan2(y, x);
  llvm::Type* wide = with_element(x, b_.getDoubleTy());
  return b_.CreateFPTrunc(math.atan2(b_.CreateFPExt(y, wide), b_.CreateFPExt(x, wide)), x->getType());
}

Value* VectorMath::fmod(Value* x, Value* y) {
  DoubleMath math(b_, fused_);
  if (is_double(x)) return math.fmod(x, y);
  llvm::Type* wide = with_element(x, b_.getDoubleTy());
  return b_.CreateFPTrunc(math.fmod(b_.CreateFPExt(x, wide), b_.CreateFPExt(y, wide)), x->getType());
}

}  // namespace gmc::codegen
