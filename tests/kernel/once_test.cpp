// What several tiles know is written by one of them: tiles run on threads.
#include "compiler/codegen/compile_kernels.h"
#include "compiler/package/jit.h"
#include "runtime/execute/package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace gmc::kernel {
namespace {

using ::testing::ElementsAre;

// Scalars, values of rows and their sums in a region of 2 x 2 tiles.
constexpr const char* text = R"(kernel once
param 0 in f32 1 scalar
param 1 in f32 4 of rows
param 2 in f32 512 all
param 3 out f32 1 negated
param 4 out f32 4 negated rows
param 5 out f32 2 sums of rows
param 6 out f32 512 sums
phase
region extents [4,128] tile [2,64]
%0 = load 0 {0 [0,0]}
%1 = load 1 {0 [1,0]}
%2 = load 2 {0 [128,1]}
%3 = neg %0
%4 = neg %1
%5 = add %2 %1
store 3 {0 [0,0]} %3
store 4 {0 [1,0]} %4
fold sum 5 {0 [0,0]} %1
store 6 {0 [128,1]} %5
)";

TEST(KernelTiles, WriteEachElementOnce) {
  const Kernel k = parse(text);
  const codegen::Code compiled = codegen::compile_kernels({&k}, codegen::host_target(), 1, false);
  const codegen::KernelCode& code = compiled.kernels[0];
  ASSERT_EQ(code.functions.size(), 1u);
  ASSERT_EQ(code.functions[0].tiles, 4);
  package::Jit jit;
  jit.add(compiled.objects[0].bytes, "once");
  const auto run = reinterpret_cast<execute::Kernel>(jit.lookup(code.functions[0].symbol));

  std::vector<float> scalar{7}, of_rows{1, 2, 3, 4}, all(512, 0.5f);
  std::vector<std::vector<int>> writers(4);
  for (uint64_t tile = 0; tile < 4; ++tile) {
    constexpr float untouched = -99;
    std::vector<float> negated(1, untouched), rows(4, untouched), sums(2, untouched), out(512, untouched);
    void* parameters_of_kernel[] = {scalar.data(), of_rows.data(), all.data(), negated.data(),
                                    rows.data(),   sums.data(),    out.data()};
    std::vector<codegen::Argument> arguments = code.functions[0].arguments;
    std::vector<void*> buffers;
    for (codegen::Argument& a : arguments)
      buffers.push_back(a.parameter >= 0 ? parameters_of_kernel[a.parameter] : a.numbers.data());
    std::vector<char> scratch(static_cast<size_t>(code.scratch_bytes) + 64);
    const execute::RunParameters parameters{0, 0};
    run(buffers.data(), tile, tile + 1, scratch.data(), &parameters);
    const auto count = [&](const std::vector<float>& v) {
      return static_cast<int>(std::count_if(v.begin(), v.end(), [&](float x) { return x != untouched; }));
    };
    writers[tile] = {count(negated), count(rows), count(sums), count(out)};
    if (tile == 0) {
      EXPECT_EQ(negated[0], -7);
      EXPECT_THAT(std::vector<float>(rows.begin(), rows.begin() + 2), ElementsAre(-1, -2));
      EXPECT_EQ(sums[0], 3);
    }
    if (tile == 2) {
      EXPECT_EQ(sums[1], 7);
    }
  }
  EXPECT_THAT(writers, ElementsAre(ElementsAre(1, 2, 1, 128), ElementsAre(0, 0, 0, 128), ElementsAre(0, 2, 1, 128),
                                   ElementsAre(0, 0, 0, 128)));
}

}  // namespace
}  // namespace gmc::kernel
