// The remainder of a division in f64, exact.
#include "compiler/codegen/vector_math_f64.h"

#include <llvm/IR/Intrinsics.h>

#include <limits>

namespace gmc::codegen {

using llvm::Value;

// x less a multiple of y 2^k, with k >= 0 such that the quotient stays exact: 0 <= x, 0 < y <= x, both finite.
Value* DoubleMath::remainder_step(Value* x, Value* y) {
  // The quotient has few enough bits that its products with y, or with the halves of y, are exact.
  const uint64_t bits = fused_ ? 50 : 22;
  auto exponent = [&](Value* v) -> Value* {
    Value* subnormal = is_less(v, 0x1p-1022);
    Value* field = b_.CreateLShr(as_int(b_.CreateSelect(subnormal, b_.CreateFMul(v, real(v, 0x1p54)), v)), 52);
    return b_.CreateSub(field, b_.CreateSelect(subnormal, whole(field, 54), whole(field, 0)));
  };
  Value* excess = b_.CreateSub(b_.CreateSub(exponent(x), exponent(y)), whole(as_int(x), bits));
  excess = b_.CreateSelect(b_.CreateICmpSGT(excess, whole(excess, 0)), excess, whole(excess, 0));
  Value* half = b_.CreateLShr(excess, 1);  // up to 2076 in all
  Value* divisor = scale(scale(y, half), b_.CreateSub(excess, half));
  // A rounded quotient is never below the whole part of the exact one, and at most 1 above.
  Value* quotient = truncate(b_.CreateFDiv(x, divisor));
  Value* rest = nullptr;
  if (fused_) {
    rest = fma(b_.CreateFNeg(quotient), divisor, x);
  } else {
    Value* high = as_float(b_.CreateAnd(as_int(divisor), whole(as_int(divisor), ~uint64_t{0x7ffffff})));
    Value* low = b_.CreateFSub(divisor, high);
    const Pair most = sum(x, b_.CreateFNeg(b_.CreateFMul(quotient, high)));
    rest = b_.CreateFAdd(b_.CreateFSub(most.high, b_.CreateFMul(quotient, low)), most.low);
  }
  return b_.CreateSelect(is_less(rest, 0), b_.CreateFAdd(rest, divisor), rest);
}

// A function of its own in the module, since it has a loop: remainder(x, y) for 0 <= x < infinity and 0 < y.
llvm::Function* DoubleMath::remainder_function(llvm::Type* type) {
  llvm::Function* caller = b_.GetInsertBlock()->getParent();
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  const std::string name = "remainder." + std::to_string(vector ? vector->getNumElements() : 0);
  if (llvm::Function* known = caller->getParent()->getFunction(name)) return known;
  auto* f = llvm::Function::Create(llvm::FunctionType::get(type, {type, type}, false), llvm::Function::InternalLinkage,
                                   name, *caller->getParent());
  f->setAttributes(llvm::AttributeList::get(b_.getContext(), llvm::AttributeList::FunctionIndex,
                                            llvm::AttrBuilder(b_.getContext(), caller->getAttributes().getFnAttrs())));
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(b_.getContext(), "entry", f));
  auto* entry = b.GetInsertBlock();
  auto* head = llvm::BasicBlock::Create(b_.getContext(), "head", f);
  auto* step = llvm::BasicBlock::Create(b_.getContext(), "step", f);
  auto* done = llvm::BasicBlock::Create(b_.getContext(), "done", f);
  b.CreateBr(head);
  b.SetInsertPoint(head);
  auto* x = b.CreatePHI(type, 2);
  x->addIncoming(f->getArg(0), entry);
  Value* more = b.CreateFCmpOGE(x, f->getArg(1));
  b.CreateCondBr(vector ? b.CreateOrReduce(more) : more, step, done);
  b.SetInsertPoint(step);
  Value* next = DoubleMath(b, fused_).remainder_step(x, f->getArg(1));
  x->addIncoming(b.CreateSelect(more, next, x), step);
  b.CreateBr(head);
  b.SetInsertPoint(done);
  b.CreateRet(x);
  return f;
}

Value* DoubleMath::fmod(Value* x, Value* y) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Value* dividend = abs(x);
  Value* divisor = abs(y);
  Value* defined = b_.CreateAnd(is_less(dividend, infinity), is_more(divisor, 0));
  llvm::Function* f = remainder_function(x->getType());
  Value* rest =
      b_.CreateCall(f, {b_.CreateSelect(defined, dividend, real(x, 0)), either(b_.CreateNot(defined), 1, divisor)});
  return either(b_.CreateNot(defined), std::numeric_limits<double>::quiet_NaN(), copysign(rest, x));
}

}  // namespace gmc::codegen
