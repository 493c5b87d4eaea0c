#include "compiler/codegen/cpu/gemm_parts.h"
#include "runtime/base/error.h"
#include "runtime/routines/product.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace gmc::codegen {
namespace {

// Copies one vector of columns over all k to k * lanes consecutive floats.
struct VectorCopy {
  llvm::IRBuilder<>& b;
  int64_t lanes;
  llvm::Value *k, *stride;

  llvm::Value* constant(int64_t value) { return b.getInt64(static_cast<uint64_t>(value)); }
  llvm::Value* whole_turns(int64_t turn) { return b.CreateAnd(k, constant(-turn)); }
  llvm::Value* place(llvm::Value* target, llvm::Value* step) {
    return float_at(b, target, b.CreateNSWMul(step, constant(lanes)));
  }
  void store(llvm::Value* x, llvm::Value* to, int64_t i) {
    b.CreateAlignedStore(x, float_at(b, to, i * lanes), llvm::Align(4));
  }

  // The columns lie next to each other: plain loads, masked in the last vector.
  void straight(llvm::Value* source, llvm::Value* target, int64_t valid) {
    auto* vector = llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(lanes));
    const llvm::Align align(4);
    const auto copy = [&](llvm::Value* step, int64_t count) {
      llvm::Value *p = float_at(b, source, b.CreateNSWMul(step, stride)), *to = place(target, step);
      for (int64_t i = 0; i < count; ++i) {
        llvm::Value* x = valid == lanes ? static_cast<llvm::Value*>(b.CreateAlignedLoad(vector, p, align))
                                        : b.CreateMaskedLoad(vector, p, align, first_lanes(b, lanes, valid),
                                                             llvm::Constant::getNullValue(vector));
        store(x, to, i);
        p = float_at(b, p, stride);
      }
    };
    llvm::Value* whole = whole_turns(4);
    emit_loop(b, constant(0), whole, 4, [&](llvm::Value* step) { copy(step, 4); });
    emit_loop(b, whole, k, 1, [&](llvm::Value* step) { copy(step, 1); });
  }

  // k runs along memory. Lanes past the last column repeat it; their results are never stored.
  void transposed(llvm::Value* source, llvm::Value* target, int64_t valid) {
    std::vector<llvm::Value*> rows;
    for (int64_t i = 0; i < lanes; ++i)
      rows.push_back(i == 0 ? source : i < valid ? float_at(b, rows.back(), stride) : rows.back());
    const auto quads = [&](llvm::Value* step, int64_t count) {
      llvm::Value* to = place(target, step);
      for (int64_t first = 0; first < count; first += 4) {
        std::vector<llvm::Value*> at;
        for (llvm::Value* row : rows) at.push_back(float_at(b, float_at(b, row, step), first));
        const auto columns = emit_transpose_quad(b, at, 4);
        for (int64_t j = 0; j < 4; ++j) store(columns[static_cast<size_t>(j)], to, first + j);
      }
    };
    // A whole cache line of each row per turn: rows whose distance is a multiple of 4 KiB evict each other.
    const int64_t line = 16;
    llvm::Value *lines = whole_turns(line), *whole = whole_turns(4);
    emit_loop(b, constant(0), lines, line, [&](llvm::Value* step) { quads(step, line); });
    emit_loop(b, lines, whole, 4, [&](llvm::Value* step) { quads(step, 4); });
    emit_loop(b, whole, k, 1, [&](llvm::Value* step) {
      llvm::Value* x = llvm::PoisonValue::get(llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(lanes)));
      for (int64_t i = 0; i < lanes; ++i)
        x = b.CreateInsertElement(
            x, b.CreateAlignedLoad(b.getFloatTy(), float_at(b, rows[static_cast<size_t>(i)], step), llvm::Align(4)),
            constant(i));
      store(x, place(target, step), 0);
    });
  }
};

void emit_column_packer(llvm::Module& module, const std::string& name, bool straight, int64_t tail, int64_t lanes) {
  llvm::IRBuilder<> b(module.getContext());
  llvm::Type *ptr = b.getPtrTy(), *i64 = b.getInt64Ty();
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {ptr, ptr, i64, i64, i64, i64, i64}, false);
  auto* f = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module);
  f->setDoesNotThrow();
  for (unsigned i : {0u, 1u}) f->addParamAttr(i, llvm::Attribute::NoAlias);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", f));
  llvm::Value *first = f->getArg(2), *last = f->getArg(3), *k = f->getArg(4), *whole = f->getArg(5);
  VectorCopy copy{b, lanes, k, f->getArg(6)};
  const auto copy_vectors = [&](llvm::Value* begin, llvm::Value* end, int64_t valid) {
    emit_loop(b, begin, end, 1, [&](llvm::Value* v) {
      llvm::Value* column = b.CreateNSWMul(v, copy.constant(lanes));
      llvm::Value* to = copy.place(f->getArg(1), b.CreateNSWMul(b.CreateNSWSub(v, first), k));
      if (straight) return copy.straight(float_at(b, f->getArg(0), column), to, valid);
      copy.transposed(float_at(b, f->getArg(0), b.CreateNSWMul(column, copy.stride)), to, valid);
    });
  };
  copy_vectors(first, b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, last, whole), lanes);
  if (tail) copy_vectors(b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, first, whole), last, tail);
  b.CreateRetVoid();
}

}  // namespace

Leaf column_packer(const GemmShape& shape, const GemmTiling& tiling, const Target& target) {
  const bool straight = column_strides(shape, tiling).outer == 1;
  const int64_t tail = tiling.columns % target.lanes;
  const std::string name = fmt::format("gmc_columns_{}{}", straight ? "straight" : "transposed", tail);
  return {name, "columns", [=, lanes = int64_t{target.lanes}](llvm::Module& module) {
            emit_column_packer(module, name, straight, tail, lanes);
          }};
}

int64_t packer_stride(const GemmShape& shape, const GemmTiling& tiling) {
  const GemmStrides from = column_strides(shape, tiling);
  return from.outer == 1 ? from.k : from.outer;
}

GemmCall gemm_packing(const GemmShape& shape, const GemmTiling& tiling, const Target& target,
                      const GemmOperands& operands) {
  if (!tiling.pack_tiles) fail("product {} x {} x {} is not packed: it has no packing", shape.m, shape.n, shape.k);
  const Split vectors = pack_split(shape, tiling, target);
  routines::Packing p{};
  p.source_buffer = tiling.swapped ? operands.a : operands.b;
  p.source_base = tiling.swapped ? shape.base_a : shape.base_b;
  p.packed_buffer = operands.packed;
  p.tiles = {vectors.base(), vectors.extra()};
  p.vectors = vectors.total / tiling.packings;
  p.lanes = target.lanes;
  p.k = shape.k;
  p.whole = tiling.columns / target.lanes;
  p.stride = packer_stride(shape, tiling);
  for (const GemmAxis& axis : column_axes(shape, tiling)) {
    if (axis.stride == 0) continue;
    if (p.axis_count == std::ssize(p.axes)) fail("a product has more than {} batch axes", std::size(p.axes));
    p.axes[p.axis_count++] = {axis.extent, axis.stride};
  }
  GemmCall out;
  out.leaves.push_back(column_packer(shape, tiling, target));
  out.functions.emplace_back(offsetof(routines::Packing, pack) / 8, out.leaves[0].symbol);
  out.numbers.resize(offsetof(routines::Packing, axes) / 8 + static_cast<size_t>(p.axis_count) * 2);
  std::memcpy(out.numbers.data(), &p, out.numbers.size() * 8);
  return out;
}

}  // namespace gmc::codegen
