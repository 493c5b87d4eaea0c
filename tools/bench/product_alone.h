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
  std::vector<int64_t> pack, numbers;  // of gmc_pack, where there is something to pack, and of gmc_product
  std::vector<std::string> functions;
};

// Defines all functions of the product and that of the epilogue, whose buffers are those of the product.
inline ProductAlone emit_alone(llvm::Module& module, const GemmShape& shape, const GemmTiling& tiling,
                               const Target& target, const GemmEpilogue& epilogue) {
  // Behind the numbers, whose place is the first.
  const GemmOperands operands{1, 2, 3, 1};
  emit_gemm_epilogue(
      module, "epilogue", epilogue_form(shape, tiling, target), target,
      [](auto&, auto*) { return std::vector<llvm::Value*>{nullptr}; }, epilogue);
  ProductAlone out;
  std::set<std::string> defined;
  const auto take = [&](const GemmCall& call) {
    std::vector<int64_t> numbers = call.numbers;
    for (const Leaf& leaf : call.leaves)
      if (defined.insert(leaf.symbol).second) leaf.define(module);
    for (const auto& [at, symbol] : call.functions) {
      numbers[at] = static_cast<int64_t>(out.functions.size());
      out.functions.push_back(symbol);
    }
    return numbers;
  };
  if (tiling.pack_tiles) out.pack = take(gemm_packing(shape, tiling, target, operands));
  out.numbers = take(gemm_product(shape, tiling, target, operands, "epilogue"));
  return out;
}

// The same, linked. `operands`: a, b, packed, then the epilogue's.
class RunnableProduct {
public:
  RunnableProduct(const ProductAlone& product, const Object& object) : pack_(product.pack), numbers_(product.numbers) {
    jit_.add(object, "product");
    for (const std::string& symbol : product.functions)
      functions_.push_back(reinterpret_cast<execute::Kernel>(jit_.lookup(symbol)));
  }
  void give(const std::vector<void*>& operands) {
    buffers_ = {nullptr};
    buffers_.insert(buffers_.end(), operands.begin(), operands.end());
  }
  void pack(int64_t begin, int64_t end, void* scratch, uint64_t seed = 0) {
    run(gmc_pack, pack_, begin, end, scratch, seed);
  }
  void compute(int64_t begin, int64_t end, void* scratch, uint64_t seed = 0) {
    run(gmc_product, numbers_, begin, end, scratch, seed);
  }

private:
  void run(execute::Kernel kernel, std::vector<int64_t>& numbers, int64_t begin, int64_t end, void* scratch,
           uint64_t seed) {
    buffers_[0] = numbers.data();
    const execute::RunParameters run{seed, 0, 0, functions_.data()};
    kernel(buffers_.data(), static_cast<uint64_t>(begin), static_cast<uint64_t>(end), scratch, &run);
  }

  package::Jit jit_;
  std::vector<int64_t> pack_, numbers_;
  std::vector<execute::Kernel> functions_;
  std::vector<void*> buffers_;
};

}  // namespace gmc::codegen
