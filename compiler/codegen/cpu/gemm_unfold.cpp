#include "compiler/codegen/cpu/axis_walk.h"
#include "compiler/codegen/cpu/gemm_parts.h"
#include "compiler/codegen/cpu/number_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace gmc::codegen {
namespace {

std::vector<GemmAxis> without_ones(std::vector<GemmAxis> axes) {
  std::erase_if(axes, [](const GemmAxis& axis) { return axis.extent == 1; });
  if (axes.empty()) axes.push_back({1, 0});
  return axes;
}

// What a packer walks through: runs of k, which are whole units, and vectors of columns where they are pieces, columns
// otherwise.
struct PackerAxes {
  std::vector<GemmAxis> runs, columns;
  int64_t line;  // from line to line of a unit
  int64_t step;  // from step to step of k in a line
  int64_t next;  // from piece to piece of a vector
};

PackerAxes axes_of(const UnfoldedColumns& from, int64_t lanes) {
  PackerAxes out{from.k, from.n, 0, from.k.back().stride, from.n.size() > 1 ? from.n.end()[-2].stride : 0};
  out.runs.pop_back();
  if (from.lines > 1) {
    out.line = out.runs.back().stride;
    out.runs.pop_back();
  }
  if (from.how != Unfolding::pieces) return out;
  if (from.piece < lanes) out.columns.pop_back();
  if (out.columns.empty()) return out;
  const int64_t some = from.piece < lanes ? lanes / from.piece : lanes;
  GemmAxis& last = out.columns.back();
  last = {last.extent / some, last.stride * some};
  return out;
}

// What a packer is made for. All else is data: panel_axes().
struct PackerForm {
  Unfolding how;
  int64_t piece, lanes;
  int64_t tail;          // valid columns of the last vector, 0: all
  int64_t lines, line;   // of a unit, and steps in each
  int64_t step, column;  // strides of the last axes of k and n where vectors are read along them, otherwise 0
  size_t runs, columns;  // how many axes there are
};

PackerForm form_of(const UnfoldedColumns& columns, int64_t tail, int64_t lanes) {
  const PackerAxes axes = axes_of(columns, lanes);
  const int64_t step = columns.how == Unfolding::transposed ? axes.step : 0,
                column = columns.how == Unfolding::pieces ? columns.n.back().stride : 0;
  return {columns.how,      columns.piece,      lanes, tail, columns.lines, columns.k.back().extent, step, column,
          axes.runs.size(), axes.columns.size()};
}

// Packs vectors of columns, over runs of k.
class UnfoldedCopy {
public:
  // `entry` stands where it dominates `b`.
  UnfoldedCopy(llvm::IRBuilder<>& b, llvm::IRBuilder<>& entry, const PackerForm& form, llvm::Value* axes)
      : b_(b), entry_(entry), form_(form), lanes_(form.lanes), axes_(entry, axes),
        vector_(llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(lanes_))), line_(number()),
        step_(number()), next_(number()), runs_(walk(form.runs)), columns_(walk(form.columns)) {
    if (form_.step) step_ = constant(form_.step);
    if (form_.how != Unfolding::pieces)
      places_ = entry.CreateAlloca(llvm::ArrayType::get(b_.getPtrTy(), static_cast<uint64_t>(lanes_)));
  }

  // Runs [first, last) of the vectors from `v` on.
  void begin(llvm::Value* v, llvm::Value* first, llvm::Value* last) {
    first_run_ = first, last_run_ = last;
    runs_.start(first);
    first_state_ = runs_.state();
    columns_.start(form_.how == Unfolding::pieces ? v : b_.CreateNSWMul(v, constant(lanes_)));
  }

  // `valid` columns of the vector that follows.
  void vector(llvm::Value* source, llvm::Value* to, int64_t valid) {
    find_columns(source, valid);
    runs_.go_to(first_state_);
    emit_loop(b_, first_run_, last_run_, 1, [&](llvm::Value* run) {
      llvm::Value* at = runs_.offset();
      const int64_t unit = form_.lines * form_.line;
      to_ = float_at(b_, to, b_.CreateNSWMul(b_.CreateNSWSub(run, first_run_), constant(unit * lanes_)));
      for (int64_t line = 0; line < form_.lines; ++line) {
        if (line > 0) at = b_.CreateNSWAdd(at, line_);
        copy_line(at, valid);
        to_ = float_at(b_, to_, form_.line * lanes_);
      }
      runs_.next();
    });
  }

private:
  llvm::Value* constant(int64_t value) { return b_.getInt64(static_cast<uint64_t>(value)); }
  llvm::Value* number() { return axes_.entry(numbers_read_++, entry_.getInt64Ty()); }
  OffsetWalk walk(size_t axes) {
    std::vector<llvm::Value*> extents, strides;
    for (size_t axis = 0; axis < axes; ++axis) {
      extents.push_back(number());
      strides.push_back(number());
    }
    return {b_, entry_, extents, strides};
  }

  // The steps of a line, the first of which lies `at` floats behind the columns' places.
  void copy_line(llvm::Value* at, int64_t valid) {
    const int64_t together = form_.how == Unfolding::transposed ? 4 : form_.line <= 8 ? form_.line : 4;
    const int64_t whole = form_.line / together * together;
    const auto steps = [&](llvm::Value* k, int64_t some) {
      llvm::Value* from = b_.CreateNSWAdd(at, b_.CreateNSWMul(k, step_));
      store(from, float_at(b_, to_, b_.CreateNSWMul(k, constant(lanes_))), some, valid);
    };
    if (whole == together)
      steps(constant(0), together);
    else
      emit_loop(b_, constant(0), constant(whole), together, [&](llvm::Value* k) { steps(k, together); });
    if (whole < form_.line) steps(constant(whole), form_.line - whole);
  }

  // What does not change with k: where the columns lie.
  void find_columns(llvm::Value* source, int64_t valid) {
    if (form_.how == Unfolding::pieces) {
      source_ = float_at(b_, source, columns_.offset());
      return columns_.next();
    }
    emit_loop(b_, constant(0), constant(valid), 1, [&](llvm::Value* lane) {
      b_.CreateStore(float_at(b_, source, columns_.offset()), b_.CreateInBoundsGEP(b_.getPtrTy(), places_, lane));
      columns_.next();
    });
    // Lanes past the last column repeat it.
    for (int64_t lane = valid; lane < lanes_; ++lane)
      b_.CreateStore(b_.CreateLoad(b_.getPtrTy(), lane_slot(valid - 1)), lane_slot(lane));
  }
  llvm::Value* lane_slot(int64_t lane) {
    return b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), places_, static_cast<uint64_t>(lane));
  }
  // The place of a lane's column, `from` floats on.
  llvm::Value* place(int64_t lane, llvm::Value* from) {
    return float_at(b_, b_.CreateLoad(b_.getPtrTy(), lane_slot(lane)), from);
  }

  // Steps k to k + `some`, the first of which lies `from` floats behind the columns' places.
  void store(llvm::Value* from, llvm::Value* to, int64_t some, int64_t valid) {
    if (form_.how == Unfolding::transposed) {
      std::vector<llvm::Value*> rows;
      for (int64_t lane = 0; lane < lanes_; ++lane) rows.push_back(place(lane, from));
      const auto vectors = emit_transpose_quad(b_, rows, some, form_.step);
      for (int64_t i = 0; i < some; ++i) put(vectors[static_cast<size_t>(i)], to, i);
      return;
    }
    for (int64_t i = 0; i < some; ++i) {
      put(form_.how == Unfolding::pieces ? pieces(float_at(b_, source_, from), valid) : gathered(from), to, i);
      if (i + 1 < some) from = b_.CreateNSWAdd(from, step_);
    }
  }
  void put(llvm::Value* x, llvm::Value* to, int64_t i) {
    b_.CreateAlignedStore(x, float_at(b_, to, i * lanes_), llvm::Align(4));
  }

  llvm::Value* pieces(llvm::Value* at, int64_t valid) {
    const int64_t piece = form_.piece, number = std::min(lanes_, valid) / piece;
    std::vector<llvm::Value*> parts;
    for (int64_t i = 0; i < lanes_ / piece; ++i) {
      if (i > 0 && i < number) at = float_at(b_, at, next_);
      parts.push_back(i < number ? load_piece(at) : parts.back());
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
    const int64_t piece = form_.piece;
    auto* type = llvm::FixedVectorType::get(b_.getFloatTy(), static_cast<unsigned>(piece));
    llvm::Value* low = b_.CreateAlignedLoad(type, p, llvm::Align(4));
    if (form_.column == 1) return low;
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

  llvm::IRBuilder<>&b_, &entry_;
  const PackerForm& form_;
  int64_t lanes_;
  NumberTable axes_;
  int64_t numbers_read_ = 0;
  llvm::FixedVectorType* vector_;
  llvm::Value *line_, *step_, *next_;
  OffsetWalk runs_, columns_;
  llvm::Value *first_run_ = nullptr, *last_run_ = nullptr, *to_ = nullptr;
  std::vector<llvm::Value*> first_state_;  // of the walk, at the first run
  llvm::Value* source_ = nullptr;
  llvm::Value* places_ = nullptr;  // of each lane's column, in memory: there are more than registers
};

}  // namespace

UnfoldedColumns::UnfoldedColumns(const GemmUnfolded& u, int64_t lanes)
    : how(Unfolding::gathered), piece(lanes), k(without_ones(u.k)), n(without_ones(u.n)) {
  choose_how(lanes);
  // Windows are short: all of one together.
  const bool window = k.size() > 1 && k.back().extent <= 8 && k.end()[-2].extent * k.back().extent <= 16;
  if (window && how != Unfolding::transposed) lines = k.end()[-2].extent;
}

void UnfoldedColumns::choose_how(int64_t lanes) {
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
    const int64_t together = lanes / line.extent, next = n.size() > 1 ? n.end()[-2].extent : 1;
    if (next % together == 0 || n.size() <= 2) {
      how = Unfolding::pieces;
      piece = line.extent;
      return;
    }
  }
  if ((step.stride == 1 || step.stride == 2) && step.extent >= 4) how = Unfolding::transposed;
}

namespace {

void emit_unfolded_packer(llvm::Module& module, const std::string& name, const PackerForm& form) {
  llvm::LLVMContext& context = module.getContext();
  llvm::IRBuilder<> b(context);
  llvm::Type *ptr = b.getPtrTy(), *i64 = b.getInt64Ty();
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {ptr, ptr, i64, i64, i64, i64, i64, i64, ptr}, false);
  auto* f = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
  f->setDoesNotThrow();
  for (unsigned i : {0u, 1u, 8u}) f->addParamAttr(i, llvm::Attribute::NoAlias);
  llvm::IRBuilder<> entry(llvm::BasicBlock::Create(context, "entry", f));
  auto* start = llvm::BasicBlock::Create(context, "start", f);
  b.SetInsertPoint(start);
  llvm::Value *first = f->getArg(2), *last = f->getArg(3), *stride = f->getArg(6), *whole = f->getArg(7);
  llvm::Value* unit = b.getInt64(static_cast<uint64_t>(form.lines * form.line));
  UnfoldedCopy copy(b, entry, form, f->getArg(8));
  copy.begin(first, b.CreateUDiv(f->getArg(4), unit), b.CreateUDiv(f->getArg(5), unit));
  const auto copy_vectors = [&](llvm::Value* begin, llvm::Value* end, int64_t valid) {
    emit_loop(b, begin, end, 1, [&](llvm::Value* v) {
      llvm::Value* to = float_at(b, f->getArg(1), b.CreateNSWMul(b.CreateNSWSub(v, first), stride));
      copy.vector(f->getArg(0), to, valid);
    });
  };
  copy_vectors(first, b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, last, whole), form.lanes);
  if (form.tail) copy_vectors(b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, first, whole), last, form.tail);
  b.CreateRetVoid();
  entry.CreateBr(start);
}

}  // namespace

Leaf unfolded_packer(const GemmShape& shape, const GemmTiling& tiling, const Target& target) {
  const PackerForm form =
      form_of(UnfoldedColumns(*shape.unfolded, target.lanes), tiling.columns % target.lanes, target.lanes);
  const std::string name =
      fmt::format("gmc_unfolded{}_{}_tail{}_k{}_{}x{}_{}_n{}_{}", static_cast<int>(form.how), form.piece, form.tail,
                  form.runs, form.lines, form.line, form.step, form.columns, form.column);
  return {name, "unfolded", [=](llvm::Module& module) { emit_unfolded_packer(module, name, form); }};
}

std::vector<int64_t> panel_axes(const GemmShape& shape, const Target& target) {
  const PackerAxes axes = axes_of(UnfoldedColumns(*shape.unfolded, target.lanes), target.lanes);
  std::vector<int64_t> out{axes.line, axes.step, axes.next};
  for (const auto* some : {&axes.runs, &axes.columns})
    for (const GemmAxis& axis : *some) out.insert(out.end(), {axis.extent, axis.stride});
  return out;
}

}  // namespace gmc::codegen
