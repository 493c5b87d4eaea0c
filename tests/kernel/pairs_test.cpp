// Every second element: rows put together from two, and taken apart again, with any number of columns.
#include "compiler/codegen/compile_kernels.h"
#include "compiler/package/jit.h"
#include "runtime/execute/package.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

namespace gmc::kernel {
namespace {

constexpr int64_t rows = 3;
constexpr int64_t around = 40;  // elements that nobody may touch, on either side

// Rows of 2 n elements; `body` over n columns, in which N and W stand for n and 2 n.
Kernel of_rows(int64_t n, DType d, std::string body) {
  for (size_t at; (at = body.find_first_of("NW")) != std::string::npos;)
    body.replace(at, 1, std::to_string(body[at] == 'N' ? n : 2 * n));
  if (d != DType::f32)
    for (size_t at = 0; (at = body.find('\n', at)) != std::string::npos; at += 1 + 1 + name_of(d).size())
      body.insert(at, fmt::format(" {}", name_of(d)));
  return parse(fmt::format("kernel rows\nparam 0 in {0} {1} x\nparam 1 out {0} {1} y\nphase\n"
                           "region extents [{2},{3}] tile [2,{3}]\n{4}",
                           name_of(d), rows * 2 * n, rows, n, body));
}
// The first n and the last n in turn; the even ones, then the odd ones.
constexpr const char* together = "%0 = load 0 {0 [W,1]}\n%1 = load 0 {N [W,1]}\nstore 1 {0 [W,2]} %0 %1\n";
constexpr const char* apart =
    "%0 = load 0 {0 [W,2]}\n%1 = load 0 {1 [W,2]}\nstore 1 {0 [W,1]} %0\nstore 1 {N [W,1]} %1\n";

template <class T>
std::vector<T> result(const Kernel& k, const codegen::Target& target, const std::vector<T>& x) {
  const codegen::Code compiled = codegen::compile_kernels({&k}, target, 1, false);
  const codegen::KernelCode& code = compiled.kernels[0];
  package::Jit jit;
  for (const auto& object : compiled.objects) jit.add(object.bytes, "pairs");
  std::vector<T> in = x, out(x.size() + 2 * around, T(-1));
  for (const codegen::TileFunction& function : code.functions) {
    std::vector<codegen::Argument> arguments = function.arguments;
    std::vector<void*> buffers;
    for (codegen::Argument& a : arguments)
      buffers.push_back(a.parameter == 0   ? static_cast<void*>(in.data())
                        : a.parameter == 1 ? static_cast<void*>(out.data() + around)
                                           : static_cast<void*>(a.numbers.data()));
    std::vector<char> scratch(static_cast<size_t>(code.scratch_bytes) + 64);
    const execute::RunParameters parameters{0, 0};
    const auto run = reinterpret_cast<execute::Kernel>(jit.lookup(function.symbol));
    run(buffers.data(), 0, static_cast<uint64_t>(function.tiles), scratch.data(), &parameters);
  }
  for (size_t i = 0; i < around; ++i) EXPECT_TRUE(out[i] == T(-1) && out[out.size() - 1 - i] == T(-1)) << i;
  return {out.begin() + around, out.end() - around};
}

template <class T>
void check(DType d) {
  for (const codegen::Target& target :
       {codegen::host_target(), codegen::target_named("x86-64-v3"), codegen::target_named("x86-64")}) {
    if (target.lanes > codegen::host_target().lanes) continue;
    for (int64_t n : {2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 64, 71}) {
      SCOPED_TRACE(fmt::format("{}, {} columns of {}", target.name, n, name_of(d)));
      std::vector<T> x(static_cast<size_t>(rows * 2 * n)), y = x;
      std::iota(x.begin(), x.end(), T(0));
      for (int64_t i = 0; i < std::ssize(y); ++i)
        y[static_cast<size_t>(i)] = x[static_cast<size_t>(i / (2 * n) * 2 * n + i % 2 * n + i % (2 * n) / 2)];
      EXPECT_EQ(result(of_rows(n, d, together), target, x), y);
      EXPECT_EQ(result(of_rows(n, d, apart), target, y), x);
    }
  }
}

TEST(Pairs, ArePutTogetherAndTakenApart) {
  check<float>(DType::f32);
  check<double>(DType::f64);
}

}  // namespace
}  // namespace gmc::kernel
