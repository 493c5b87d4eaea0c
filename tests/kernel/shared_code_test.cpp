// What kernels share: functions of regions that do the same, objects that do not depend on the number of threads that
// compile.
#include "compiler/codegen/compile_kernels.h"
#include "compiler/kernel/kernel.h"
#include "compiler/package/jit.h"
#include "runtime/execute/package.h"
#include "runtime/execute/random.h"
#include "runtime/routines/routines.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace gmc::kernel {
namespace {

// y := x + `added`, of `elements` elements.
Kernel adding(const std::string& name, double added, int elements) {
  return parse(fmt::format("kernel {0}\nparam 0 in f32 {2} x.{0}\nparam 1 out f32 {2} y.{0}\nphase\nregion extents "
                           "[1,{2}] tile [1,{2}]\n%0 = load 0 {{0 [0,1]}}\n%1 = constant {1}\n%2 = add %0 %1\nstore 1 "
                           "{{0 [0,1]}} %2\n",
                           name, added, elements));
}

// Runs tiles [begin, end) of a function, given what its kernel is given.
void run_tiles(execute::Kernel kernel, codegen::TileFunction f, const std::vector<void*>& given, int64_t begin,
               int64_t end, const execute::RunParameters& run = {0, 0}) {
  std::vector<void*> buffers;
  for (codegen::Argument& a : f.arguments)
    buffers.push_back(a.parameter < 0 ? a.numbers.data() : given.at(static_cast<size_t>(a.parameter)));
  kernel(buffers.data(), static_cast<uint64_t>(begin), static_cast<uint64_t>(end), nullptr, &run);
}

TEST(SharedCode, RegionsThatDoTheSameAreOneFunction) {
  const Kernel a = adding("a", 1, 64), again = adding("again", 1, 64), other = adding("other", 2, 64),
               longer = adding("longer", 1, 65), twice = adding("twice", 1, 128);
  const codegen::Code code =
      codegen::compile_kernels({&a, &again, &other, &longer, &twice}, codegen::host_target(), 1, true);
  const auto symbol = [&](size_t k) { return code.kernels.at(k).functions.at(0).symbol; };
  EXPECT_EQ(symbol(0), symbol(1));
  EXPECT_EQ(symbol(0), symbol(4));
  EXPECT_EQ((std::set{symbol(0), symbol(2), symbol(3)}.size()), 3u);
  ASSERT_EQ(code.objects.size(), 1u);
  const std::string& ir = code.objects[0].llvm_ir;
  const size_t first = ir.find("@" + symbol(0) + "(");
  EXPECT_NE(first, std::string::npos);
  EXPECT_EQ(ir.find("@" + symbol(0) + "(", first + 1), std::string::npos);
}

// One kernel whose regions are those of others, with other parameters.
TEST(SharedCode, SideBySideOrAloneIsOneFunction) {
  Kernel both = adding("both", 1, 64);
  both.parameters.push_back({Parameter::Mode::in, DType::f32, 96, "other x"});
  both.parameters.push_back({Parameter::Mode::out, DType::f32, 96, "other y"});
  Region second = adding("second", 1, 96).phases[0].regions[0];
  second.body[0].parameter = 2;
  second.body[3].parameter = 3;
  both.phases[0].regions.push_back(second);
  const Kernel alone = adding("alone", 1, 64);
  const codegen::Code code = codegen::compile_kernels({&both, &alone}, codegen::host_target(), 1, true);
  ASSERT_EQ(code.objects.size(), 1u);
  codegen::TileFunction table = code.kernels[0].functions.at(0);
  EXPECT_EQ(table.tiles, 2);
  std::vector<int> parameters;
  for (const codegen::Argument& a : table.arguments) parameters.push_back(a.parameter);
  EXPECT_EQ(parameters, (std::vector{-1, -1, 0, 1, -1, 2, 3}));
  ASSERT_EQ(table.arguments[0].functions.size(), 2u);
  for (const auto& [at, symbol] : table.arguments[0].functions) {
    EXPECT_EQ(symbol, code.kernels[1].functions.at(0).symbol);
    table.arguments[0].numbers.at(at) = 0;
  }

  package::Jit jit;
  jit.add(code.objects[0].bytes, code.objects[0].name);
  const auto adds = reinterpret_cast<execute::Kernel>(jit.lookup(code.kernels[1].functions[0].symbol));
  std::vector<float> x(64, 1), y(64), other_x(96, 2), other_y(96);
  const std::vector<void*> given{x.data(), y.data(), other_x.data(), other_y.data()};
  const execute::RunParameters run{0, 0, 0, &adds};
  const execute::Kernel both_at_once = routines::find_routine(table.symbol.c_str());
  ASSERT_NE(both_at_once, nullptr);
  run_tiles(both_at_once, table, given, 1, 2, run);
  EXPECT_EQ(y, std::vector<float>(64, 0));
  EXPECT_EQ(other_y, std::vector<float>(96, 3));
  run_tiles(both_at_once, table, given, 0, 2, run);
  EXPECT_EQ(y, std::vector<float>(64, 2));
}

// What regions of one kind differ in are numbers: bases, strides, guards, constants, streams of draws.
TEST(SharedCode, NumbersAreNotCode) {
  const auto padded = [](int rows, int channels, int columns, double added, int stream) {
    const int from = rows * channels * columns, row = columns + 8, to = (rows + 2) * channels * row;
    return parse(
        fmt::format("kernel pad\nparam 0 in f32 {0} x\nparam 1 out f32 {1} y\nphase\nregion extents "
                    "[{2},{3},{4}] tile [{5},{4}]\n%0 = load 0 {{{6} [{7},{8},1]}} within {9} {{-1 [0,1,0]}} "
                    "within {8} {{-4 [0,0,1]}} else 0\n%1 = constant {10}\n%2 = add %0 %1\n%3 = random uniform "
                    "{11} {{0 [{12},{4},1]}}\n%4 = add %2 %3\nstore 1 {{0 [{12},{4},1]}} %4\n",
                    from, to, channels, rows + 2, row, 2 + rows, -columns - 4, rows * columns, columns, rows, added,
                    stream, (rows + 2) * row));
  };
  const int64_t lanes = codegen::host_target().lanes;
  const int wide = static_cast<int>(16 * lanes);
  const Kernel a = padded(3, 5, wide, 0.25, 7), b = padded(4, 2, 2 * wide, 3, 8);
  const codegen::Code code = codegen::compile_kernels({&a, &b}, codegen::host_target(), 1, false);
  EXPECT_EQ(code.kernels[0].functions.at(0).symbol, code.kernels[1].functions.at(0).symbol);

  package::Jit jit;
  jit.add(code.objects.at(0).bytes, "padded");
  const auto run = reinterpret_cast<execute::Kernel>(jit.lookup(code.kernels[0].functions.at(0).symbol));
  const auto expect = [&](const codegen::TileFunction& f, int rows, int channels, int columns, float added,
                          uint64_t stream) {
    const int height = rows + 2, width = columns + 8;
    std::vector<float> x(static_cast<size_t>(rows * channels * columns)),
        y(static_cast<size_t>(height * channels * width));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
    run_tiles(run, f, {x.data(), y.data()}, 0, f.tiles, {11, 2});
    const uint64_t key = execute::stream_key(11, stream, 2);
    for (int i = 0; i < static_cast<int>(y.size()); ++i) {
      const int c = i / (height * width), r = i / width % height - 1, column = i % width - 4;
      const bool inside = r >= 0 && r < rows && column >= 0 && column < columns;
      const float from = inside ? x[static_cast<size_t>((c * rows + r) * columns + column)] : 0;
      const auto drawn = static_cast<float>(execute::uniform_of(execute::random_word(key, static_cast<uint64_t>(i))));
      ASSERT_EQ(y[static_cast<size_t>(i)], from + added + drawn) << i;
    }
  };
  expect(code.kernels[0].functions[0], 3, 5, wide, 0.25f, 7);
  expect(code.kernels[1].functions[0], 4, 2, 2 * wide, 3, 8);
}

// A tile of an empty space has no rows to take apart, in as many axes as there are.
TEST(SharedCode, AnEmptySpaceIsNotDividedBy) {
  for (const char* extents : {"3,0,128", "3,0,5", "0,3,128", "3,4,0"}) {
    const Kernel k = parse(fmt::format("kernel empty\nparam 0 in f32 0 x\nparam 1 out f32 0 y\nphase\nregion extents "
                                       "[{}] tile [2,128]\n%0 = load 0 {{0 [7,6,1]}}\nstore 1 {{0 [7,6,1]}} %0\n",
                                       extents));
    const codegen::Code code = codegen::compile_kernels({&k}, codegen::host_target(), 1, false);
    package::Jit jit;
    jit.add(code.objects.at(0).bytes, "empty");
    const codegen::TileFunction& f = code.kernels[0].functions.at(0);
    run_tiles(reinterpret_cast<execute::Kernel>(jit.lookup(f.symbol)), f, {nullptr, nullptr}, 0, f.tiles);
  }
}

// Strips narrower than a vector, of few columns and of many: every tile writes its own and nothing else.
TEST(SharedCode, StripsNarrowerThanAVectorStayApart) {
  const codegen::Target target = codegen::host_target();
  for (int columns : {target.lanes, target.lanes + 1, 16 * target.lanes, 16 * target.lanes + 3}) {
    Kernel k = adding("strips", 1, columns);
    k.phases[0].regions[0].tile_columns = 3;
    const codegen::Code code = codegen::compile_kernels({&k}, target, 1, false);
    package::Jit jit;
    jit.add(code.objects.at(0).bytes, "strips");
    const codegen::TileFunction& f = code.kernels[0].functions.at(0);
    const auto run = reinterpret_cast<execute::Kernel>(jit.lookup(f.symbol));
    ASSERT_EQ(f.tiles, (columns + 2) / 3);
    std::vector<float> x(static_cast<size_t>(columns), 1), y(static_cast<size_t>(columns));
    run_tiles(run, f, {x.data(), y.data()}, 1, 2);
    for (int i = 0; i < columns; ++i)
      EXPECT_EQ(y[static_cast<size_t>(i)], i >= 3 && i < 6 ? 2 : 0) << columns << ' ' << i;
  }
}

// Code of few columns knows how many are left behind whole vectors: it stores them, and nothing behind the last row.
TEST(RowsOfFewColumns, AreWrittenToTheirEnd) {
  const codegen::Target target = codegen::host_target();
  for (int columns = 1; columns <= 4 * target.lanes; ++columns) {
    const int rows = 4, wide = columns + 2, high = rows + 2;
    const Kernel k = parse(
        fmt::format("kernel frame\nparam 0 in f32 {0} x\nparam 1 out f32 {1} y\nphase\nregion extents [{2},{3}] tile "
                    "[{2},{3}]\n%0 = load 0 {{{4} [{5},1]}} within {6} {{-1 [1,0]}} within {5} {{-1 [0,1]}} else 0.5\n"
                    "store 1 {{0 [{3},1]}} %0\n",
                    rows * columns, high * wide, high, wide, -columns - 1, columns, rows));
    const codegen::Code code = codegen::compile_kernels({&k}, target, 1, false);
    package::Jit jit;
    jit.add(code.objects.at(0).bytes, "frame");
    const codegen::TileFunction& f = code.kernels[0].functions.at(0);
    std::vector<float> x(static_cast<size_t>(rows * columns)), y(static_cast<size_t>(high * wide + target.lanes), -1);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
    run_tiles(reinterpret_cast<execute::Kernel>(jit.lookup(f.symbol)), f, {x.data(), y.data()}, 0, f.tiles);
    for (int i = 0; i < static_cast<int>(y.size()); ++i) {
      const int r = i / wide - 1, c = i % wide - 1;
      const bool inside = r >= 0 && r < rows && c >= 0 && c < columns;
      const float expected = r > rows ? -1 : inside ? x[static_cast<size_t>(r * columns + c)] : 0.5f;
      ASSERT_EQ(y[static_cast<size_t>(i)], expected) << columns << ' ' << i;
    }
  }
}

TEST(SharedCode, ThreadsThatCompileChangeNothing) {
  std::vector<Kernel> kernels;
  for (int i = 0; i < 40; ++i) kernels.push_back(adding(fmt::format("k{}", i), i, 1 + i));
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
