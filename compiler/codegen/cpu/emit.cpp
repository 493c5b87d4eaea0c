#include "compiler/codegen/cpu/emit.h"

#include "compiler/codegen/cpu/evaluate.h"
#include "compiler/codegen/cpu/gemm_parts.h"
#include "compiler/codegen/cpu/region.h"
#include "runtime/execute/random.h"

#include <fmt/format.h>

#include <algorithm>

namespace gmc::codegen {
namespace {

GemmShape shape_of(const kernel::Region& region, const Target& target) {
  const kernel::Product& p = *region.product;
  const size_t axes = region.extents.size() - 2;
  GemmShape s{region.extents[axes], region.extents[axes + 1], p.k, p.transpose_a, p.transpose_b, p.lda, p.ldb};
  for (size_t d = 0; d < axes; ++d) s.batch.push_back({region.extents[d], p.at_a.strides[d], p.at_b.strides[d]});
  s.base_a = p.at_a.base;
  s.base_b = p.at_b.base;
  if (p.unfolded) {
    s.unfolded.emplace();
    for (auto [from, to] : {std::pair{&p.unfolded->k, &s.unfolded->k}, std::pair{&p.unfolded->n, &s.unfolded->n}})
      for (size_t i = 0; i < from->extents.size(); ++i) to->push_back({from->extents[i], from->strides[i]});
  }
  return fold_images(merge_batches(std::move(s)), target);
}

const kernel::Region& region_of(const Part& part) { return part.kernel.phases[0].regions[0]; }

KernelCode emit_product(llvm::Module& module, const Part& part, const std::string& symbol, const Target& target) {
  const kernel::Region& region = region_of(part);
  const GemmShape shape = shape_of(region, target);
  const GemmTiling tiling = choose_gemm_tiling(shape, target);
  const GemmOperands operands{region.product->a, region.product->b, region.product->packed};
  KernelCode out;
  out.scratch_bytes = tiling.scratch_bytes;
  if (tiling.pack_tiles > 0) {
    out.functions.push_back({symbol + "_pack", tiling.pack_tiles, {}});
    emit_gemm_pack(module, out.functions.back().symbol, shape, tiling, target, operands);
  }
  out.functions.push_back({symbol, tiling.compute_tiles, {}});
  emit_gemm_compute(module, symbol, shape, tiling, target, operands, [&](const GemmEpilogueArgs& args) {
    // Addresses of buffers are loaded in the entry block, once for all outputs.
    Evaluator at_output(args.builder, args.entry, target, part.kernel, region, args.buffers, args.run);
    at_output.begin_row(args.row);
    at_output.begin_point({args.row, args.column, args.mask, args.acc, args.ahead});
    using Kind = kernel::Instruction::Kind;
    for (const kernel::Instruction& in : region.body)
      if (in.kind == Kind::store) at_output.value(in.operands[0]);
    for (size_t i = 0; i < region.body.size(); ++i)
      if (region.body[i].kind == Kind::store) at_output.store(static_cast<int>(i));
  });
  return out;
}

// Calls the functions of a table of {function, tiles, arguments}, each for those of its tiles that are in [begin, end).
llvm::Function* table_walker(llvm::Module& module) {
  if (llvm::Function* known = module.getFunction("walk_table")) return known;
  llvm::IRBuilder<> b(module.getContext());
  llvm::Type *pointer = b.getPtrTy(), *i64 = b.getInt64Ty();
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {pointer, i64, i64, pointer, pointer, pointer}, false);
  auto* kernel_type = llvm::FunctionType::get(b.getVoidTy(), {pointer, i64, i64, pointer, pointer}, false);
  auto* f = llvm::Function::Create(type, llvm::Function::InternalLinkage, "walk_table", module);
  f->addFnAttr(llvm::Attribute::NoUnwind);
  llvm::Value *buffers = f->getArg(0), *begin = f->getArg(1), *end = f->getArg(2), *table = f->getArg(5);
  auto block = [&](const char* name) { return llvm::BasicBlock::Create(module.getContext(), name, f); };
  llvm::BasicBlock *entry = block("entry"), *each = block("each"), *call = block("call"), *next = block("next"),
                   *done = block("done");
  b.SetInsertPoint(entry);
  b.CreateBr(each);
  b.SetInsertPoint(each);
  llvm::PHINode *row = b.CreatePHI(pointer, 2), *first = b.CreatePHI(i64, 2), *own = b.CreatePHI(pointer, 2);
  const auto field = [&](llvm::Type* t, uint64_t i) {
    return b.CreateAlignedLoad(t, b.CreateConstInBoundsGEP1_64(i64, row, i), llvm::Align(8));
  };
  const auto smaller = [&](llvm::Value* x, llvm::Value* y) { return b.CreateSelect(b.CreateICmpULT(x, y), x, y); };
  llvm::Value *function = field(pointer, 0), *last = b.CreateAdd(first, field(i64, 1));
  llvm::Value* from = b.CreateSelect(b.CreateICmpULT(first, begin), begin, first);
  llvm::Value* to = smaller(end, last);
  b.CreateCondBr(b.CreateICmpULT(from, to), call, next);
  b.SetInsertPoint(call);
  b.CreateCall(kernel_type, function,
               {own, b.CreateSub(from, first), b.CreateSub(to, first), f->getArg(3), f->getArg(4)});
  b.CreateBr(next);
  b.SetInsertPoint(next);
  row->addIncoming(table, entry);
  row->addIncoming(b.CreateConstInBoundsGEP1_64(i64, row, 3), next);
  first->addIncoming(b.getInt64(0), entry);
  first->addIncoming(last, next);
  own->addIncoming(buffers, entry);
  own->addIncoming(b.CreateInBoundsGEP(pointer, own, field(i64, 2)), next);
  b.CreateCondBr(b.CreateICmpULT(last, end), each, done);  // tiles end with the table
  b.SetInsertPoint(done);
  b.CreateRetVoid();
  return f;
}

}  // namespace

int prepare_products(kernel::Kernel& kernel, const Target& target) {
  int added = 0;
  for (kernel::Phase& phase : kernel.phases)
    for (kernel::Region& region : phase.regions) {
      if (!region.product) continue;
      const GemmTiling tiling = choose_gemm_tiling(shape_of(region, target), target);
      if (tiling.packed_bytes == 0) continue;
      region.product->packed = static_cast<int>(kernel.parameters.size());
      kernel.parameters.push_back(
          {kernel::Parameter::Mode::temporary, DType::f32, tiling.packed_bytes / 4, "packed operand"});
      ++added;
    }
  return added;
}

std::string identity_of(const Part& part) {
  std::string text = kernel::print(region_of(part));
  for (size_t i = 0; i < part.kernel.parameters.size(); ++i)
    if (part.kernel.parameters[i].elements == 0) text += fmt::format("empty {}\n", i);
  return text;
}

std::string identity_of(const std::vector<TableEntry>& table) {
  std::string text = "table";
  for (const TableEntry& e : table) text += fmt::format(" {} {} {}", e.symbol, e.tiles, e.arguments);
  return text;
}

std::string name_of(const std::string& identity, std::string_view prefix) {
  // Names are part of artifacts, which are the same whatever standard library gmc was built with.
  return fmt::format("{}_{:016x}{:08x}", prefix, execute::stream_of(identity.c_str()),
                     execute::stream_of(("again " + identity).c_str()) & 0xffffffffu);
}

std::string kind_of(const Part& part, const Target& target) {
  if (!region_of(part).product) return kernel::print(region_of(part));
  const GemmShape shape = shape_of(region_of(part), target);
  const GemmTiling t = choose_gemm_tiling(shape, target);
  const GemmStrides rows = row_strides(shape, t), columns = column_strides(shape, t);
  return fmt::format("product {} {} {} {} {} {} {} {}", t.row_block, t.panel_vectors, rows.outer, rows.k, columns.outer,
                     columns.k, shape.k, t.columns);
}

KernelCode emit_part(llvm::Module& module, const Part& part, const std::string& symbol, const Target& target) {
  if (region_of(part).product) return emit_product(module, part, symbol, target);
  emit_region(module, part.kernel, symbol, target);
  KernelCode out;
  out.functions.push_back({symbol, part.tiles, {}});
  return out;
}

void emit_table(llvm::Module& module, const std::string& symbol, const std::vector<TableEntry>& entries) {
  llvm::Function* function = make_kernel(module, symbol);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(module.getContext(), "entry", function));
  std::vector<llvm::Constant*> rows;
  auto* row_type = llvm::StructType::get(module.getContext(), {b.getPtrTy(), b.getInt64Ty(), b.getInt64Ty()});
  for (const TableEntry& e : entries) {
    llvm::FunctionCallee part = module.getOrInsertFunction(e.symbol, function->getFunctionType());
    rows.push_back(llvm::ConstantStruct::get(row_type, llvm::cast<llvm::Constant>(part.getCallee()),
                                             b.getInt64(static_cast<uint64_t>(e.tiles)), b.getInt64(e.arguments)));
  }
  auto* type = llvm::ArrayType::get(row_type, rows.size());
  auto* table = new llvm::GlobalVariable(module, type, true, llvm::GlobalValue::PrivateLinkage,
                                         llvm::ConstantArray::get(type, rows), "table");
  b.CreateCall(table_walker(module), {function->getArg(0), function->getArg(1), function->getArg(2),
                                      function->getArg(3), function->getArg(4), table});
  b.CreateRetVoid();
}

}  // namespace gmc::codegen
