#include "compiler/codegen/cpu/axis_walk.h"
#include "compiler/codegen/cpu/gemm_parts.h"

#include <functional>

namespace gmc::codegen {
namespace {

// <lanes x i1>, the first `count` lanes set (all if there are fewer lanes).
llvm::Value* lanes_below(llvm::IRBuilder<>& b, int64_t lanes, llvm::Value* count) {
  std::vector<llvm::Constant*> iota;
  for (int64_t lane = 0; lane < lanes; ++lane) iota.push_back(b.getInt32(static_cast<uint32_t>(lane)));
  llvm::Value* left = b.CreateTrunc(count, b.getInt32Ty());
  return b.CreateICmpULT(llvm::ConstantVector::get(iota), b.CreateVectorSplat(static_cast<unsigned>(lanes), left));
}

// void(ptr acc, i64 stride, i64 row, i64 rows, i64 column, i64 columns, ptr buffers, ptr run, i64 image, i64
// image_rows, i64 ahead): what gmc_product calls. The caller's epilogue is emitted twice, for whole and for masked
// vectors.
class EpilogueEmitter {
public:
  EpilogueEmitter(llvm::Module& module, const std::string& symbol, const GemmEpilogueForm& form, const Target& target,
                  const GemmRowExtents& row_extents, const GemmEpilogue& epilogue)
      : form_(form), lanes_(target.lanes), epilogue_(epilogue), b_(module.getContext()), entry_(module.getContext()),
        vector_(llvm::FixedVectorType::get(b_.getFloatTy(), static_cast<unsigned>(lanes_))) {
    llvm::Type *ptr = b_.getPtrTy(), *i64 = b_.getInt64Ty();
    auto* type =
        llvm::FunctionType::get(b_.getVoidTy(), {ptr, i64, i64, i64, i64, i64, ptr, ptr, i64, i64, i64}, false);
    f_ = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, symbol, module);
    f_->setDoesNotThrow();
    for (unsigned i : {0u, 6u, 7u}) f_->addParamAttr(i, llvm::Attribute::NoAlias);
    entry_.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", f_));
    start_ = llvm::BasicBlock::Create(module.getContext(), "start", f_);
    b_.SetInsertPoint(start_);
    walk_.emplace(b_, entry_, row_extents(entry_, f_->getArg(6)));
  }

  void emit() {
    if (form_.images) {
      each_image();
    } else if (form_.transposed) {
      transposed(constant(0), columns(), row(), column());
    } else {
      straight(constant(0), columns(), row(), column());
    }
    b_.CreateRetVoid();
    entry_.CreateBr(start_);
  }

private:
  llvm::Value* constant(int64_t value) { return b_.getInt64(static_cast<uint64_t>(value)); }
  llvm::Value* row() const { return f_->getArg(2); }
  llvm::Value* rows() const { return f_->getArg(3); }
  llvm::Value* column() const { return f_->getArg(4); }
  llvm::Value* columns() const { return f_->getArg(5); }
  llvm::Align align() const { return llvm::Align(static_cast<uint64_t>(4 * lanes_)); }
  void call(llvm::Value* acc, llvm::Value* row_i, llvm::Value* column_j, llvm::Value* mask) {
    llvm::Value* ahead = form_.transposed ? nullptr : f_->getArg(10);
    epilogue_({b_, entry_, acc, row_i, walk_->indices(row_i), column_j, mask, f_->getArg(6), f_->getArg(7), ahead});
  }

  // Those columns of the block that are of one image: vectors do not reach over two.
  void each_image() {
    llvm::Value *image = f_->getArg(8), *end = b_.CreateNSWAdd(column(), columns());
    llvm::Value* last = b_.CreateUDiv(b_.CreateNSWSub(end, constant(1)), image);
    emit_loop(b_, b_.CreateUDiv(column(), image), b_.CreateNSWAdd(last, constant(1)), 1, [&](llvm::Value* i) {
      llvm::Value* begin = b_.CreateNSWMul(i, image);
      llvm::Value* from = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, begin, column());
      llvm::Value* to = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateNSWAdd(begin, image), end);
      llvm::Value* first_row = b_.CreateNSWAdd(row(), b_.CreateNSWMul(i, f_->getArg(9)));
      llvm::Value* first_column = b_.CreateNSWSub(column(), begin);
      from = b_.CreateNSWSub(from, column());
      to = b_.CreateNSWSub(to, column());
      if (form_.transposed) return transposed(from, to, first_row, first_column);
      straight(from, to, first_row, first_column);
    });
  }

  // Columns [from, to) of the block, of which `first_row` and `first_column` are the output's. Vectors of accumulators
  // run along the columns.
  void straight(llvm::Value* from, llvm::Value* to, llvm::Value* first_row, llvm::Value* first_column) {
    llvm::Value* whole = b_.CreateNSWAdd(from, b_.CreateAnd(b_.CreateNSWSub(to, from), constant(-lanes_)));
    walk_->start(first_row);
    emit_loop(b_, constant(0), rows(), 1, [&](llvm::Value* i) {
      llvm::Value* memory = float_at(b_, f_->getArg(0), b_.CreateNSWMul(i, f_->getArg(1)));
      llvm::Value* row_i = b_.CreateNSWAdd(first_row, i);
      const auto visit = [&](llvm::Value* j, llvm::Value* mask) {
        llvm::Value* acc = b_.CreateAlignedLoad(vector_, float_at(b_, memory, j), align());
        call(acc, row_i, b_.CreateNSWAdd(first_column, j), mask);
      };
      emit_loop(b_, from, whole, lanes_, [&](llvm::Value* j) { visit(j, nullptr); });
      if (form_.tail)
        emit_loop(b_, whole, to, lanes_,
                  [&](llvm::Value* j) { visit(j, lanes_below(b_, lanes_, b_.CreateNSWSub(to, j))); });
      walk_->next();
    });
  }

  // Row i of the accumulators is column i of the output; four output rows at a time.
  void transposed(llvm::Value* from, llvm::Value* to, llvm::Value* first_row, llvm::Value* first_column) {
    llvm::Value* stride = f_->getArg(1);
    llvm::Value* four = entry_.CreateAlloca(llvm::ArrayType::get(vector_, 4));
    llvm::Value* whole = b_.CreateNSWAdd(from, b_.CreateAnd(b_.CreateNSWSub(to, from), constant(-lanes_)));
    const auto group = [&](llvm::Value* j, llvm::Value* mask) {
      walk_->start(first_row);
      emit_loop(b_, constant(0), rows(), 4, [&](llvm::Value* i) {
        llvm::Value* source = float_at(b_, f_->getArg(0), b_.CreateNSWAdd(b_.CreateNSWMul(j, stride), i));
        std::vector<llvm::Value*> sources;
        for (int64_t lane = 0; lane < lanes_; ++lane)
          sources.push_back(float_at(b_, source, b_.CreateNSWMul(stride, constant(lane))));
        const auto vectors = emit_transpose_quad(b_, sources, 4);
        for (int64_t q = 0; q < 4; ++q)
          b_.CreateAlignedStore(vectors[static_cast<size_t>(q)], float_at(b_, four, q * lanes_), align());
        llvm::Value* count = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateNSWSub(rows(), i), constant(4));
        emit_loop(b_, constant(0), count, 1, [&](llvm::Value* q) {
          llvm::Value* at = float_at(b_, four, b_.CreateNSWMul(q, constant(lanes_)));
          llvm::Value* acc = b_.CreateAlignedLoad(vector_, at, align());
          call(acc, b_.CreateNSWAdd(b_.CreateNSWAdd(first_row, i), q), b_.CreateNSWAdd(first_column, j), mask);
          walk_->next();
        });
      });
    };
    emit_loop(b_, from, whole, lanes_, [&](llvm::Value* j) { group(j, nullptr); });
    emit_loop(b_, whole, to, lanes_,
              [&](llvm::Value* j) { group(j, lanes_below(b_, lanes_, b_.CreateNSWSub(to, j))); });
  }

  const GemmEpilogueForm& form_;
  int64_t lanes_;
  const GemmEpilogue& epilogue_;
  llvm::IRBuilder<> b_, entry_;
  llvm::FixedVectorType* vector_;
  llvm::Function* f_;
  llvm::BasicBlock* start_;
  std::optional<AxisWalk> walk_;
};

}  // namespace

GemmEpilogueForm epilogue_form(const GemmShape& shape, const GemmTiling& tiling, const Target& target) {
  return {tiling.swapped, tiling.swapped || tiling.columns % target.lanes != 0, shape.image != 0};
}

void emit_gemm_epilogue(llvm::Module& module, const std::string& symbol, const GemmEpilogueForm& form,
                        const Target& target, const GemmRowExtents& row_extents, const GemmEpilogue& epilogue) {
  EpilogueEmitter(module, symbol, form, target, row_extents, epilogue).emit();
}

}  // namespace gmc::codegen
