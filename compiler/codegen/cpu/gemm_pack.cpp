#include "compiler/codegen/cpu/gemm_parts.h"
#include "runtime/base/error.h"

#include <fmt/format.h>

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

llvm::FunctionType* packer_type(llvm::LLVMContext& c) {
  llvm::Type *ptr = llvm::PointerType::get(c, 0), *i64 = llvm::Type::getInt64Ty(c);
  return llvm::FunctionType::get(llvm::Type::getVoidTy(c), {ptr, ptr, i64, i64}, false);
}

void emit_column_packer(llvm::Module& module, const std::string& name, const GemmShape& shape, const GemmTiling& tiling,
                        const Target& target) {
  const int64_t lanes = target.lanes, whole = tiling.columns / lanes, tail = tiling.columns % lanes;
  const GemmStrides from = column_strides(shape, tiling);
  llvm::IRBuilder<> b(module.getContext());
  // A kernel that packs may have named it already.
  auto* f = llvm::cast<llvm::Function>(module.getOrInsertFunction(name, packer_type(b.getContext())).getCallee());
  f->setDoesNotThrow();
  for (unsigned i : {0u, 1u}) f->addParamAttr(i, llvm::Attribute::NoAlias);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", f));
  const auto constant = [&](int64_t value) { return b.getInt64(static_cast<uint64_t>(value)); };
  llvm::Value *first = f->getArg(2), *last = f->getArg(3);
  VectorCopy copy{b, shape, lanes, from};
  const auto copy_vectors = [&](llvm::Value* begin, llvm::Value* end, int64_t valid) {
    emit_loop(b, begin, end, 1, [&](llvm::Value* v) {
      llvm::Value* at = float_at(b, f->getArg(0), b.CreateNSWMul(v, constant(lanes * from.outer)));
      llvm::Value* to = float_at(b, f->getArg(1), b.CreateNSWMul(b.CreateNSWSub(v, first), constant(lanes * shape.k)));
      if (from.outer == 1) return copy.straight(at, to, valid);
      copy.transposed(at, to, valid);
    });
  };
  llvm::Value* limit = constant(whole);
  if (whole) copy_vectors(first, b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, last, limit), lanes);
  if (tail) copy_vectors(b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, first, limit), last, tail);
  b.CreateRetVoid();
}

}  // namespace

Leaf column_packer(const GemmShape& shape, const GemmTiling& tiling, const Target& target) {
  const GemmStrides from = column_strides(shape, tiling);
  std::string name = fmt::format("gmc_columns{}x{}_{}_{}", shape.k, tiling.columns, from.k, from.outer);
  std::replace(name.begin(), name.end(), '-', 'm');  // assemblers know no such symbols
  return {name, "columns", [=](llvm::Module& module) { emit_column_packer(module, name, shape, tiling, target); }};
}

void emit_gemm_pack(llvm::Module& module, const std::string& symbol, const GemmShape& shape, const GemmTiling& tiling,
                    const Target& target, const GemmOperands& operands) {
  if (!tiling.pack_tiles) fail("product {} x {} x {} is not packed: it has no pack kernel", shape.m, shape.n, shape.k);
  const Split vectors = pack_split(shape, tiling, target);
  const int64_t each = vectors.total / tiling.packings;
  llvm::FunctionCallee pack =
      module.getOrInsertFunction(column_packer(shape, tiling, target).symbol, packer_type(module.getContext()));
  llvm::cast<llvm::Function>(pack.getCallee())->setDSOLocal(true);
  llvm::Function* f = make_kernel(module, symbol);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(module.getContext(), "entry", f));
  const auto constant = [&](int64_t value) { return b.getInt64(static_cast<uint64_t>(value)); };
  llvm::Value* source = float_at(b, emit_buffer(b, f->getArg(0), tiling.swapped ? operands.a : operands.b),
                                 tiling.swapped ? shape.base_a : shape.base_b);
  llvm::Value* packed = emit_buffer(b, f->getArg(0), operands.packed);
  llvm::Value* first = vectors.start(b, f->getArg(1));
  llvm::Value* last = vectors.start(b, f->getArg(2));
  if (tiling.packings == 1) {
    llvm::Value* to = float_at(b, packed, b.CreateNSWMul(first, constant(target.lanes * shape.k)));
    b.CreateCall(pack, {source, to, first, last});
    b.CreateRetVoid();
    return;
  }
  std::vector<GemmAxis> varying = column_axes(shape, tiling);
  std::erase_if(varying, [](const GemmAxis& axis) { return axis.stride == 0; });
  llvm::Value* begin = b.CreateSDiv(first, constant(each));
  llvm::Value* end = b.CreateSDiv(b.CreateNSWAdd(last, constant(each - 1)), constant(each));
  emit_loop(b, begin, end, 1, [&](llvm::Value* packing) {
    llvm::Value* before = b.CreateNSWMul(packing, constant(each));
    llvm::Value* from = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b.CreateNSWSub(first, before), constant(0));
    llvm::Value* upto = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b.CreateNSWSub(last, before), constant(each));
    llvm::Value* to =
        float_at(b, packed, b.CreateNSWMul(b.CreateNSWAdd(before, from), constant(target.lanes * shape.k)));
    b.CreateCall(pack, {float_at(b, source, emit_offset(b, packing, varying)), to, from, upto});
  });
  b.CreateRetVoid();
}

}  // namespace gmc::codegen
