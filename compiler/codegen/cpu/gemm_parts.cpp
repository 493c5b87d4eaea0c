#include "compiler/codegen/cpu/gemm_parts.h"

#include <algorithm>

namespace gmc::codegen {

GemmStrides row_strides(const GemmShape& s, const GemmChoice& t) {
  if (t.swapped) return s.transpose_b ? GemmStrides{s.ldb, 1} : GemmStrides{1, s.ldb};
  return s.transpose_a ? GemmStrides{1, s.lda} : GemmStrides{s.lda, 1};
}

GemmStrides column_strides(const GemmShape& s, const GemmChoice& t) {
  if (s.unfolded) return {0, 0};  // nobody reads them but the packer
  if (t.swapped) return s.transpose_a ? GemmStrides{1, s.lda} : GemmStrides{s.lda, 1};
  return s.transpose_b ? GemmStrides{s.ldb, 1} : GemmStrides{1, s.ldb};
}

Split pack_split(const GemmShape& s, const GemmTiling& t, const Target& target) {
  const int64_t vectors = (t.columns + target.lanes - 1) / target.lanes;
  // At least 32 KiB a tile: a microsecond, and the core that packed them has them.
  const int64_t total = vectors * t.packings, bytes = total * target.lanes * s.k * 4;
  return {total, std::clamp<int64_t>(bytes >> 15, 1, std::min<int64_t>(total, 64))};
}

GemmLayout::GemmLayout(const GemmShape& s, const GemmTiling& t, const Target& target)
    : lanes(target.lanes), row_split{t.rows, t.row_blocks},
      vector_split{(t.columns + target.lanes - 1) / target.lanes, t.panels}, tile_rows{t.row_blocks, t.grid_rows},
      tile_columns{t.panels, t.grid_columns}, tile_batches{t.batches, t.grid_batches},
      k_unit(s.unfolded ? UnfoldedColumns(*s.unfolded, target.lanes).unit() : 1), k_split{s.k / k_unit, t.k_blocks},
      tail(t.columns % target.lanes), keeps_tile(t.swapped || t.k_blocks > 1), acc_stride(0), copied_stride(0),
      copied_offset(0), packed_offset(0), packed_k(s.k), tile_height(0), tile_width(0) {
  for (int64_t i = 0; i < t.grid_rows; ++i) {
    const int64_t first = tile_rows.start(i), last = first + tile_rows.size(i);
    tile_height = std::max(tile_height, row_split.start(last) - row_split.start(first));
  }
  const int64_t height = (tile_height + lanes - 1) / lanes * lanes;
  if (t.copied_rows) copied_stride = height % 64 ? height : height + lanes;
  if (t.swapped) tile_height = (tile_height + lanes - 1) / lanes * lanes;
  for (int64_t i = 0; i < t.grid_columns; ++i) {
    const int64_t first = tile_columns.start(i), last = first + tile_columns.size(i);
    tile_width = std::max(tile_width, vector_split.start(last) - vector_split.start(first));
  }
  acc_stride = tile_width * lanes;
  // One more vector than a power of two keeps the rows of a tile out of each other's cache sets.
  if (keeps_tile && acc_stride % 64 == 0) acc_stride += lanes;
  copied_offset = keeps_tile ? tile_height * acc_stride : row_split.largest() * vector_split.largest() * lanes;
  copied_offset = (copied_offset + 15) / 16 * 16;
  packed_offset = (copied_offset + k_split.largest() * copied_stride + 15) / 16 * 16;
  if (s.unfolded) packed_k = k_split.largest() * k_unit;
}

llvm::Function* make_kernel(llvm::Module& module, const std::string& symbol) {
  llvm::LLVMContext& c = module.getContext();
  auto* ptr = llvm::PointerType::get(c, 0);
  auto* i64 = llvm::Type::getInt64Ty(c);
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(c), {ptr, i64, i64, ptr, ptr}, false);
  auto* f = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, symbol, module);
  f->setDoesNotThrow();
  for (unsigned i : {0u, 3u, 4u}) f->addParamAttr(i, llvm::Attribute::NoAlias);
  return f;
}

llvm::Value* emit_buffer(llvm::IRBuilder<>& b, llvm::Value* buffers, int index) {
  return b.CreateLoad(b.getPtrTy(), b.CreateConstInBoundsGEP1_64(b.getPtrTy(), buffers, static_cast<uint64_t>(index)));
}

llvm::Value* float_at(llvm::IRBuilder<>& b, llvm::Value* p, llvm::Value* offset) {
  return b.CreateInBoundsGEP(b.getFloatTy(), p, offset);
}

llvm::Value* float_at(llvm::IRBuilder<>& b, llvm::Value* p, int64_t offset) {
  return float_at(b, p, b.getInt64(static_cast<uint64_t>(offset)));
}

llvm::Value* first_lanes(llvm::IRBuilder<>& b, int64_t lanes, int64_t count) {
  std::vector<llvm::Constant*> bits;
  for (int64_t i = 0; i < lanes; ++i) bits.push_back(b.getInt1(i < count));
  return llvm::ConstantVector::get(bits);
}

void emit_loop(llvm::IRBuilder<>& b, llvm::Value* begin, llvm::Value* end, int64_t step, const EmitBody& body) {
  llvm::Function* f = b.GetInsertBlock()->getParent();
  auto* head = llvm::BasicBlock::Create(b.getContext(), "head", f);
  auto* inside = llvm::BasicBlock::Create(b.getContext(), "body", f);
  auto* after = llvm::BasicBlock::Create(b.getContext(), "after", f);
  llvm::BasicBlock* before = b.GetInsertBlock();
  b.CreateBr(head);
  b.SetInsertPoint(head);
  llvm::PHINode* i = b.CreatePHI(b.getInt64Ty(), 2);
  i->addIncoming(begin, before);
  b.CreateCondBr(b.CreateICmpSLT(i, end), inside, after);
  b.SetInsertPoint(inside);
  body(i);
  i->addIncoming(b.CreateNSWAdd(i, b.getInt64(static_cast<uint64_t>(step))), b.GetInsertBlock());
  b.CreateBr(head);
  b.SetInsertPoint(after);
}

std::vector<llvm::Value*> emit_transpose_quad(llvm::IRBuilder<>& b, const std::vector<llvm::Value*>& rows,
                                              int64_t count, int64_t stride) {
  const size_t lanes = rows.size();
  auto* quad = llvm::FixedVectorType::get(b.getFloatTy(), 4);
  const auto load = [&](llvm::Value* p) -> llvm::Value* {
    if (stride == 2) {
      auto* wide = llvm::FixedVectorType::get(b.getFloatTy(), 8);
      llvm::Value* x = b.CreateMaskedLoad(wide, p, llvm::Align(4), first_lanes(b, 8, 2 * count - 1),
                                          llvm::Constant::getNullValue(wide));
      return b.CreateShuffleVector(x, std::vector<int>{0, 2, 4, 6});
    }
    if (count == 4) return b.CreateAlignedLoad(quad, p, llvm::Align(4));
    return b.CreateMaskedLoad(quad, p, llvm::Align(4), first_lanes(b, 4, count), llvm::Constant::getNullValue(quad));
  };
  // Vector j holds rows j, 4 + j, 8 + j, ... in its blocks of 4 lanes; what remains is a 4 x 4 transposition per block.
  std::vector<llvm::Value*> v;
  for (size_t j = 0; j < 4; ++j) {
    std::vector<llvm::Value*> parts;
    for (size_t block = 0; block < lanes / 4; ++block) parts.push_back(load(rows[4 * block + j]));
    while (parts.size() > 1) {
      std::vector<llvm::Value*> halves;
      const int width = static_cast<int>(4 * (lanes / 4) / parts.size());
      std::vector<int> both;
      for (int i = 0; i < 2 * width; ++i) both.push_back(i);
      for (size_t i = 0; i < parts.size(); i += 2)
        halves.push_back(b.CreateShuffleVector(parts[i], parts[i + 1], both));
      parts = halves;
    }
    v.push_back(parts[0]);
  }
  const auto pick = [&](llvm::Value* x, llvm::Value* y, std::array<int, 4> from) {  // 0..3: of x, 4..7: of y
    std::vector<int> mask;
    for (size_t block = 0; block < lanes / 4; ++block)
      for (int i : from) mask.push_back(static_cast<int>(4 * block) + (i < 4 ? i : i - 4 + static_cast<int>(lanes)));
    return b.CreateShuffleVector(x, y, mask);
  };
  llvm::Value* low01 = pick(v[0], v[1], {0, 4, 1, 5});
  llvm::Value* high01 = pick(v[0], v[1], {2, 6, 3, 7});
  llvm::Value* low23 = pick(v[2], v[3], {0, 4, 1, 5});
  llvm::Value* high23 = pick(v[2], v[3], {2, 6, 3, 7});
  return {pick(low01, low23, {0, 1, 4, 5}), pick(low01, low23, {2, 3, 6, 7}), pick(high01, high23, {0, 1, 4, 5}),
          pick(high01, high23, {2, 3, 6, 7})};
}

}  // namespace gmc::codegen
