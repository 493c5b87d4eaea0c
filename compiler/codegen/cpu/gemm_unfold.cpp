#include "compiler/codegen/cpu/gemm_parts.h"

#include <fmt/format.h>

#include <algorithm>

namespace gmc::codegen {
namespace {

std::vector<GemmAxis> without_ones(std::vector<GemmAxis> axes) {
  std::erase_if(axes, [](const GemmAxis& axis) { return axis.extent == 1; });
  if (axes.empty()) axes.push_back({1, 0});
  return axes;
}

std::vector<GemmAxis> without_last(std::vector<GemmAxis> axes) {
  axes.pop_back();
  return axes;
}

// Packs one vector of columns, over runs of k.
class UnfoldedCopy {
public:
  UnfoldedCopy(llvm::IRBuilder<>& b, const UnfoldedColumns& columns, int64_t lanes)
      : b_(b), columns_(columns), lanes_(lanes),
        vector_(llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(lanes))) {}

  // `valid` columns of vector `v`; `step` is a function of the k inside a unit, `runs` are whole units.
  void vector(llvm::Value* source, llvm::Value* to, llvm::Value* v, int64_t valid, llvm::Value* first_run,
              llvm::Value* last_run) {
    const GemmAxis unit = columns_.k.back();
    llvm::Value* first = b_.CreateNSWMul(v, constant(lanes_));
    prepare(source, first, valid);
    emit_loop(b_, first_run, last_run, 1, [&](llvm::Value* run) {
      llvm::Value* at = emit_offset(b_, run, without_last(columns_.k));
      llvm::Value* begin = b_.CreateNSWMul(b_.CreateNSWSub(run, first_run), constant(unit.extent));
      const int64_t together = columns_.how == Unfolding::transposed ? 4 : unit.extent <= 8 ? unit.extent : 4;
      const int64_t whole = unit.extent / together * together;
      const auto steps = [&](llvm::Value* k, int64_t some) {
        llvm::Value* from = b_.CreateNSWAdd(at, b_.CreateNSWMul(k, constant(unit.stride)));
        store(from, float_at(b_, to, b_.CreateNSWMul(b_.CreateNSWAdd(begin, k), constant(lanes_))), some, valid);
      };
      if (whole == together)
        steps(constant(0), together);
      else
        emit_loop(b_, constant(0), constant(whole), together, [&](llvm::Value* k) { steps(k, together); });
      if (whole < unit.extent) steps(constant(whole), unit.extent - whole);
    });
  }

private:
  llvm::Value* constant(int64_t value) { return b_.getInt64(static_cast<uint64_t>(value)); }

  // What does not change with k: where the columns lie.
  void prepare(llvm::Value* source, llvm::Value* first, int64_t valid) {
    if (columns_.how == Unfolding::pieces) {
      source_ = float_at(b_, source, emit_offset(b_, first, columns_.n));
      return;
    }
    if (!places_) {
      llvm::BasicBlock& entry = b_.GetInsertBlock()->getParent()->getEntryBlock();
      places_ = llvm::IRBuilder<>(&entry, entry.begin())
                    .CreateAlloca(llvm::ArrayType::get(b_.getPtrTy(), static_cast<uint64_t>(lanes_)));
    }
    emit_loop(b_, constant(0), constant(lanes_), 1, [&](llvm::Value* lane) {
      llvm::Value* column = b_.CreateNSWAdd(first, lane);
      if (valid < lanes_)
        column = b_.CreateNSWAdd(first, b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, lane, constant(valid - 1)));
      b_.CreateStore(float_at(b_, source, emit_offset(b_, column, columns_.n)),
                     b_.CreateInBoundsGEP(b_.getPtrTy(), places_, lane));
    });
  }
  // The place of a lane's column, `from` floats on.
  llvm::Value* place(int64_t lane, llvm::Value* from) {
    llvm::Value* slot = b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), places_, static_cast<uint64_t>(lane));
    return float_at(b_, b_.CreateLoad(b_.getPtrTy(), slot), from);
  }

  // Steps k to k + `some`, the first of which lies `from` floats behind the columns' places.
  void store(llvm::Value* from, llvm::Value* to, int64_t some, int64_t valid) {
    const int64_t stride = columns_.k.back().stride;
    if (columns_.how == Unfolding::transposed) {
      std::vector<llvm::Value*> rows;
      for (int64_t lane = 0; lane < lanes_; ++lane) rows.push_back(place(lane, from));
      const auto vectors = emit_transpose_quad(b_, rows, some, stride);
      for (int64_t i = 0; i < some; ++i) put(vectors[static_cast<size_t>(i)], to, i);
      return;
    }
    for (int64_t i = 0; i < some; ++i) {
      llvm::Value* step = b_.CreateNSWAdd(from, constant(i * stride));
      put(columns_.how == Unfolding::pieces ? pieces(float_at(b_, source_, step), valid) : gathered(step), to, i);
    }
  }
  void put(llvm::Value* x, llvm::Value* to, int64_t i) {
    b_.CreateAlignedStore(x, float_at(b_, to, i * lanes_), llvm::Align(4));
  }

  llvm::Value* pieces(llvm::Value* at, int64_t valid) {
    const int64_t piece = columns_.piece, number = std::min(lanes_, valid) / piece;
    std::vector<llvm::Value*> parts;
    for (int64_t i = 0; i < lanes_ / piece; ++i) {
      const int64_t next = columns_.n.size() > 1 ? columns_.n.end()[-2].stride : 0;
      parts.push_back(i < number ? load_piece(float_at(b_, at, i * next)) : parts.back());
    }
    for (int64_t width = piece; parts.size() > 1; width *= 2) {
      std::vector<llvm::Value*> halves;
      std::vector<int> both;
      for (int i = 0; i < 2 * static_cast<int>(width); ++i) both.push_back(i);
      for (size_t i = 0; i < parts.size(); i += 2)
        halves.push_back(b_.CreateShuffleVector(parts[i], parts[i + 1], both));
      parts = halves;
    }
    return parts[0];
  }
  llvm::Value* load_piece(llvm::Value* p) {
    const int64_t piece = columns_.piece;
    auto* type = llvm::FixedVectorType::get(b_.getFloatTy(), static_cast<unsigned>(piece));
    llvm::Value* low = b_.CreateAlignedLoad(type, p, llvm::Align(4));
    if (columns_.n.back().stride == 1) return low;
    // Nothing is read behind the last column.
    llvm::Value* high = b_.CreateMaskedLoad(type, float_at(b_, p, piece), llvm::Align(4),
                                            first_lanes(b_, piece, piece - 1), llvm::Constant::getNullValue(type));
    std::vector<int> even;
    for (int i = 0; i < static_cast<int>(piece); ++i) even.push_back(2 * i);
    return b_.CreateShuffleVector(low, high, even);
  }
  llvm::Value* gathered(llvm::Value* from) {
    llvm::Value* x = llvm::PoisonValue::get(vector_);
    for (int64_t lane = 0; lane < lanes_; ++lane)
      x = b_.CreateInsertElement(x, b_.CreateAlignedLoad(b_.getFloatTy(), place(lane, from), llvm::Align(4)),
                                 constant(lane));
    return x;
  }

  llvm::IRBuilder<>& b_;
  const UnfoldedColumns& columns_;
  int64_t lanes_;
  llvm::FixedVectorType* vector_;
  llvm::Value* source_ = nullptr;
  llvm::Value* places_ = nullptr;  // of each lane's column, in memory: there are more than registers
};

}  // namespace

UnfoldedColumns::UnfoldedColumns(const GemmUnfolded& u, int64_t lanes)
    : how(Unfolding::gathered), piece(lanes), k(without_ones(u.k)), n(without_ones(u.n)) {
  // A long axis of k is cut, so that blocks of k can be.
  for (int64_t unit = 64; k.back().extent > 64 && unit >= 8; --unit) {
    if (k.back().extent % unit != 0) continue;
    const GemmAxis last = k.back();
    k.back() = {last.extent / unit, last.stride * unit};
    k.push_back({unit, last.stride});
  }
  const GemmAxis line = n.back(), step = k.back();
  const bool near = line.stride == 1 || line.stride == 2;
  if (near && line.extent % lanes == 0) {
    how = Unfolding::pieces;
    return;
  }
  // Lines shorter than a vector: as many as fill one follow each other at one distance.
  if (near && line.extent >= 4 && lanes % line.extent == 0) {
    const int64_t lines = lanes / line.extent, next = n.size() > 1 ? n.end()[-2].extent : 1;
    if (next % lines == 0 || n.size() <= 2) {
      how = Unfolding::pieces;
      piece = line.extent;
      return;
    }
  }
  if ((step.stride == 1 || step.stride == 2) && step.extent >= 4) how = Unfolding::transposed;
}

namespace {

void emit_unfolded_packer(llvm::Module& module, const std::string& name, const UnfoldedColumns& columns, int64_t tail,
                          int64_t lanes) {
  llvm::IRBuilder<> b(module.getContext());
  llvm::Type *ptr = b.getPtrTy(), *i64 = b.getInt64Ty();
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {ptr, ptr, i64, i64, i64, i64, i64, i64}, false);
  auto* f = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
  f->setDoesNotThrow();
  for (unsigned i : {0u, 1u}) f->addParamAttr(i, llvm::Attribute::NoAlias);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", f));
  llvm::Value *first = f->getArg(2), *last = f->getArg(3), *stride = f->getArg(6), *whole = f->getArg(7);
  llvm::Value* unit = b.getInt64(static_cast<uint64_t>(columns.k.back().extent));
  llvm::Value *first_run = b.CreateUDiv(f->getArg(4), unit), *last_run = b.CreateUDiv(f->getArg(5), unit);
  UnfoldedCopy copy(b, columns, lanes);
  const auto copy_vectors = [&](llvm::Value* begin, llvm::Value* end, int64_t valid) {
    emit_loop(b, begin, end, 1, [&](llvm::Value* v) {
      llvm::Value* to = float_at(b, f->getArg(1), b.CreateNSWMul(b.CreateNSWSub(v, first), stride));
      copy.vector(f->getArg(0), to, v, valid, first_run, last_run);
    });
  };
  copy_vectors(first, b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, last, whole), lanes);
  if (tail) copy_vectors(b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, first, whole), last, tail);
  b.CreateRetVoid();
}

}  // namespace

Leaf unfolded_packer(const GemmShape& shape, const GemmTiling& tiling, const Target& target) {
  const int64_t tail = tiling.columns % target.lanes;
  UnfoldedColumns columns(*shape.unfolded, target.lanes);
  // How far the outermost axes go is the caller's business.
  if (columns.k.size() > 1) columns.k.front().extent = 0;
  columns.n.front().extent = 0;
  std::string name = fmt::format("gmc_unfolded{}_{}_{}", static_cast<int>(columns.how), columns.piece, tail);
  for (const auto* axes : {&columns.k, &columns.n}) {
    name += axes == &columns.k ? "_k" : "_n";
    for (const GemmAxis& axis : *axes) name += fmt::format("_{}_{}", axis.extent, axis.stride);
  }
  std::replace(name.begin(), name.end(), '-', 'm');  // assemblers know no such symbols
  return {name, "unfolded", [=, lanes = int64_t{target.lanes}](llvm::Module& module) {
            emit_unfolded_packer(module, name, columns, tail, lanes);
          }};
}

}  // namespace gmc::codegen
