#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_detail.h"

namespace gmc::codegen {

using llvm::Value;

VectorMath::VectorMath(llvm::IRBuilder<>& builder, int lanes, const Target& target)
    : VectorParts(builder, target.lanes != 4), lanes_(lanes),
      scales_(target.lanes == 16 && target.triple.starts_with("x86_64")) {}

Value* VectorMath::sqrt(Value* x) {
  Exact exact(b_);
  return root(x);
}

Value* VectorMath::rsqrt(Value* x) {
  Exact exact(b_);
  return b_.CreateFDiv(real(x, 1), root(x));
}

}  // namespace gmc::codegen
