// What kernels share: functions of equal phases, objects that do not depend on the number of threads that compile.
#include "compiler/codegen/compile_kernels.h"
#include "compiler/kernel/kernel.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

namespace gmc::kernel {
namespace {

// y := x + `added`, of `elements` elements.
Kernel adding(const std::string& name, double added, int elements) {
  return parse(fmt::format("kernel {0}\nparam 0 in f32 {2} x.{0}\nparam 1 out f32 {2} y.{0}\nphase\nregion extents "
                           "[1,{2}] tile [1,{2}]\n%0 = load 0 {{0 [0,1]}}\n%1 = constant {1}\n%2 = add %0 %1\nstore 1 "
                           "{{0 [0,1]}} %2\n",
                           name, added, elements));
}

TEST(SharedCode, EqualPhasesAreOneFunction) {
  const Kernel a = adding("a", 1, 64), again = adding("again", 1, 64), other = adding("other", 2, 64),
               longer = adding("longer", 1, 65);
  const codegen::Code code = codegen::compile_kernels({&a, &again, &other, &longer}, codegen::host_target(), 1, true);
  const auto symbol = [&](size_t k) { return code.kernels.at(k).functions.at(0).symbol; };
  EXPECT_EQ(symbol(0), symbol(1));
  EXPECT_EQ((std::set{symbol(0), symbol(2), symbol(3)}.size()), 3u);
  ASSERT_EQ(code.objects.size(), 1u);
  const std::string& ir = code.objects[0].llvm_ir;
  const size_t first = ir.find("@" + symbol(0) + "(");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(ir.find("@" + symbol(0) + "(", first + 1), std::string::npos);
}

TEST(SharedCode, ThreadsThatCompileChangeNothing) {
  std::vector<Kernel> kernels;
  for (int i = 0; i < 40; ++i) kernels.push_back(adding(fmt::format("k{}", i), i, 64 + i % 7));
  std::vector<const Kernel*> all;
  for (const Kernel& k : kernels) all.push_back(&k);
  const codegen::Code one = codegen::compile_kernels(all, codegen::host_target(), 1, false),
                      five = codegen::compile_kernels(all, codegen::host_target(), 5, false);
  ASSERT_GT(one.objects.size(), 1u);
  ASSERT_EQ(one.objects.size(), five.objects.size());
  for (size_t i = 0; i < one.objects.size(); ++i) {
    EXPECT_EQ(one.objects[i].name, five.objects[i].name);
    EXPECT_TRUE(one.objects[i].bytes == five.objects[i].bytes) << i;
  }
}

}  // namespace
}  // namespace gmc::kernel
