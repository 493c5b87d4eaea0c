#include "compiler/codegen/vector_parts.h"

#include <llvm/IR/Intrinsics.h>

namespace gmc::codegen {

using llvm::Value;

llvm::Type* VectorParts::with_element(Value* like, llvm::Type* element) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(like->getType());
  return vector ? llvm::FixedVectorType::get(element, vector->getNumElements()) : element;
}

Value* VectorParts::real(Value* like, double value) { return llvm::ConstantFP::get(like->getType(), value); }

Value* VectorParts::whole(Value* like, uint64_t value) { return llvm::ConstantInt::get(like->getType(), value); }

Value* VectorParts::fma(Value* a, Value* b, Value* c) {
  // Without the instruction llvm.fma is a call to the C library.
  if (!fused_) return b_.CreateFAdd(b_.CreateFMul(a, b), c);
  return b_.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
}

Value* VectorParts::polynomial(Value* x, std::initializer_list<double> coefficients) {
  const double* next = coefficients.end();
  Value* sum = real(x, *--next);
  while (next != coefficients.begin()) sum = fma(sum, x, real(x, *--next));
  return sum;
}

Value* VectorParts::at_most(Value* x, double limit) {
  return b_.CreateSelect(b_.CreateFCmpOLT(real(x, limit), x), real(x, limit), x);
}

Value* VectorParts::at_least(Value* x, double limit) {
  return b_.CreateSelect(b_.CreateFCmpOGT(real(x, limit), x), real(x, limit), x);
}

Value* VectorParts::abs(Value* x) { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }

Value* VectorParts::root(Value* x) { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x); }

Value* VectorParts::copysign(Value* magnitude, Value* sign) {
  return b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, magnitude, sign);
}

Value* VectorParts::truncate(Value* x) {
  if (fused_) return b_.CreateUnaryIntrinsic(llvm::Intrinsic::trunc, x);
  // Below 2^52 (2^23) the sum with it is a whole number, the nearest or the next.
  Value* unit = real(x, is_double(x) ? 0x1p52 : 0x1p23);
  Value* size = abs(x);
  Value* near = b_.CreateFSub(b_.CreateFAdd(size, unit), unit);
  Value* excess = b_.CreateSelect(b_.CreateFCmpOGT(near, size), real(x, 1), real(x, 0));
  Value* whole_part = copysign(b_.CreateFSub(near, excess), x);
  return b_.CreateSelect(b_.CreateFCmpOLT(size, unit), whole_part, x);
}

Value* VectorParts::as_int(Value* x) {
  return b_.CreateBitCast(x, with_element(x, is_double(x) ? b_.getInt64Ty() : b_.getInt32Ty()));
}

Value* VectorParts::as_float(Value* x) {
  const bool wide = x->getType()->getScalarSizeInBits() == 64;
  return b_.CreateBitCast(x, with_element(x, wide ? b_.getDoubleTy() : b_.getFloatTy()));
}

Value* VectorParts::is_less(Value* x, double limit) { return b_.CreateFCmpOLT(x, real(x, limit)); }

Value* VectorParts::is_more(Value* x, double limit) { return b_.CreateFCmpOGT(x, real(x, limit)); }

Value* VectorParts::is_equal(Value* x, double value) { return b_.CreateFCmpOEQ(x, real(x, value)); }

Value* VectorParts::either(Value* condition, double yes, Value* no) {
  return b_.CreateSelect(condition, real(no, yes), no);
}

VectorParts::Pair VectorParts::sum(Value* a, Value* b) {
  Value* s = b_.CreateFAdd(a, b);
  Value* of_b = b_.CreateFSub(s, a);
  Value* of_a = b_.CreateFSub(s, of_b);
  return {s, b_.CreateFAdd(b_.CreateFSub(a, of_a), b_.CreateFSub(b, of_b))};
}

VectorParts::Pair VectorParts::sum_of_ordered(Value* large, Value* small) {
  Value* s = b_.CreateFAdd(large, small);
  return {s, b_.CreateFSub(small, b_.CreateFSub(s, large))};
}

VectorParts::Pair VectorParts::product(Value* a, Value* b) {
  Value* p = b_.CreateFMul(a, b);
  if (fused_) return {p, fma(a, b, b_.CreateFNeg(p))};
  // The first 26 bits and the other 27.
  auto halves = [&](Value* x) -> Pair {
    Value* bits = as_int(x);
    Value* high = as_float(b_.CreateAnd(bits, whole(bits, ~uint64_t{0x7ffffff})));
    return {high, b_.CreateFSub(x, high)};
  };
  const Pair x = halves(a), y = halves(b);
  Value* e = b_.CreateFSub(b_.CreateFMul(x.high, y.high), p);
  e = b_.CreateFAdd(e, b_.CreateFMul(x.high, y.low));
  e = b_.CreateFAdd(e, b_.CreateFMul(x.low, y.high));
  return {p, b_.CreateFAdd(e, b_.CreateFMul(x.low, y.low))};
}

VectorParts::Pair VectorParts::product(const Pair& a, const Pair& b) {
  const Pair p = product(a.high, b.high);
  Value* cross = fma(a.high, b.low, b_.CreateFMul(a.low, b.high));
  return sum_of_ordered(p.high, b_.CreateFAdd(p.low, cross));
}

}  // namespace gmc::codegen
