#include "compiler/codegen/cpu/gemm_parts.h"

#include <fmt/format.h>

namespace gmc::codegen {

llvm::Function* emit_micro_kernel(llvm::Module& module, const MicroKernel& kernel, const Target& target) {
  const std::string name =
      fmt::format("micro{}x{}.{}.{}.{}.{}.{}.{}", kernel.rows, kernel.vectors, kernel.row.outer, kernel.row.k,
                  kernel.column_step, kernel.vector_stride, kernel.acc_stride, kernel.tail);
  if (llvm::Function* known = module.getFunction(name)) return known;
  llvm::LLVMContext& c = module.getContext();
  llvm::IRBuilder<> b(c);
  auto* ptr = b.getPtrTy();
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {ptr, ptr, ptr, b.getInt64Ty(), b.getInt1Ty()}, false);
  auto* f = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, name, module);
  f->setDoesNotThrow();
  f->addFnAttr(llvm::Attribute::NoInline);
  for (unsigned i : {0u, 1u, 2u}) f->addParamAttr(i, llvm::Attribute::NoAlias);
  llvm::Value *rows = f->getArg(0), *columns = f->getArg(1), *memory = f->getArg(2), *steps = f->getArg(3);

  const int64_t lanes = target.lanes;
  auto* vector = llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(lanes));
  auto* zero = llvm::Constant::getNullValue(vector);
  const llvm::Align aligned(static_cast<uint64_t>(4 * lanes));
  const auto count = static_cast<size_t>(kernel.rows * kernel.vectors);
  const auto slot = [&](int64_t r, int64_t v) { return float_at(b, memory, r * kernel.acc_stride + v * lanes); };
  const auto at = [&](int64_t r, int64_t v) { return static_cast<size_t>(r * kernel.vectors + v); };

  auto* entry = llvm::BasicBlock::Create(c, "entry", f);
  auto* resume = llvm::BasicBlock::Create(c, "resume", f);
  auto* loop = llvm::BasicBlock::Create(c, "loop", f);
  auto* done = llvm::BasicBlock::Create(c, "done", f);
  b.SetInsertPoint(entry);
  b.CreateCondBr(f->getArg(4), loop, resume);

  b.SetInsertPoint(resume);
  std::vector<llvm::Value*> earlier(count);
  for (int64_t r = 0; r < kernel.rows; ++r)
    for (int64_t v = 0; v < kernel.vectors; ++v) earlier[at(r, v)] = b.CreateAlignedLoad(vector, slot(r, v), aligned);
  b.CreateBr(loop);

  b.SetInsertPoint(loop);
  const auto phi = [&](llvm::Type* t, llvm::Value* at_entry, llvm::Value* at_resume) {
    auto* p = b.CreatePHI(t, 3);
    p->addIncoming(at_entry, entry);
    p->addIncoming(at_resume, resume);
    return p;
  };
  auto* left = phi(b.getInt64Ty(), steps, steps);
  auto* row = phi(ptr, rows, rows);
  auto* column = phi(ptr, columns, columns);
  std::vector<llvm::PHINode*> acc(count);
  for (size_t i = 0; i < count; ++i) acc[i] = phi(vector, zero, earlier[i]);

  std::vector<llvm::Value*> y;
  for (int64_t v = 0; v < kernel.vectors; ++v) {
    llvm::Value* p = float_at(b, column, v * kernel.vector_stride);
    if (kernel.tail && v == kernel.vectors - 1)
      y.push_back(b.CreateMaskedLoad(vector, p, llvm::Align(4), first_lanes(b, lanes, kernel.tail), zero));
    else
      y.push_back(b.CreateAlignedLoad(vector, p, llvm::Align(4)));
  }
  std::vector<llvm::Value*> sum(count);
  for (int64_t r = 0; r < kernel.rows; ++r) {
    llvm::Value* scalar = b.CreateAlignedLoad(b.getFloatTy(), float_at(b, row, r * kernel.row.outer), llvm::Align(4));
    llvm::Value* x = b.CreateVectorSplat(static_cast<unsigned>(lanes), scalar);
    for (int64_t v = 0; v < kernel.vectors; ++v) {
      llvm::Value* old = acc[at(r, v)];
      const auto i = static_cast<size_t>(v);
      // Only targets of 8 and more lanes have the fused instruction; elsewhere it would be a call.
      sum[at(r, v)] = lanes >= 8 ? b.CreateIntrinsic(llvm::Intrinsic::fma, {vector}, {x, y[i], old})
                                 : b.CreateFAdd(b.CreateFMul(x, y[i]), old);
    }
  }
  left->addIncoming(b.CreateNSWSub(left, b.getInt64(1)), loop);
  row->addIncoming(float_at(b, row, kernel.row.k), loop);
  column->addIncoming(float_at(b, column, kernel.column_step), loop);
  for (size_t i = 0; i < count; ++i) acc[i]->addIncoming(sum[i], loop);
  b.CreateCondBr(b.CreateICmpEQ(left->getIncomingValueForBlock(loop), b.getInt64(0)), done, loop);

  b.SetInsertPoint(done);
  for (int64_t r = 0; r < kernel.rows; ++r)
    for (int64_t v = 0; v < kernel.vectors; ++v) b.CreateAlignedStore(sum[at(r, v)], slot(r, v), aligned);
  b.CreateRetVoid();
  return f;
}

}  // namespace gmc::codegen
