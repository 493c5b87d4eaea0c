// The building blocks of vector mathematics: constants, polynomials, bits, and sums and products with their errors.
//
// Values are float or double, vectors of any width or scalars; constants and results have the type of the operands.
#pragma once

#include "compiler/codegen/llvm_door.h"

#include <initializer_list>

namespace gmc::codegen {

class VectorParts {
protected:
  // The unevaluated sum of two numbers, the second at most half an ULP of the first.
  struct Pair {
    llvm::Value* high;
    llvm::Value* low;
  };

  VectorParts(llvm::IRBuilder<>& builder, bool fused) : b_(builder), fused_(fused) {}

  static bool is_double(llvm::Value* x) { return x->getType()->getScalarType()->isDoubleTy(); }

  // Constants of the type of `like`.
  llvm::Value* real(llvm::Value* like, double value);
  llvm::Value* whole(llvm::Value* like, uint64_t value);
  // a b + c: one rounding if the target has the instruction, two otherwise.
  llvm::Value* fma(llvm::Value* a, llvm::Value* b, llvm::Value* c);
  llvm::Value* polynomial(llvm::Value* x, std::initializer_list<double> coefficients);  // of x^0, x^1, ...
  // These give x where x is NaN.
  llvm::Value* at_most(llvm::Value* x, double limit);
  llvm::Value* at_least(llvm::Value* x, double limit);
  llvm::Value* abs(llvm::Value* x);
  llvm::Value* root(llvm::Value* x);
  llvm::Value* copysign(llvm::Value* magnitude, llvm::Value* sign);
  llvm::Value* truncate(llvm::Value* x);  // toward zero; x itself if infinite or NaN
  llvm::Value* as_int(llvm::Value* x);    // the bits, as integers of the same size
  llvm::Value* as_float(llvm::Value* x);  // the bits, as float or double
  llvm::Type* with_element(llvm::Value* like, llvm::Type* element);

  // Comparisons and choices with constants.
  llvm::Value* is_less(llvm::Value* x, double limit);
  llvm::Value* is_more(llvm::Value* x, double limit);
  llvm::Value* is_equal(llvm::Value* x, double value);
  llvm::Value* either(llvm::Value* condition, double yes, llvm::Value* no);

  // Exact for doubles, unless it overflows or the error is below the least double (Dekker, "A floating-point technique
  // for extending the available precision", 1971); without fused multiply-add `product` errs by 2^-106 of the product.
  Pair sum(llvm::Value* a, llvm::Value* b);
  Pair sum_of_ordered(llvm::Value* large, llvm::Value* small);  // |large| >= |small|
  Pair product(llvm::Value* a, llvm::Value* b);
  Pair product(const Pair& a, const Pair& b);  // relative error below 2^-100

  llvm::IRBuilder<>& b_;
  bool fused_;  // the target has fused multiply-add, and all of SSE 4.1 and F16C with it
};

}  // namespace gmc::codegen
