// The text of a kernel: back and forth, and what the parser and the verifier refuse.
#include "compiler/kernel/kernel.h"
#include "runtime/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc::kernel {
namespace {

using ::testing::HasSubstr;

constexpr const char* rows = R"(kernel k3.fc1/softmax
param 0 in f32 24 x
param 1 out f32 24 softmax
param 2 in f32 6 bias
param 3 out f32 4 row sums
param 4 out f32 6 column sums
param 5 out bool 24 mask
param 6 temporary f32 12 partial results
phase
region extents [4,6] tile [2,6]
%0 = load 0 {0 [6,1]}
%1 = load 2 {0 [0,1]}
%2 = add %0 %1
%3 = row max %2
%4 = sub %2 %3
%5 = exp %4
%6 = row sum %5
store 3 {0 [1,0]} %6
%8 = constant 0.25
%9 = less %5 %8 bool
store 5 {0 [6,1]} %9 bool
%11 = random normal 18446744073709551615 {0 [6,1]}
%12 = select %9 %11 %5
store 1 {0 [6,1]} %12
fold sum 6 {0 [0,1]} %12
phase
region extents [2,6] tile [2,6]
%0 = load 6 {0 [6,1]}
fold sum 4 {0 [0,1]} %0
)";

constexpr const char* product = R"(kernel k1.matmul
param 0 in f32 12 a
param 1 in f32 20 b
param 2 out f32 15 c
param 3 temporary f32 20 packed
phase
region extents [3,5] tile [1,1]
product a 0 b 1 packed 3 k 4 lda 4 ldb 4 transpose 0 1
%0 = product
%1 = constant inf
%2 = min %0 %1
store 2 {0 [5,1]} %2
)";

constexpr const char* lookups = R"(kernel k2.pad
param 0 in f64 24 x
param 1 in i64 4 i
param 2 out f64 40 y
phase
region extents [4,10] tile [4,10]
%0 = load 0 {-2 [6,1]} within 6 {-2 [0,1]} within 4 {0 [1,0]} else -1.5 f64
%1 = load 1 {0 [1,0]} i64
%2 = gather 0 {0 [0,0]} %1 of 4 6 %1 of 6 1 f64
%3 = index {1 [0,2]} i64
%4 = cast %3 f64
%5 = constant 2 within 3 {0 [0,1]} else 7 f64
%6 = add %0 %2 f64
%7 = add %6 %4 f64
%8 = row max %7 f64
%9 = add %8 %5 f64
store 2 {0 [10,1]} %9 f64
)";

constexpr const char* batch = R"(kernel k2.scores
param 0 in f32 130 qkv
param 1 out f32 36 c
phase
region extents [2,2,3,3] tile [1,1]
product a 0 b 0 packed -1 k 4 lda 20 ldb 20 transpose 0 1 at {0 [60,8]} {5 [60,8]}
%0 = product
store 1 {0 [18,9,3,1]} %0
)";

constexpr const char* unfolded = R"(kernel k3.conv
param 0 in f32 135 w
param 1 in f32 600 padded
param 2 out f32 640 y
phase
region extents [2,5,64] tile [1,1]
product a 0 b 1 packed -1 k 27 lda 27 ldb 1 transpose 0 0 at {0 [0]} {0 [300]} k {[3,3,3] [100,10,1]} n {[8,8] [10,1]}
%0 = product
store 2 {0 [320,64,1]} %0
)";

constexpr const char* pairs = R"(kernel k4.interleave
param 0 in f64 24 x
param 1 out f64 24 y
phase
region extents [3,4] tile [3,4]
%0 = load 0 {0 [8,1]} f64
%1 = load 0 {4 [8,1]} f64
store 1 {0 [8,2]} %0 %1 f64
)";

std::string error_of(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}
// The error after one replacement in the text.
std::string damaged(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return error_of(text.replace(at, from.size(), to));
}

TEST(KernelText, ComesBackAsItWas) {
  for (const char* text : {rows, product, lookups, batch, unfolded, pairs}) EXPECT_EQ(print(parse(text)), text);
  const Kernel k = parse(rows);
  EXPECT_EQ(k.parameters[3].name, "row sums");
  EXPECT_EQ(k.phases[0].regions[0].body[10].dtype, DType::boolean);
  EXPECT_EQ(k.phases[0].regions[0].body[11].stream, UINT64_MAX);
  EXPECT_TRUE(parse(product).phases[0].regions[0].product->transpose_b);
}

TEST(KernelText, SkipsComments) { EXPECT_EQ(print(parse("// by hand\n\n" + std::string(product))), product); }

TEST(KernelText, NamesTheLineThatIsWrong) {
  EXPECT_EQ(damaged(product, "product a", "produce a"), "kernel text line 8: unknown word 'produce'");
  EXPECT_EQ(damaged(product, "min %0", "mim %0"), "kernel text line 11: unknown function 'mim'");
  EXPECT_EQ(damaged(product, "%0 %1", "%0"), "kernel text line 11: a word is missing");
  EXPECT_EQ(damaged(product, "%0 %1", "%0 one"), "kernel text line 11: expected %N, got 'one'");
  EXPECT_EQ(damaged(product, "k 4", "k four"), "kernel text line 8: expected a number, got 'four'");
  EXPECT_EQ(damaged(product, "tile [1,1]", "tile [1]"), "kernel text line 7: expected tile [rows,columns]");
  EXPECT_EQ(damaged(product, "param 1 in", "param 2 in"), "kernel text line 3: expected parameter 1");
  EXPECT_EQ(damaged(product, "temporary", "scratch"), "kernel text line 5: unknown mode 'scratch'");
  EXPECT_EQ(damaged(product, "in f32 12", "in f31 12"), "kernel text line 2: unknown dtype");
  EXPECT_EQ(damaged(product, "phase\n", ""), "kernel text line 6: no phase above");
  EXPECT_EQ(damaged(product, "[5,1]} %2", "[5,1]} %2 %2 %2"), "kernel text line 12: expected a dtype, got '%2'");
}

TEST(KernelVerify, NamesTheInstructionAndTheRule) {
  EXPECT_EQ(damaged(rows, "add %0 %1", "add %0 %2"),
            "kernel 'k3.fc1/softmax', instruction %2: operand %2 is not above");
  EXPECT_THAT(damaged(rows, "%12\nfold", "%10\nfold"), HasSubstr("instruction %13: operand %10 has no value"));
  EXPECT_THAT(damaged(rows, "load 2", "load 9"), HasSubstr("instruction %1: no such parameter"));
  EXPECT_THAT(damaged(rows, "load 0 {0 [6,1]}", "load 0 {0 [6]}"), HasSubstr("strides and extents differ in number"));
  EXPECT_THAT(damaged(rows, "fold sum 6 {0 [0,1]}", "fold sum 6 {0 [1]}"), HasSubstr("strides and extents differ"));
  EXPECT_THAT(damaged(rows, "load 0 {0 [6,1]}", "load 0 {1 [6,1]}"), HasSubstr("reaches elements 1 to 24 of 24"));
  EXPECT_THAT(damaged(rows, "load 0 {0 [6,1]}", "load 0 {0 [-6,1]}"), HasSubstr("reaches elements -18 to 5 of 24"));
  EXPECT_THAT(damaged(rows, "load 0", "load 1"), HasSubstr("instruction %0: loads from an output"));
  EXPECT_THAT(damaged(rows, "store 1", "store 0"), HasSubstr("instruction %13: writes to an input"));
  EXPECT_THAT(damaged(rows, "row max", "row mean"), HasSubstr("instruction %3: unknown monoid 'mean'"));
  EXPECT_THAT(damaged(rows, "6 temporary f32 12", "6 temporary f32 11"),
              HasSubstr("instruction %14: leaves 12 results in 11 elements"));
  EXPECT_THAT(damaged(rows, "fold sum 4", "fold avg 4"), HasSubstr("instruction %1: unknown monoid 'avg'"));
  EXPECT_THAT(damaged(rows, "tile [2,6]", "tile [2,3]"), HasSubstr("instruction %3: a row is cut into several tiles"));
  EXPECT_THAT(damaged(rows, "tile [2,6]", "tile [0,6]"), HasSubstr("a tile has no elements"));
  EXPECT_THAT(damaged(pairs, "[8,2]", "[8,1]"), HasSubstr("instruction %2: a pair lies apart"));
  EXPECT_THAT(damaged(pairs, "1 {0 [8,2]}", "1 {1 [8,2]}"), HasSubstr("reaches elements 1 to 24 of 24"));
  EXPECT_THAT(damaged(product, "{0 [5,1]} %2", "{0 [5,1]} %2 %2"), HasSubstr("a pair in a region with a product"));
  EXPECT_THAT(damaged(product, "product a 0", "product a 7"), HasSubstr("its product has no such operand"));
  EXPECT_THAT(damaged(product, "product a 0 b 1 packed 3 k 4 lda 4 ldb 4 transpose 0 1\n", ""),
              HasSubstr("instruction %0: the region has no product"));
  EXPECT_THAT(damaged(product, "min %0 %1", "row sum %0"), HasSubstr("a reduction in a region with a product"));
}

TEST(KernelVerify, KnowsWhatAProductReads) {
  EXPECT_EQ(error_of(batch), "");
  EXPECT_THAT(damaged(batch, "f32 130 qkv", "f32 116 qkv"),
              HasSubstr("operand b of its product reaches elements 5 to 116 of 116"));
  EXPECT_THAT(damaged(batch, "{0 [60,8]}", "{0 [60,-8]}"), HasSubstr("operand a of its product reaches elements -8"));
  EXPECT_THAT(damaged(batch, "{0 [60,8]}", "{0 [60]}"), HasSubstr("strides for 1 and 2 batch axes of 4 extents"));
  EXPECT_THAT(damaged(batch, "{0 [60,8]}", "{0 [9223372036854775807,8]}"),
              HasSubstr("operand a of its product reaches"));
  EXPECT_THAT(damaged(batch, "[2,2,3,3]", "[3037000500,2,3,3]"), HasSubstr("reaches"));
  EXPECT_THAT(damaged(batch, "lda 20", "lda 0"), HasSubstr("its product has leading dimensions 0 and 20"));
  EXPECT_THAT(damaged(batch, "k 4", "k 0"), HasSubstr("its product has an empty dimension"));
  EXPECT_EQ(error_of(unfolded), "");
  EXPECT_THAT(damaged(unfolded, "600 padded", "599 padded"),
              HasSubstr("operand b of its product reaches elements 0 to 599 of 599"));
  EXPECT_THAT(damaged(unfolded, "k {[3,3,3]", "k {[3,3,4]"),
              HasSubstr("axes [3, 3, 4] with strides [100, 10, 1] do not"));
  EXPECT_THAT(damaged(unfolded, "[10,1]}", "[10]}"), HasSubstr("do not make up 64"));
  EXPECT_THAT(damaged(unfolded, "n {[8,8]", "n {[-8,-8]"), HasSubstr("do not make up 64"));
  EXPECT_THAT(damaged(product, "lda 4", "lda 5"), HasSubstr("operand a of its product reaches elements 0 to 13 of 12"));
}

// The text cannot say so, whoever builds a kernel can.
TEST(KernelVerify, CountsOperands) {
  const auto error = [](const char* text, size_t instruction, std::vector<int> operands) -> std::string {
    Kernel k = parse(text);
    k.phases[0].regions[0].body[instruction].operands = std::move(operands);
    try {
      verify(k);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(error(pairs, 2, {}), HasSubstr("instruction %2: stores 0 operands"));
  EXPECT_THAT(error(pairs, 2, {0, 1, 0}), HasSubstr("stores 3 operands"));
  EXPECT_THAT(error(rows, 3, {}), HasSubstr("combines 0 operands"));
  EXPECT_THAT(error(rows, 3, {0, 0}), HasSubstr("combines 2 operands"));
}

TEST(KernelVerify, AllowsAnythingInAnEmptySpace) {
  EXPECT_EQ(error_of("kernel k\nparam 0 in f32 0 x\nphase\nregion extents [0,3] tile [1,3]\n%0 = load 0 {0 [3,1]}\n"),
            "");
}

TEST(KernelSpans, FollowAccessesAndReductions) {
  const auto spans = spans_of(parse(rows).phases[0].regions[0]);
  const auto is = [&](size_t i, Span span) { EXPECT_EQ(spans[i], span) << i; };
  is(0, Span::full);
  is(3, Span::row);
  is(5, Span::full);
  is(7, Span::row);
  is(8, Span::scalar);
  is(14, Span::full);
}

// Rows of a value that is the same in every column still give a result for each column.
TEST(KernelSpans, OfAFoldIsThatOfItsResult) {
  const Kernel k = parse("kernel k\nparam 0 in f32 4 x\nparam 1 out f32 6 y\nphase\nregion extents [4,6] tile [4,6]\n"
                         "%0 = load 0 {0 [1,0]}\nfold sum 1 {0 [0,1]} %0\n");
  EXPECT_EQ(spans_of(k.phases[0].regions[0]), (std::vector<Span>{Span::row, Span::full}));
}

TEST(KernelText, SizesCannotOverflow) {
  EXPECT_THAT(damaged(rows, "extents [4,6]", "extents [9223372036854775807,6]"),
              HasSubstr("number of elements overflows"));
  EXPECT_THAT(damaged(rows, "extents [4,6]", "extents [-4,6]"), HasSubstr("number of elements overflows"));
  EXPECT_THAT(damaged(rows, "load 0 {0 [6,1]}", "load 0 {0 [9223372036854775807,1]}"),
              HasSubstr("instruction %0: reaches further than 2^63 elements"));
  EXPECT_THAT(damaged(rows, "load 0 {0 [6,1]}", "load 0 {9223372036854775807 [6,1]}"), HasSubstr("reaches further"));
  EXPECT_THAT(damaged(rows, "load 0 {0 [6,1]}", "load 0 {0 [-9223372036854775807,1]}"), HasSubstr("reaches further"));
  const Kernel k =
      parse(std::string(rows).replace(std::string(rows).find("tile [2,6]"), 10, "tile [9223372036854775807,6]"));
  EXPECT_EQ(tiles_of(k.phases[0].regions[0]), 1);
}

}  // namespace
}  // namespace gmc::kernel
