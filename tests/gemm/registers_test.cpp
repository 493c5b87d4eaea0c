#include "tests/gemm/product.h"

#include <map>
#include <sstream>

namespace gmc::codegen {
namespace {

struct Loop {
  int products = 0;
  int stack_accesses = 0;
};

// The loops of an assembly text that jump back to their own start without a label in between: what runs per step of k.
std::vector<Loop> innermost_loops(const std::string& assembly) {
  std::vector<Loop> loops;
  std::istringstream lines(assembly);
  std::string line, label;
  Loop current;
  while (std::getline(lines, line)) {
    if (!line.empty() && line[0] == '.' && line.find(':') != std::string::npos) {
      label = line.substr(0, line.find(':'));
      current = {};
      continue;
    }
    const bool product = line.find("vfmadd") != std::string::npos || line.find("\tmulps") != std::string::npos;
    current.products += product;
    current.stack_accesses += line.find("(%rsp") != std::string::npos;
    const size_t jump = line.find("\tj");
    if (jump == std::string::npos || label.empty()) continue;
    const size_t to = line.find(label, jump);
    const size_t end = to == std::string::npos ? to : to + label.size();
    if (to != std::string::npos && (end == line.size() || !std::isdigit(line[end])) && current.products)
      loops.push_back(current);
  }
  return loops;
}

void expect_in_registers(const GemmShape& s, const GemmTiling& t, const Target& target) {
  SCOPED_TRACE(text_of(s, t, target));
  const std::string assembly = assembly_of(s, t, target);
  const auto loops = innermost_loops(assembly);
  ASSERT_FALSE(loops.empty());
  int64_t most = 0;
  for (const Loop& loop : loops) {
    most = std::max<int64_t>(most, loop.products);
    EXPECT_EQ(loop.stack_accesses, 0) << "of a loop with " << loop.products << " products";
  }
  const int64_t vectors = (t.columns + target.lanes - 1) / target.lanes;
  EXPECT_EQ(most, (t.rows + t.row_blocks - 1) / t.row_blocks * ((vectors + t.panels - 1) / t.panels));
  EXPECT_EQ(assembly.find("@PLT"), std::string::npos) << "the object needs a symbol from elsewhere";
}

class GemmRegisters : public testing::TestWithParam<const char*> {};

// Every micro-kernel that the cost model may pick, for rows apart in memory and next to each other.
TEST_P(GemmRegisters, no_micro_kernel_spills) {
  const Target target = target_named(GetParam());
  int kernels = 0;
  for (const auto& [rows, vectors] : micro_kernel_sizes(target))
    for (bool ta : {false, true}) {
      const GemmShape s = dense_gemm(rows, vectors * target.lanes, 256, ta, false);
      expect_in_registers(s, tile_gemm(s, target, {false, kernels % 3 == 0, rows, vectors, 256, 1, 1}), target);
      ++kernels;
    }
  EXPECT_GT(kernels, 20);
}

TEST_P(GemmRegisters, chosen_tilings_do_not_spill) {
  const Target target = target_named(GetParam());
  for (const auto& s : {dense_gemm(128, 400, 784, false, true), dense_gemm(128, 784, 400, false, true),
                        dense_gemm(128, 20, 400, false, true), dense_gemm(784, 400, 128, true, false),
                        dense_gemm(128, 400, 784, false, false), dense_gemm(400, 20, 128, true, false),
                        dense_gemm(64, 10, 128, true, true)})
    expect_in_registers(s, choose_gemm_tiling(s, target), target);
}

INSTANTIATE_TEST_SUITE_P(Targets, GemmRegisters, testing::Values("native", "x86-64-v4", "x86-64-v3", "x86-64"),
                         [](const auto& which) {
                           std::string name = which.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace gmc::codegen
