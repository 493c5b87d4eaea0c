// What the files of VectorMath share.
#pragma once

#include <llvm/IR/IRBuilder.h>

namespace gmc::codegen {

// Emits without fast-math flags for its lifetime, then restores the builder's.
class Exact {
public:
  explicit Exact(llvm::IRBuilder<>& b) : guard_(b) { b.clearFastMathFlags(); }

private:
  llvm::IRBuilderBase::FastMathFlagGuard guard_;
};

// ln 2 in two parts: the first has 10 bits, so that its product with an exponent is exact.
constexpr double ln2_high = 0x1.63p-1, ln2_low = -0x1.bd0106p-13;

}  // namespace gmc::codegen
