#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_detail.h"

#include <llvm/IR/Intrinsics.h>

#include <vector>

namespace gmc::codegen {

using llvm::Value;

VectorMath::VectorMath(llvm::IRBuilder<>& builder, int lanes, const Target& target)
    : b_(builder), lanes_(lanes), fused_(target.lanes != 4),
      scales_(target.lanes == 16 && target.triple.starts_with("x86_64")) {}

Value* VectorMath::sqrt(Value* x) {
  Exact exact(b_);
  return b_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x);
}

Value* VectorMath::rsqrt(Value* x) {
  Exact exact(b_);
  return b_.CreateFDiv(real(x, 1), sqrt(x));
}

llvm::Type* VectorMath::with_element(Value* like, llvm::Type* element) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(like->getType());
  return vector ? llvm::FixedVectorType::get(element, vector->getNumElements()) : element;
}

Value* VectorMath::real(Value* like, double value) { return llvm::ConstantFP::get(like->getType(), value); }

Value* VectorMath::whole(Value* like, uint64_t value) { return llvm::ConstantInt::get(like->getType(), value); }

Value* VectorMath::fma(Value* a, Value* b, Value* c) {
  // Without the instruction llvm.fma is a call to the C library.
  if (!fused_) return b_.CreateFAdd(b_.CreateFMul(a, b), c);
  return b_.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
}

Value* VectorMath::polynomial(Value* x, std::initializer_list<double> coefficients) {
  const double* next = coefficients.end();
  Value* sum = real(x, *--next);
  while (next != coefficients.begin()) sum = fma(sum, x, real(x, *--next));
  return sum;
}

Value* VectorMath::at_most(Value* x, double limit) {
  return b_.CreateSelect(b_.CreateFCmpOLT(real(x, limit), x), real(x, limit), x);
}

Value* VectorMath::at_least(Value* x, double limit) {
  return b_.CreateSelect(b_.CreateFCmpOGT(real(x, limit), x), real(x, limit), x);
}

Value* VectorMath::abs(Value* x) { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }

Value* VectorMath::copysign(Value* magnitude, Value* sign) {
  return b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, magnitude, sign);
}

Value* VectorMath::as_int(Value* x) { return b_.CreateBitCast(x, with_element(x, b_.getInt32Ty())); }

Value* VectorMath::as_float(Value* x) { return b_.CreateBitCast(x, with_element(x, b_.getFloatTy())); }

}  // namespace gmc::codegen
