// Special values, the independence of a lane's bits from the width, and the symbols that generated code needs.
#include "tests/math/generated.h"

#include <gtest/gtest.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>

#include <span>

namespace gmc::test {
namespace {

constexpr float inf = INFINITY, nan = NAN, least = 0x1p-149f, half_pi = 0x1.921fb6p0f;

struct Special {
  const char* name;
  float at_minus_inf, at_minus_least, at_minus_zero, at_zero, at_least, at_inf;
};

// The least subnormal stands for what happens next to zero.
constexpr Special specials[] = {
    {"exp", 0, 1, 1, 1, 1, inf},
    {"expm1", -1, -least, -0.f, 0, least, inf},
    {"log", nan, nan, -inf, -inf, -0x1.9d1da0p6f, inf},
    {"log1p", nan, -least, -0.f, 0, least, inf},
    {"tanh", -1, -least, -0.f, 0, least, 1},
    {"sqrt", nan, nan, -0.f, 0, 0x1.6a09e6p-75f, inf},
    {"rsqrt", nan, nan, -inf, inf, 0x1.6a09e6p74f, 0},
    {"erf", -1, -least, -0.f, 0, least, 1},
    {"sin", nan, -least, -0.f, 0, least, nan},
    {"cos", nan, 1, 1, 1, 1, nan},
    {"sigmoid", 0, 0.5f, 0.5f, 0.5f, 0.5f, 1},
    {"softplus", 0, 0x1.62e430p-1f, 0x1.62e430p-1f, 0x1.62e430p-1f, 0x1.62e430p-1f, inf},
    {"silu", -0.f, -0.f, -0.f, 0, 0, inf},
    {"gelu", -0.f, -0.f, -0.f, 0, 0, inf},
    {"gelu_tanh", -0.f, -0.f, -0.f, 0, 0, inf},
    {"exp2", 0, 1, 1, 1, 1, inf},
    {"log2", nan, nan, -inf, -inf, -149, inf},
    {"log10", nan, nan, -inf, -inf, -0x1.66d3e8p5f, inf},
    {"sinh", -inf, -least, -0.f, 0, least, inf},
    {"cosh", inf, 1, 1, 1, 1, inf},
    {"asinh", -inf, -least, -0.f, 0, least, inf},
    {"acosh", nan, nan, nan, nan, nan, inf},
    {"atanh", nan, -least, -0.f, 0, least, nan},
    {"tan", nan, -least, -0.f, 0, least, nan},
    {"asin", nan, -least, -0.f, 0, least, nan},
    {"acos", nan, half_pi, half_pi, half_pi, half_pi, nan},
    {"atan", -half_pi, -least, -0.f, 0, least, half_pi},
    {"erfinv", nan, -least, -0.f, 0, least, nan},
    {"floor", -inf, -1, -0.f, 0, 0, inf},
    {"ceil", -inf, -0.f, -0.f, 0, 1, inf},
    {"trunc", -inf, -0.f, -0.f, 0, 0, inf},
    {"round", -inf, -0.f, -0.f, 0, 0, inf},
};

void expect_special(Generated& code, int width) {
  ASSERT_EQ(std::size(specials), functions().size());
  for (const Special& s : specials) {
    const float in[16] = {
        -inf, -least, -0.f, 0, least, inf, nan, -nan, float_of(0x7f800001), float_of(0xff800001), float_of(0x7fffffff)};
    const float expected[16] = {
        s.at_minus_inf, s.at_minus_least, s.at_minus_zero, s.at_zero, s.at_least, s.at_inf, nan, nan, nan, nan, nan};
    float out[16];
    code.loop(s.name, width)(in, out, 16);
    for (int i = 0; i < 11; ++i) {
      if (isnan(expected[i])) {
        EXPECT_TRUE(isnan(out[i])) << s.name << " of " << in[i] << " is " << out[i];
        continue;
      }
      EXPECT_EQ(bits_of(out[i]), bits_of(expected[i]))
          << fmt::format("{}({:a}) is {:a}, expected {:a}", s.name, in[i], out[i], expected[i]);
    }
  }
}

TEST(Special, Values) {
  expect_special(native(), 16);
  expect_special(native(), 1);
  expect_special(plain(), 4);
}

TEST(Special, ExpOverflowsAndUnderflowsWhereItShould) {
  const float in[16] = {0x1.62e42ep6f, 0x1.62e430p6f, -0x1.9fe368p6f, -0x1.9fe36ap6f};
  float out[16];
  native().loop("exp", 16)(in, out, 16);
  EXPECT_EQ(out[0], 0x1.ffff08p127f);
  EXPECT_EQ(out[1], inf);
  EXPECT_EQ(out[2], least);
  EXPECT_EQ(out[3], 0);
}

// Ends of the domain, where the results are exact, ties, and powers of the bases.
TEST(Special, ValuesInside) {
  struct Row {
    const char* name;
    float x, y;
  };
  for (Generated* code : {&native(), &plain()})
    for (const Row& r :
         {Row{"acosh", 1, 0},        {"atanh", 1, inf},     {"atanh", -1, -inf},         {"asin", 1, half_pi},
          {"asin", -1, -half_pi},    {"acos", 1, 0},        {"acos", -1, 0x1.921fb6p1f}, {"erfinv", 1, inf},
          {"erfinv", -1, -inf},      {"exp2", 10, 1024},    {"exp2", -149, least},       {"exp2", 128, inf},
          {"log2", 0x1p-140f, -140}, {"log2", 8, 3},        {"log10", 1000, 3},          {"log10", 1e10f, 10},
          {"round", 0.5f, 0},        {"round", 1.5f, 2},    {"round", -2.5f, -2},        {"round", 8388607.5f, 8388608},
          {"floor", -0.5f, -1},      {"ceil", -0.5f, -0.f}, {"trunc", -1.9f, -1}}) {
      float in[4] = {r.x, r.x, r.x, r.x}, out[4];
      code->loop(r.name, 4)(in, out, 4);
      EXPECT_EQ(bits_of(out[0]), bits_of(r.y)) << fmt::format("{}({:a}) is {:a}", r.name, r.x, out[0]);
    }
}

void expect_same(Generated& code, const std::string& name, std::span<const int> widths) {
  constexpr uint32_t batch = 4096;
  std::vector<uint32_t> in(batch), first(batch), other(batch);
  uint32_t bits = 12345;
  for (int round = 0; round < 64; ++round) {
    for (uint32_t& x : in) x = bits, bits += 16381;
    code.loop(name, widths[0])(in.data(), first.data(), batch);
    for (int width : widths.subspan(1)) {
      code.loop(name, width)(in.data(), other.data(), batch);
      for (uint32_t i = 0; i < batch; ++i) {
        if (isnan(float_of(first[i])) && isnan(float_of(other[i]))) continue;
        ASSERT_EQ(first[i], other[i]) << name << " of " << fmt::format("{:#x}", in[i]) << " at width " << width;
      }
    }
  }
}

TEST(SameBits, AtEveryWidth) {
  std::vector<std::string> names{"normal", "uniform"};
  for (const Function& f : functions()) names.push_back(f.name);
  for (const std::string& name : names) {
    expect_same(native(), name, std::vector{16, 8, 4, 1});
    expect_same(plain(), name, std::vector{4, 1});
  }
}

// A target's instructions differ from the next one's, the bits must not.
TEST(SameBits, OnEveryTargetWithFusedMultiplyAdd) {
  if (codegen::host_target().lanes != 16) GTEST_SKIP() << "this machine has no 16 lanes";
  Generated narrow(codegen::target_named("x86-64-v3"), {8});
  Generated wide(codegen::target_named("x86-64-v4"), {16});
  std::vector<uint32_t> in(1 << 16), a(in.size()), b(in.size());
  for (uint32_t i = 0; i < in.size(); ++i) in[i] = i * 65521;
  std::vector<std::string> names{"normal", "uniform"};
  for (const Function& f : functions()) names.push_back(f.name);
  for (const std::string& name : names) {
    narrow.loop(name, 8)(in.data(), a.data(), static_cast<int64_t>(in.size()));
    wide.loop(name, 16)(in.data(), b.data(), static_cast<int64_t>(in.size()));
    for (size_t i = 0; i < in.size(); ++i) {
      if (isnan(float_of(a[i])) && isnan(float_of(b[i]))) continue;
      ASSERT_EQ(a[i], b[i]) << name << fmt::format(" of {:#x}", in[i]);
    }
  }
}

std::vector<std::string> undefined_symbols(const codegen::Object& object) {
  const auto buffer = llvm::MemoryBuffer::getMemBuffer(object, "math", false);
  auto file = llvm::object::ObjectFile::createObjectFile(buffer->getMemBufferRef());
  if (!file) fail("cannot read the object: {}", llvm::toString(file.takeError()));
  std::vector<std::string> names;
  for (const llvm::object::SymbolRef& symbol : (*file)->symbols()) {
    const uint32_t flags = llvm::cantFail(symbol.getFlags());
    if (flags & llvm::object::SymbolRef::SF_Undefined) names.push_back(llvm::cantFail(symbol.getName()).str());
  }
  return names;
}

class Symbols : public ::testing::TestWithParam<const char*> {};

TEST_P(Symbols, NoneIsOutsideTheObject) {
  const Generated code(codegen::target_named(GetParam()), {1, 4, 8, 16});
  for (const std::string& name : undefined_symbols(code.object)) EXPECT_EQ(name, "") << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Targets, Symbols, ::testing::Values("native", "x86-64-v4", "x86-64-v3", "x86-64"));

// The caller's flags must not reach the functions: with them the compiler may contract and reassociate.
TEST(Flags, AreNotInheritedAndAreKept) {
  llvm::LLVMContext context;
  const codegen::Target target = codegen::host_target();
  const auto machine = codegen::make_target_machine(target);
  const auto module = codegen::make_module(context, "flags", *machine);
  llvm::IRBuilder<> b(context);
  auto* vector = llvm::FixedVectorType::get(b.getFloatTy(), 8);
  auto* type = llvm::FunctionType::get(vector, {vector}, false);
  auto* f = llvm::Function::Create(type, llvm::Function::ExternalLinkage, "f", *module);
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", f));
  llvm::FastMathFlags fast;
  fast.setFast();
  b.setFastMathFlags(fast);
  VectorMath math(b, 8, target);
  llvm::Value* sum = f->getArg(0);
  for (const Function& function : functions()) sum = (math.*function.emit)(sum);
  EXPECT_TRUE(b.getFastMathFlags().isFast());
  b.CreateRet(math.normal_from_bits(b.CreateBitCast(sum, llvm::FixedVectorType::get(b.getInt32Ty(), 8))));
  for (const llvm::Instruction& i : f->getEntryBlock()) {
    const bool flagged = llvm::isa<llvm::FPMathOperator>(i) && i.getFastMathFlags().any();
    EXPECT_FALSE(flagged) << i.getOpcodeName();
  }
}

}  // namespace
}  // namespace gmc::test
