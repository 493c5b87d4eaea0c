// Whole numbers near x, and the remainder whose sign is the divisor's.
#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_detail.h"

#include <llvm/IR/Intrinsics.h>

namespace gmc::codegen {

using llvm::Value;

Value* VectorMath::trunc(Value* x) {
  Exact exact(b_);
  return truncate(x);
}

Value* VectorMath::floor(Value* x) {
  Exact exact(b_);
  if (fused_) return b_.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x);
  Value* near = truncate(x);
  return copysign(b_.CreateSelect(b_.CreateFCmpOGT(near, x), b_.CreateFSub(near, real(x, 1)), near), x);
}

Value* VectorMath::ceil(Value* x) {
  Exact exact(b_);
  if (fused_) return b_.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, x);
  Value* near = truncate(x);
  return copysign(b_.CreateSelect(b_.CreateFCmpOLT(near, x), b_.CreateFAdd(near, real(x, 1)), near), x);
}

Value* VectorMath::round(Value* x) {
  Exact exact(b_);
  if (fused_) return b_.CreateUnaryIntrinsic(llvm::Intrinsic::roundeven, x);
  // The sum with 2^52 (2^23) is a whole number, rounded as everything is.
  Value* unit = real(x, is_double(x) ? 0x1p52 : 0x1p23);
  Value* size = abs(x);
  Value* near = copysign(b_.CreateFSub(b_.CreateFAdd(size, unit), unit), x);
  return b_.CreateSelect(b_.CreateFCmpOLT(size, unit), near, x);
}

Value* VectorMath::mod(Value* x, Value* y) {
  Value* rest = fmod(x, y);
  Exact exact(b_);
  Value* other_side = b_.CreateFCmpOLT(b_.CreateFMul(copysign(real(x, 1), rest), copysign(real(x, 1), y)), real(x, 0));
  Value* none = is_equal(rest, 0);
  Value* moved = b_.CreateSelect(other_side, b_.CreateFAdd(rest, y), rest);
  return b_.CreateSelect(none, copysign(rest, y), moved);
}

}  // namespace gmc::codegen
