#include "compiler/codegen/cpu/gemm_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace gmc::codegen {

namespace {

void emit_micro_kernel(llvm::Module& module, const std::string& name, const MicroKernel& kernel, const Target& target) {
  llvm::LLVMContext& c = module.getContext();
  llvm::IRBuilder<> b(c);
  llvm::Type *ptr = b.getPtrTy(), *i64 = b.getInt64Ty();
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {ptr, ptr, ptr, i64, b.getInt1Ty(), i64, i64, i64}, false);
  auto* f = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
  f->setDoesNotThrow();
  for (unsigned i : {0u, 1u, 2u}) f->addParamAttr(i, llvm::Attribute::NoAlias);
  llvm::Value *rows = f->getArg(0), *columns = f->getArg(1), *memory = f->getArg(2), *steps = f->getArg(3);

  const int64_t lanes = target.lanes;
  auto* vector = llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(lanes));
  auto* zero = llvm::Constant::getNullValue(vector);
  const llvm::Align aligned(static_cast<uint64_t>(4 * lanes));
  const auto count = static_cast<size_t>(kernel.rows * kernel.vectors);
  const auto at = [&](int64_t r, int64_t v) { return static_cast<size_t>(r * kernel.vectors + v); };
  const auto each_slot = [&](const auto& visit) {
    llvm::Value* row = memory;
    for (int64_t r = 0; r < kernel.rows; ++r) {
      for (int64_t v = 0; v < kernel.vectors; ++v) visit(at(r, v), float_at(b, row, v * lanes));
      if (r + 1 < kernel.rows) row = float_at(b, row, f->getArg(7));
    }
  };

  auto* entry = llvm::BasicBlock::Create(c, "entry", f);
  auto* resume = llvm::BasicBlock::Create(c, "resume", f);
  auto* loop = llvm::BasicBlock::Create(c, "loop", f);
  auto* done = llvm::BasicBlock::Create(c, "done", f);
  b.SetInsertPoint(entry);
  llvm::Value* row_stride = b.CreateShl(f->getArg(5), 2);  // bytes
  llvm::Value* column_stride = b.CreateShl(f->getArg(6), 2);
  // Element i of a line of them: an odd multiple of the stride is in a register, addresses scale by 2, 4 or 8.
  const auto odd_multiples = [&](llvm::Value* stride, int64_t lines) {
    std::vector<llvm::Value*> odd;
    for (int64_t m = 1; m < lines; m += 2)
      odd.push_back(m == 1 ? stride : b.CreateMul(stride, b.getInt64(static_cast<uint64_t>(m))));
    return odd;
  };
  const auto line_at = [&](llvm::Value* base, const std::vector<llvm::Value*>& odd, int64_t i) {
    if (i == 0) return base;
    const int shift = std::countr_zero(static_cast<uint64_t>(i));
    llvm::Value* offset = b.CreateShl(odd[static_cast<size_t>(i >> shift) / 2], static_cast<uint64_t>(shift));
    return b.CreateGEP(b.getInt8Ty(), base, offset);
  };
  // Rows apart in memory have a pointer for every eight of them.
  constexpr int64_t group = 8;
  std::vector<llvm::Value*> first_rows{rows};
  std::vector<llvm::Value*> row_multiples, column_multiples;
  if (!kernel.rows_adjoin) {
    row_multiples = odd_multiples(row_stride, std::min(kernel.rows, group));
    for (int64_t r = group; r < kernel.rows; r += group)
      first_rows.push_back(b.CreateGEP(b.getInt8Ty(), first_rows.back(), b.CreateShl(row_stride, 3)));
  }
  if (kernel.packed) column_multiples = odd_multiples(column_stride, kernel.vectors);
  b.CreateCondBr(f->getArg(4), loop, resume);

  b.SetInsertPoint(resume);
  std::vector<llvm::Value*> earlier(count);
  each_slot([&](size_t i, llvm::Value* slot) { earlier[i] = b.CreateAlignedLoad(vector, slot, aligned); });
  b.CreateBr(loop);

  b.SetInsertPoint(loop);
  const auto phi = [&](llvm::Type* t, llvm::Value* at_entry, llvm::Value* at_resume) {
    auto* p = b.CreatePHI(t, 3);
    p->addIncoming(at_entry, entry);
    p->addIncoming(at_resume, resume);
    return p;
  };
  auto* left = phi(i64, steps, steps);
  std::vector<llvm::PHINode*> row;
  for (llvm::Value* first : first_rows) row.push_back(phi(ptr, first, first));
  auto* column = phi(ptr, columns, columns);
  std::vector<llvm::PHINode*> acc(count);
  for (size_t i = 0; i < count; ++i) acc[i] = phi(vector, zero, earlier[i]);

  std::vector<llvm::Value*> y;
  for (int64_t v = 0; v < kernel.vectors; ++v) {
    llvm::Value* p = kernel.packed ? line_at(column, column_multiples, v) : float_at(b, column, v * lanes);
    if (kernel.tail && v == kernel.vectors - 1)
      y.push_back(b.CreateMaskedLoad(vector, p, llvm::Align(4), first_lanes(b, lanes, kernel.tail), zero));
    else
      y.push_back(b.CreateAlignedLoad(vector, p, llvm::Align(4)));
  }
  std::vector<llvm::Value*> sum(count);
  for (int64_t r = 0; r < kernel.rows; ++r) {
    llvm::Value* place = kernel.rows_adjoin ? float_at(b, row[0], r)
                                            : line_at(row[static_cast<size_t>(r / group)], row_multiples, r % group);
    llvm::Value* scalar = b.CreateAlignedLoad(b.getFloatTy(), place, llvm::Align(4));
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
  for (llvm::PHINode* p : row)
    p->addIncoming(kernel.rows_adjoin ? b.CreateGEP(b.getInt8Ty(), p, row_stride) : float_at(b, p, 1), loop);
  column->addIncoming(kernel.packed ? float_at(b, column, lanes) : b.CreateGEP(b.getInt8Ty(), column, column_stride),
                      loop);
  for (size_t i = 0; i < count; ++i) acc[i]->addIncoming(sum[i], loop);
  b.CreateCondBr(b.CreateICmpEQ(left->getIncomingValueForBlock(loop), b.getInt64(0)), done, loop);

  b.SetInsertPoint(done);
  each_slot([&](size_t i, llvm::Value* slot) { b.CreateAlignedStore(sum[i], slot, aligned); });
  b.CreateRetVoid();
}

}  // namespace

Leaf micro_kernel(const MicroKernel& kernel, const Target& target) {
  const std::string name = fmt::format("gmc_micro{}x{}{}{}_{}", kernel.rows, kernel.vectors,
                                       kernel.rows_adjoin ? "a" : "", kernel.packed ? "p" : "", kernel.tail);
  return {name, "micro",
          [name, kernel, target](llvm::Module& module) { emit_micro_kernel(module, name, kernel, target); }};
}

}  // namespace gmc::codegen
