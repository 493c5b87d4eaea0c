// A generated matrix product outside of a program.
#pragma once

#include "compiler/codegen/cpu/gemm.h"
#include "compiler/package/jit.h"
#include "runtime/execute/package.h"
#include "runtime/routines/routines.h"

#include <set>
#include <string>
#include <vector>

namespace gmc::codegen {

// What is called, after emission into a module.
struct ProductAlone {
  std::vector<int64_t> numbers;
  std::vector<std::string> functions;
};

// Defines all functions of the product, that of the epilogue, whose buffers are those of the product, and `pack` where
// there is a pack kernel.
inline ProductAlone emit_alone(llvm::Module& module, const GemmShape& shape, const GemmTiling& tiling,
                               const Target& target, const GemmEpilogue& epilogue) {
  // Behind the numbers, whose place is the first.
  const GemmOperands operands{1, 2, 3, 1};
  std::set<std::string> defined;
  const auto define = [&](const Leaf& leaf) {
    if (defined.insert(leaf.symbol).second) leaf.define(module);
  };
  if (tiling.pack_tiles) {
    emit_gemm_pack(module, "pack", shape, tiling, target, operands);
    define(column_packer(shape, tiling, target));
  }
  emit_gemm_epilogue(module, "epilogue", epilogue_form(shape, tiling, target), target, epilogue);
  const GemmProduct product = gemm_product(shape, tiling, target, operands, "epilogue");
  for (const Leaf& leaf : product.leaves) define(leaf);
  ProductAlone out{product.numbers, {}};
  for (const auto& [at, symbol] : product.functions) {
    out.numbers[at] = static_cast<int64_t>(out.functions.size());
    out.functions.push_back(symbol);
  }
  return out;
}

// The same, linked. `operands`: a, b, packed, then the epilogue's.
class RunnableProduct {
public:
  RunnableProduct(const ProductAlone& product, const Object& object, bool has_pack) : numbers_(product.numbers) {
    jit_.add(object, "product");
    for (const std::string& symbol : product.functions)
      functions_.push_back(reinterpret_cast<execute::Kernel>(jit_.lookup(symbol)));
    if (has_pack) pack_ = reinterpret_cast<execute::Kernel>(jit_.lookup("pack"));
  }
  void give(const std::vector<void*>& operands) {
    buffers_ = {numbers_.data()};
    buffers_.insert(buffers_.end(), operands.begin(), operands.end());
  }
  void pack(int64_t begin, int64_t end, void* scratch, uint64_t seed = 0) const {
    run(pack_, begin, end, scratch, seed);
  }
  void compute(int64_t begin, int64_t end, void* scratch, uint64_t seed = 0) const {
    run(gmc_product, begin, end, scratch, seed);
  }

private:
  void run(execute::Kernel kernel, int64_t begin, int64_t end, void* scratch, uint64_t seed) const {
    const execute::RunParameters run{seed, 0, 0, functions_.data()};
    kernel(buffers_.data(), static_cast<uint64_t>(begin), static_cast<uint64_t>(end), scratch, &run);
  }

  package::Jit jit_;
  std::vector<int64_t> numbers_;
  std::vector<execute::Kernel> functions_;
  execute::Kernel pack_ = nullptr;
  std::vector<void*> buffers_;
};

}  // namespace gmc::codegen
