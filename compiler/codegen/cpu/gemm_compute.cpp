#include "compiler/codegen/cpu/gemm_parts.h"
#include "runtime/base/error.h"

#include <array>

namespace gmc::codegen {
namespace {

llvm::Value* int64_of(llvm::IRBuilder<>& b, int64_t value) { return b.getInt64(static_cast<uint64_t>(value)); }

// <lanes x i1>, the first `count` lanes set (all if there are fewer lanes).
llvm::Value* lanes_below(llvm::IRBuilder<>& b, int64_t lanes, llvm::Value* count) {
  std::vector<llvm::Constant*> iota;
  for (int64_t lane = 0; lane < lanes; ++lane) iota.push_back(b.getInt32(static_cast<uint32_t>(lane)));
  llvm::Value* left = b.CreateTrunc(count, b.getInt32Ty());
  return b.CreateICmpULT(llvm::ConstantVector::get(iota), b.CreateVectorSplat(static_cast<unsigned>(lanes), left));
}

// Rows [0, height) of `steps` steps of k, next to each other in memory, to the stride of copied rows.
void copy_rows(llvm::IRBuilder<>& b, const GemmLayout& layout, llvm::Value* from, int64_t from_step, llvm::Value* to,
               llvm::Value* height, llvm::Value* steps) {
  auto* vector = llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(layout.lanes));
  emit_loop(b, int64_of(b, 0), steps, 1, [&](llvm::Value* k) {
    llvm::Value* source = float_at(b, from, b.CreateNSWMul(k, int64_of(b, from_step)));
    llvm::Value* target = float_at(b, to, b.CreateNSWMul(k, int64_of(b, layout.copied_stride)));
    emit_loop(b, int64_of(b, 0), height, layout.lanes, [&](llvm::Value* r) {
      llvm::Value* mask = lanes_below(b, layout.lanes, b.CreateNSWSub(height, r));
      llvm::Value* x = b.CreateMaskedLoad(vector, float_at(b, source, r), llvm::Align(4), mask,
                                          llvm::Constant::getNullValue(vector));
      b.CreateAlignedStore(x, float_at(b, target, r), llvm::Align(4));
    });
  });
}

// A function of its own, so that the caller's epilogue is emitted twice (whole and masked vectors) and not once for
// each vector of each micro-kernel: void(ptr acc, i64 stride, i64 row, i64 rows, i64 column, i64 columns, ptr buffers,
// ptr run).
class EpilogueFunction {
public:
  EpilogueFunction(llvm::Module& module, const std::string& name, const GemmShape& shape, const GemmLayout& layout,
                   const GemmEpilogue& epilogue)
      : shape_(shape), layout_(layout), epilogue_(epilogue), b_(module.getContext()), entry_(module.getContext()),
        vector_(llvm::FixedVectorType::get(b_.getFloatTy(), static_cast<unsigned>(layout.lanes))) {
    llvm::Type *ptr = b_.getPtrTy(), *i64 = b_.getInt64Ty();
    auto* type = llvm::FunctionType::get(b_.getVoidTy(), {ptr, i64, i64, i64, i64, i64, ptr, ptr}, false);
    f_ = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, name, module);
    f_->setDoesNotThrow();
    f_->addFnAttr(llvm::Attribute::NoInline);
    for (unsigned i : {0u, 6u, 7u}) f_->addParamAttr(i, llvm::Attribute::NoAlias);
    entry_.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", f_));
    start_ = llvm::BasicBlock::Create(module.getContext(), "start", f_);
    b_.SetInsertPoint(start_);
  }

  // Vectors of accumulators run along the columns.
  llvm::Function* straight() {
    ahead_ = layout_.row_split.largest();
    llvm::Value* whole = b_.CreateAnd(columns(), constant(-layout_.lanes));
    emit_loop(b_, constant(0), rows(), 1, [&](llvm::Value* i) {
      llvm::Value* memory = float_at(b_, f_->getArg(0), b_.CreateNSWMul(i, f_->getArg(1)));
      llvm::Value* row_i = b_.CreateNSWAdd(row(), i);
      const auto visit = [&](llvm::Value* j, llvm::Value* mask) {
        llvm::Value* acc = b_.CreateAlignedLoad(vector_, float_at(b_, memory, j), align());
        call(acc, row_i, b_.CreateNSWAdd(column(), j), mask);
      };
      emit_loop(b_, constant(0), whole, layout_.lanes, [&](llvm::Value* j) { visit(j, nullptr); });
      if (layout_.tail)
        emit_loop(b_, whole, columns(), layout_.lanes,
                  [&](llvm::Value* j) { visit(j, first_lanes(b_, layout_.lanes, layout_.tail)); });
    });
    return finish();
  }

  // Row i of the accumulators is column i of the output; four output rows at a time.
  llvm::Function* transposed() {
    llvm::Value* four = entry_.CreateAlloca(llvm::ArrayType::get(vector_, 4));
    llvm::Value* whole = b_.CreateAnd(columns(), constant(-layout_.lanes));
    const auto group = [&](llvm::Value* j, llvm::Value* mask) {
      emit_loop(b_, constant(0), rows(), 4, [&](llvm::Value* i) {
        llvm::Value* corner = b_.CreateNSWAdd(b_.CreateNSWMul(j, constant(layout_.acc_stride)), i);
        llvm::Value* source = float_at(b_, f_->getArg(0), corner);
        std::vector<llvm::Value*> sources;
        for (int64_t lane = 0; lane < layout_.lanes; ++lane)
          sources.push_back(float_at(b_, source, lane * layout_.acc_stride));
        const auto vectors = emit_transpose_quad(b_, sources, 4);
        for (int64_t q = 0; q < 4; ++q)
          b_.CreateAlignedStore(vectors[static_cast<size_t>(q)], float_at(b_, four, q * layout_.lanes), align());
        llvm::Value* count = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateNSWSub(rows(), i), constant(4));
        emit_loop(b_, constant(0), count, 1, [&](llvm::Value* q) {
          llvm::Value* at = float_at(b_, four, b_.CreateNSWMul(q, constant(layout_.lanes)));
          llvm::Value* acc = b_.CreateAlignedLoad(vector_, at, align());
          call(acc, b_.CreateNSWAdd(b_.CreateNSWAdd(row(), i), q), b_.CreateNSWAdd(column(), j), mask);
        });
      });
    };
    emit_loop(b_, constant(0), whole, layout_.lanes, [&](llvm::Value* j) { group(j, nullptr); });
    emit_loop(b_, whole, columns(), layout_.lanes,
              [&](llvm::Value* j) { group(j, lanes_below(b_, layout_.lanes, b_.CreateNSWSub(columns(), j))); });
    return finish();
  }

private:
  llvm::Value* constant(int64_t value) { return int64_of(b_, value); }
  llvm::Value* row() const { return f_->getArg(2); }
  llvm::Value* rows() const { return f_->getArg(3); }
  llvm::Value* column() const { return f_->getArg(4); }
  llvm::Value* columns() const { return f_->getArg(5); }
  llvm::Align align() const { return llvm::Align(static_cast<uint64_t>(4 * layout_.lanes)); }
  void call(llvm::Value* acc, llvm::Value* row_i, llvm::Value* column_j, llvm::Value* mask) {
    if (shape_.image) {
      llvm::Value* image = b_.CreateUDiv(column_j, constant(shape_.image));
      column_j = b_.CreateNSWSub(column_j, b_.CreateNSWMul(image, constant(shape_.image)));
      row_i = b_.CreateNSWAdd(row_i, b_.CreateNSWMul(image, constant(batches_of(shape_) * shape_.m)));
    }
    epilogue_({b_, entry_, acc, row_i, column_j, mask, f_->getArg(6), f_->getArg(7), ahead_});
  }
  llvm::Function* finish() {
    b_.CreateRetVoid();
    entry_.CreateBr(start_);
    return f_;
  }

  const GemmShape& shape_;
  const GemmLayout& layout_;
  const GemmEpilogue& epilogue_;
  llvm::IRBuilder<> b_, entry_;
  llvm::FixedVectorType* vector_;
  llvm::Function* f_;
  llvm::BasicBlock* start_;
  int64_t ahead_ = 0;
};

// The micro-kernels of one product: base and base + 1 rows, times base, base + 1 and masked vectors.
struct MicroKernels {
  std::array<std::array<llvm::Function*, 2>, 3> functions{};
  int64_t row_stride = 0, column_stride = 0;

  MicroKernels(llvm::Module& module, const GemmShape& shape, const GemmTiling& tiling, const GemmLayout& layout,
               const Target& target) {
    const Split &rows = layout.row_split, &vectors = layout.vector_split;
    // The last panel has the masked vector; packed panels are padded instead.
    const bool masked = layout.tail && !tiling.packed;
    const GemmStrides row = tiling.copied_rows ? GemmStrides{1, layout.copied_stride} : row_strides(shape, tiling);
    row_stride = row.outer == 1 ? row.k : row.outer;
    column_stride = tiling.packed ? layout.lanes * layout.packed_k : column_strides(shape, tiling).k;
    for (size_t v = 0; v < 3; ++v) {
      if (v == 0 && vectors.extra() + (masked ? 1 : 0) == vectors.parts) continue;
      if (v == 1 && !vectors.extra()) continue;
      if (v == 2 && !masked) continue;
      for (size_t r = 0; r < 2; ++r) {
        if (r == 1 && !rows.extra()) continue;
        MicroKernel kernel{};
        kernel.rows = rows.base() + static_cast<int64_t>(r);
        kernel.vectors = vectors.base() + (v == 1 ? 1 : 0);
        kernel.rows_adjoin = row.outer == 1;
        kernel.packed = tiling.packed;
        kernel.tail = v == 2 ? layout.tail : 0;
        functions[v][r] = emit_micro_kernel(module, kernel, target);
      }
    }
  }

  // Calls the one for block `rb` and panel `p`, with all its arguments but the strides of the operands.
  void call(llvm::IRBuilder<>& b, const GemmLayout& layout, llvm::Value* rb, llvm::Value* p,
            std::vector<llvm::Value*> arguments) const {
    for (int64_t stride : {row_stride, column_stride})
      arguments.insert(arguments.end() - 1, b.getInt64(static_cast<uint64_t>(stride)));
    llvm::Function* f = b.GetInsertBlock()->getParent();
    auto* after = llvm::BasicBlock::Create(b.getContext(), "called", f);
    llvm::Value* r = b.CreateZExt(b.CreateICmpSLT(rb, int64_of(b, layout.row_split.extra())), b.getInt32Ty());
    llvm::Value* v = b.CreateZExt(b.CreateICmpSLT(p, int64_of(b, layout.vector_split.extra())), b.getInt32Ty());
    if (functions[2][0]) {
      llvm::Value* last = b.CreateICmpEQ(p, int64_of(b, layout.vector_split.parts - 1));
      v = b.CreateSelect(last, b.getInt32(2), v);
    }
    std::vector<std::pair<uint32_t, llvm::Function*>> cases;
    for (uint32_t i = 0; i < 6; ++i)
      if (functions[i / 2][i % 2]) cases.emplace_back(i, functions[i / 2][i % 2]);
    llvm::Value* index = b.CreateAdd(b.CreateShl(v, 1), r);
    llvm::SwitchInst* chosen = nullptr;
    for (const auto& [i, function] : cases) {
      auto* block = llvm::BasicBlock::Create(b.getContext(), "micro", f);
      if (!chosen)
        chosen = b.CreateSwitch(index, block);
      else
        chosen->addCase(b.getInt32(i), block);
      b.SetInsertPoint(block);
      b.CreateCall(function, arguments);
      b.CreateBr(after);
    }
    b.SetInsertPoint(after);
  }
};

}  // namespace

void emit_gemm_compute(llvm::Module& module, const std::string& symbol, const GemmShape& shape,
                       const GemmTiling& tiling, const Target& target, const GemmOperands& operands,
                       const GemmEpilogue& epilogue) {
  const GemmLayout layout(shape, tiling, target);
  const MicroKernels micro(module, shape, tiling, layout, target);
  EpilogueFunction emitter(module, symbol + ".epilogue", shape, layout, epilogue);
  llvm::Function* finish = tiling.swapped ? emitter.transposed() : emitter.straight();

  llvm::Function* f = make_kernel(module, symbol);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(module.getContext(), "entry", f));
  const auto constant = [&](int64_t value) { return int64_of(b, value); };
  const auto times = [&](llvm::Value* x, int64_t y) { return b.CreateNSWMul(x, int64_of(b, y)); };
  const auto minus = [&](llvm::Value* x, llvm::Value* y) { return b.CreateNSWSub(x, y); };
  const auto next = [&](llvm::Value* x) { return b.CreateNSWAdd(x, int64_of(b, 1)); };
  llvm::Value *buffers = f->getArg(0), *scratch = f->getArg(3), *run = f->getArg(4);
  llvm::Value* first_rows = float_at(b, emit_buffer(b, buffers, tiling.swapped ? operands.b : operands.a),
                                     tiling.swapped ? shape.base_b : shape.base_a);
  llvm::Value* first_columns = tiling.pack_tiles
                                   ? emit_buffer(b, buffers, operands.packed)
                                   : float_at(b, emit_buffer(b, buffers, tiling.swapped ? operands.a : operands.b),
                                              tiling.swapped ? shape.base_a : shape.base_b);
  const GemmStrides row_stride = row_strides(shape, tiling), column_stride = column_strides(shape, tiling);
  const int64_t lanes = layout.lanes;
  const int64_t packing = layout.vector_split.total * lanes * shape.k;  // floats
  llvm::Value* copied = float_at(b, scratch, layout.copied_offset);
  llvm::Value* own_columns = float_at(b, scratch, layout.packed_offset);
  llvm::Function* pack_panel = tiling.packs_panels ? emit_unfolded_packer(module, shape, tiling, target) : nullptr;
  llvm::Function* pack = tiling.packs_in_tile ? emit_column_packer(module, shape, tiling, target) : nullptr;
  llvm::Value* known = tiling.packs_in_tile ? b.CreateAlloca(b.getInt64Ty()) : nullptr;  // the packing in own_columns
  const int64_t grid = tiling.grid_rows * tiling.grid_columns;

  const auto emit_block = [&](llvm::Value* tile, llvm::Value* batch) {
    // Neighbouring tiles share their columns.
    llvm::Value* tile_row = b.CreateSRem(tile, constant(tiling.grid_rows));
    llvm::Value* tile_column = b.CreateSDiv(tile, constant(tiling.grid_rows));
    llvm::Value* row_operand = float_at(b, first_rows, emit_offset(b, batch, row_axes(shape, tiling)));
    llvm::Value* which = emit_offset(b, batch, packing_axes(shape, tiling));
    llvm::Value* column_operand =
        float_at(b, first_columns,
                 tiling.pack_tiles ? times(which, packing) : emit_offset(b, batch, column_axes(shape, tiling)));
    llvm::Value* batch_row = times(batch, shape.m);
    llvm::Value* first_block = layout.tile_rows.start(b, tile_row);
    llvm::Value* last_block = layout.tile_rows.start(b, next(tile_row));
    llvm::Value* first_panel = layout.tile_columns.start(b, tile_column);
    llvm::Value* last_panel = layout.tile_columns.start(b, next(tile_column));
    llvm::Value* tile_r = layout.row_split.start(b, first_block);
    llvm::Value* tile_v = layout.vector_split.start(b, first_panel);
    if (pack) {
      llvm::Value* end_v = layout.vector_split.start(b, last_panel);
      llvm::Value* stale = b.CreateICmpNE(b.CreateLoad(b.getInt64Ty(), known), which);
      emit_loop(b, constant(0), b.CreateZExt(stale, b.getInt64Ty()), 1, [&](llvm::Value*) {
        b.CreateCall(pack, {column_operand, own_columns, tile_v, end_v});
        b.CreateStore(which, known);
      });
      column_operand = own_columns;
    }

    emit_loop(b, constant(0), constant(tiling.k_blocks), 1, [&](llvm::Value* kb) {
      llvm::Value* k = times(layout.k_split.start(b, kb), layout.k_unit);
      llvm::Value* steps = minus(times(layout.k_split.start(b, next(kb)), layout.k_unit), k);
      llvm::Value* first = b.CreateICmpEQ(kb, constant(0));
      if (tiling.copied_rows) {
        llvm::Value* from = float_at(b, row_operand, b.CreateNSWAdd(tile_r, times(k, row_stride.k)));
        llvm::Value* height = minus(layout.row_split.start(b, last_block), tile_r);
        copy_rows(b, layout, from, row_stride.k, copied, height, steps);
      }
      emit_loop(b, first_panel, last_panel, 1, [&](llvm::Value* p) {
        llvm::Value* v = layout.vector_split.start(b, p);
        llvm::Value* width = minus(layout.vector_split.start(b, next(p)), v);
        llvm::Value* column = times(v, lanes);
        llvm::Value* columns = times(width, lanes);
        llvm::Value* packed_column = pack ? times(minus(v, tile_v), lanes) : column;
        llvm::Value* offset = tiling.packed ? b.CreateNSWAdd(times(packed_column, shape.k), times(k, lanes))
                                            : b.CreateNSWAdd(column, times(k, column_stride.k));
        llvm::Value* column_at = float_at(b, column_operand, offset);
        if (pack_panel) {
          b.CreateCall(pack_panel,
                       {column_operand, own_columns, v, b.CreateNSWAdd(v, width), k, b.CreateNSWAdd(k, steps)});
          column_at = own_columns;
        }
        emit_loop(b, first_block, last_block, 1, [&](llvm::Value* rb) {
          llvm::Value* r = layout.row_split.start(b, rb);
          llvm::Value* row_at =
              tiling.copied_rows
                  ? float_at(b, copied, minus(r, tile_r))
                  : float_at(b, row_operand, b.CreateNSWAdd(times(r, row_stride.outer), times(k, row_stride.k)));
          llvm::Value* acc = scratch;
          llvm::Value* stride = columns;
          if (layout.keeps_tile) {
            stride = constant(layout.acc_stride);
            acc = float_at(b, scratch,
                           b.CreateNSWAdd(times(minus(r, tile_r), layout.acc_stride), times(minus(v, tile_v), lanes)));
          }
          micro.call(b, layout, rb, p, {row_at, column_at, acc, steps, first, stride});
          if (tiling.swapped) return;
          llvm::Value* rows = minus(layout.row_split.start(b, next(rb)), r);
          // Only the last vector can reach past the end.
          llvm::Value* valid =
              b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, columns, minus(constant(tiling.columns), column));
          // Before the last block of k the sums are not complete: no rows to finish.
          if (tiling.k_blocks > 1)
            rows = b.CreateSelect(b.CreateICmpEQ(kb, constant(tiling.k_blocks - 1)), rows, constant(0));
          b.CreateCall(finish, {acc, stride, b.CreateNSWAdd(batch_row, r), rows, column, valid, buffers, run});
        });
      });
    });
    if (!tiling.swapped) return;
    llvm::Value* n = minus(layout.row_split.start(b, last_block), tile_r);
    llvm::Value* column = times(tile_v, lanes);
    llvm::Value* end = b.CreateBinaryIntrinsic(
        llvm::Intrinsic::smin, times(layout.vector_split.start(b, last_panel), lanes), constant(tiling.columns));
    b.CreateCall(finish, {scratch, constant(layout.acc_stride), b.CreateNSWAdd(batch_row, column), minus(end, column),
                          tile_r, n, buffers, run});
  };

  emit_loop(b, f->getArg(1), f->getArg(2), 1, [&](llvm::Value* tile) {
    if (pack) b.CreateStore(constant(-1), known);
    if (tiling.batches == 1) return emit_block(tile, constant(0));
    llvm::Value* run_of_products = b.CreateSDiv(tile, constant(grid));
    emit_loop(b, layout.tile_batches.start(b, run_of_products), layout.tile_batches.start(b, next(run_of_products)), 1,
              [&](llvm::Value* batch) { emit_block(b.CreateSRem(tile, constant(grid)), batch); });
  });
  b.CreateRetVoid();
}

}  // namespace gmc::codegen
