#include "compiler/codegen/cpu/gemm_parts.h"
#include "runtime/base/error.h"

#include <algorithm>

namespace gmc::codegen {
namespace {

// Copies one vector of columns over all k to k * lanes consecutive floats.
struct VectorCopy {
  llvm::IRBuilder<>& b;
  const GemmShape& shape;
  int64_t lanes;
  GemmStrides from;

  llvm::Value* constant(int64_t value) { return b.getInt64(static_cast<uint64_t>(value)); }

  // The columns lie next to each other: plain loads, masked in the last vector.
  void straight(llvm::Value* source, llvm::Value* target, int64_t valid) {
    auto* vector = llvm::FixedVectorType::get(b.getFloatTy(), static_cast<unsigned>(lanes));
    const llvm::Align align(4);
    const auto copy = [&](llvm::Value* k, int64_t count) {
      llvm::Value* p = float_at(b, source, b.CreateNSWMul(k, constant(from.k)));
      llvm::Value* to = float_at(b, target, b.CreateNSWMul(k, constant(lanes)));
      for (int64_t i = 0; i < count; ++i) {
        llvm::Value* at = float_at(b, p, i * from.k);
        llvm::Value* x = valid == lanes ? static_cast<llvm::Value*>(b.CreateAlignedLoad(vector, at, align))
                                        : b.CreateMaskedLoad(vector, at, align, first_lanes(b, lanes, valid),
                                                             llvm::Constant::getNullValue(vector));
        b.CreateAlignedStore(x, float_at(b, to, i * lanes), align);
      }
    };
    const int64_t turn = 4, whole = shape.k / turn * turn;
    emit_loop(b, constant(0), constant(whole), turn, [&](llvm::Value* k) { copy(k, turn); });
    if (whole < shape.k) copy(constant(whole), shape.k - whole);
  }

  // k runs along memory. Lanes past the last column repeat it; their results are never stored.
  void transposed(llvm::Value* source, llvm::Value* target, int64_t valid) {
    const auto quads = [&](llvm::Value* k, int64_t count) {
      llvm::Value* p = float_at(b, source, k);
      llvm::Value* to = float_at(b, target, b.CreateNSWMul(k, constant(lanes)));
      for (int64_t first = 0; first < count; first += 4) {
        std::vector<llvm::Value*> rows;
        for (int64_t i = 0; i < lanes; ++i) rows.push_back(float_at(b, p, std::min(i, valid - 1) * from.outer + first));
        const int64_t left = std::min<int64_t>(4, count - first);
        const auto columns = emit_transpose_quad(b, rows, left);
        for (int64_t j = 0; j < left; ++j)
          b.CreateAlignedStore(columns[static_cast<size_t>(j)], float_at(b, to, (first + j) * lanes), llvm::Align(4));
      }
    };
    // A whole cache line of each row per turn: rows whose distance is a multiple of 4 KiB evict each other.
    const int64_t line = 16, whole = shape.k / line * line;
    if (whole) emit_loop(b, constant(0), constant(whole), line, [&](llvm::Value* k) { quads(k, line); });
    if (whole < shape.k) quads(constant(whole), shape.k - whole);
  }
};

}  // namespace

void emit_gemm_pack(llvm::Module& module, const std::string& symbol, const GemmShape& shape, const GemmTiling& tiling,
                    const Target& target, const GemmOperands& operands) {
  if (!tiling.packed) fail("product {} x {} x {} is not packed: it has no pack kernel", shape.m, shape.n, shape.k);
  const int64_t lanes = target.lanes, whole = tiling.columns / lanes, tail = tiling.columns % lanes;
  const GemmStrides from = column_strides(shape, tiling);
  const Split vectors = pack_split(shape, tiling, target);
  llvm::Function* f = make_kernel(module, symbol);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(module.getContext(), "entry", f));
  const auto constant = [&](int64_t value) { return b.getInt64(static_cast<uint64_t>(value)); };
  llvm::Value* source = emit_buffer(b, f->getArg(0), tiling.swapped ? operands.a : operands.b);
  llvm::Value* packed = emit_buffer(b, f->getArg(0), operands.packed);
  VectorCopy copy{b, shape, lanes, from};
  const auto copy_vectors = [&](llvm::Value* first, llvm::Value* last, int64_t valid) {
    emit_loop(b, first, last, 1, [&](llvm::Value* v) {
      llvm::Value* at = float_at(b, source, b.CreateNSWMul(v, constant(lanes * from.outer)));
      llvm::Value* to = float_at(b, packed, b.CreateNSWMul(v, constant(lanes * shape.k)));
      if (from.outer == 1) return copy.straight(at, to, valid);
      copy.transposed(at, to, valid);
    });
  };

  llvm::Value* first = vectors.start(b, f->getArg(1));
  llvm::Value* last = vectors.start(b, f->getArg(2));
  llvm::Value* limit = constant(whole);
  if (whole) copy_vectors(first, b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, last, limit), lanes);
  if (tail) copy_vectors(b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, first, limit), last, tail);
  b.CreateRetVoid();
}

}  // namespace gmc::codegen
