#include "compiler/codegen/peak.h"

#include "compiler/codegen/llvm_door.h"

namespace gmc::codegen {

// Twelve independent chains hide the latency of the multiply-add on every CPU with at most two of them a cycle and six
// cycles.
PeakCode emit_fma_peak(const Target& target) {
  llvm::LLVMContext context;
  auto machine = make_target_machine(target);
  auto module = make_module(context, "gmc_fma_peak", *machine);
  llvm::IRBuilder<> b(context);
  auto* vector = llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(target.lanes));
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy(), b.getInt64Ty()}, false);
  auto* f = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, "gmc_fma_peak", *module);
  auto* entry = llvm::BasicBlock::Create(context, "entry", f);
  auto* loop = llvm::BasicBlock::Create(context, "loop", f);
  auto* done = llvm::BasicBlock::Create(context, "done", f);
  b.SetInsertPoint(entry);
  auto* x = b.CreateAlignedLoad(vector, f->getArg(0), llvm::Align(4));
  b.CreateBr(loop);
  b.SetInsertPoint(loop);
  const int chains = 12;
  auto* i = b.CreatePHI(b.getInt64Ty(), 2);
  std::vector<llvm::PHINode*> acc;
  for (int c = 0; c < chains; ++c) acc.push_back(b.CreatePHI(vector, 2));
  std::vector<llvm::Value*> sum(acc.begin(), acc.end());
  for (int u = 0; u < 2; ++u)
    for (auto& s : sum)
      s = target.lanes >= 8 ? b.CreateIntrinsic(llvm::Intrinsic::fma, {vector}, {x, x, s})
                            : b.CreateFAdd(b.CreateFMul(s, x), x);
  auto* next = b.CreateAdd(i, b.getInt64(1));
  i->addIncoming(b.getInt64(0), entry);
  i->addIncoming(next, loop);
  for (size_t c = 0; c < chains; ++c) {
    acc[c]->addIncoming(llvm::Constant::getNullValue(vector), entry);
    acc[c]->addIncoming(sum[c], loop);
  }
  b.CreateCondBr(b.CreateICmpEQ(next, f->getArg(1)), done, loop);
  b.SetInsertPoint(done);
  llvm::Value* total = sum[0];
  for (auto* s : sum) total = b.CreateFAdd(total, s);
  b.CreateAlignedStore(total, f->getArg(0), llvm::Align(4));
  b.CreateRetVoid();
  optimise(*module, *machine);
  return {emit_object(*module, *machine), 2.0 * 2 * chains * target.lanes};
}

}  // namespace gmc::codegen
