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

bool is_product(const kernel::Phase& phase) { return phase.regions.size() == 1 && phase.regions[0].product; }

KernelCode emit_product(llvm::Module& module, const kernel::Kernel& kernel, const kernel::Region& region,
                        const std::string& symbol, const Target& target) {
  const GemmShape shape = shape_of(region, target);
  const GemmTiling tiling = choose_gemm_tiling(shape, target);
  const GemmOperands operands{region.product->a, region.product->b, region.product->packed};
  KernelCode out;
  out.scratch_bytes = tiling.scratch_bytes;
  if (tiling.pack_tiles > 0) {
    out.functions.push_back({symbol + "_pack", tiling.pack_tiles});
    emit_gemm_pack(module, out.functions.back().symbol, shape, tiling, target, operands);
  }
  out.functions.push_back({symbol, tiling.compute_tiles});
  emit_gemm_compute(module, symbol, shape, tiling, target, operands, [&](const GemmEpilogueArgs& args) {
    // Addresses of buffers are loaded in the entry block, once for all outputs.
    Evaluator at_output(args.builder, args.entry, target, kernel, region, args.buffers, args.run);
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

// The function of a phase without product: hands each tile to its region.
KernelCode emit_regions(llvm::Module& module, const kernel::Kernel& kernel, const kernel::Phase& phase,
                        const std::string& symbol, const Target& target, RegionFunctions& shared) {
  KernelCode out;
  llvm::IRBuilder<> b(module.getContext());
  llvm::Type *pointer = b.getPtrTy(), *i64 = b.getInt64Ty();
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {pointer, i64, i64, pointer, pointer}, false);
  auto* function = llvm::Function::Create(type, llvm::Function::ExternalLinkage, symbol, module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  auto block = [&](const char* name) { return llvm::BasicBlock::Create(module.getContext(), name, function); };
  llvm::BasicBlock *entry = block("entry"), *head = block("loop"), *next = block("next"), *done = block("done");
  b.SetInsertPoint(entry);
  b.CreateBr(head);
  b.SetInsertPoint(head);
  llvm::PHINode* tile = b.CreatePHI(i64, 2);
  tile->addIncoming(function->getArg(1), entry);
  llvm::BasicBlock* inside = block("tile");
  b.CreateCondBr(b.CreateICmpULT(tile, function->getArg(2)), inside, done);
  b.SetInsertPoint(inside);
  int64_t tiles = 0;
  for (const kernel::Region& r : phase.regions) {
    const std::string name = name_of(identity_of(kernel, r), "region");
    auto [known, is_new] = shared.try_emplace(name);
    if (is_new) known->second = emit_region(module, kernel, r, name, target);
    const RegionFunction& region = known->second;
    out.scratch_bytes = std::max(out.scratch_bytes, region.scratch_bytes);
    llvm::BasicBlock *here = block("region"), *other = block("other");
    const int64_t first = tiles;
    tiles += kernel::tiles_of(r);
    b.CreateCondBr(b.CreateICmpULT(tile, b.getInt64(static_cast<uint64_t>(tiles))), here, other);
    b.SetInsertPoint(here);
    b.CreateCall(region.function, {function->getArg(0), b.CreateSub(tile, b.getInt64(static_cast<uint64_t>(first))),
                                   function->getArg(3), function->getArg(4)});
    b.CreateBr(next);
    b.SetInsertPoint(other);
  }
  b.CreateBr(next);
  b.SetInsertPoint(next);
  tile->addIncoming(b.CreateAdd(tile, b.getInt64(1)), next);
  b.CreateBr(head);
  b.SetInsertPoint(done);
  b.CreateRetVoid();
  out.functions.push_back({symbol, tiles});
  return out;
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

std::string identity_of(const kernel::Kernel& kernel, const kernel::Region& region) {
  std::string text = kernel::print(region);
  for (const kernel::Instruction& in : region.body)
    if (in.parameter >= 0 && kernel.parameters[static_cast<size_t>(in.parameter)].elements == 0)
      text += fmt::format("empty {}\n", in.parameter);
  return text;
}

std::string identity_of(const kernel::Kernel& kernel, const kernel::Phase& phase) {
  std::string text;
  for (const kernel::Region& region : phase.regions) text += identity_of(kernel, region);
  return text;
}

std::string name_of(const std::string& identity, std::string_view prefix) {
  // Names are part of artifacts, which are the same whatever standard library gmc was built with.
  return fmt::format("{}_{:016x}{:08x}", prefix, execute::stream_of(identity.c_str()),
                     execute::stream_of(("again " + identity).c_str()) & 0xffffffffu);
}

std::string kind_of(const kernel::Phase& phase, const Target& target) {
  if (!is_product(phase)) return phase.regions.empty() ? "" : kernel::print(phase.regions[0]);
  const GemmShape shape = shape_of(phase.regions[0], target);
  const GemmTiling t = choose_gemm_tiling(shape, target);
  const GemmStrides rows = row_strides(shape, t), columns = column_strides(shape, t);
  return fmt::format("product {} {} {} {} {} {} {} {}", t.row_block, t.panel_vectors, rows.outer, rows.k, columns.outer,
                     columns.k, shape.k, t.columns);
}

KernelCode emit_phase(llvm::Module& module, const kernel::Kernel& kernel, const kernel::Phase& phase,
                      const std::string& symbol, const Target& target, RegionFunctions& shared) {
  if (is_product(phase)) return emit_product(module, kernel, phase.regions[0], symbol, target);
  return emit_regions(module, kernel, phase, symbol, target, shared);
}

}  // namespace gmc::codegen
