// Conversions to and from the floats of 16 bits, and to integers, against definitions of their own.
#include "tests/math/program.h"

#include <gtest/gtest.h>

namespace gmc::test {
namespace {

Body to_integer(const std::string& name, Element in, Element out, bool is_signed) {
  return {name, in, out, [=](VectorMath& m, llvm::IRBuilder<>& b, llvm::Value* x, llvm::Value*) {
            return m.to_integer(x, type_of(b, out), is_signed);
          }};
}

Programs& programs() {
  using V = llvm::Value;
  using B = llvm::IRBuilder<>;
  static Programs all(
      {{"to_bf16", Element::f32, Element::i16, [](VectorMath& m, B&, V* x, V*) { return m.to_bf16(x); }},
       {"to_f16", Element::f32, Element::i16, [](VectorMath& m, B&, V* x, V*) { return m.to_f16(x); }},
       {"from_bf16", Element::i16, Element::f32, [](VectorMath& m, B&, V* x, V*) { return m.from_bf16(x); }},
       {"from_f16", Element::i16, Element::f32, [](VectorMath& m, B&, V* x, V*) { return m.from_f16(x); }},
       to_integer("i8_of_f32", Element::f32, Element::i8, true),
       to_integer("u8_of_f32", Element::f32, Element::i8, false),
       to_integer("i32_of_f32", Element::f32, Element::i32, true),
       to_integer("i64_of_f32", Element::f32, Element::i64, true),
       to_integer("i8_of_f64", Element::f64, Element::i8, true),
       to_integer("u8_of_f64", Element::f64, Element::i8, false),
       to_integer("i32_of_f64", Element::f64, Element::i32, true),
       to_integer("i64_of_f64", Element::f64, Element::i64, true)});
  return all;
}

// The value of a float with so many exponent and fraction bits.
double value_of(uint32_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = bits >> (exponent_bits + fraction_bits) & 1 ? -1 : 1;
  const int exponent = static_cast<int>(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const double fraction = bits & ((1u << fraction_bits) - 1);
  if (exponent == (1 << exponent_bits) - 1) return fraction != 0 ? static_cast<double>(NAN) : sign * INFINITY;
  const double significand = exponent == 0 ? fraction : fraction + (1 << fraction_bits);
  return sign * ldexp(significand, std::max(exponent, 1) - bias - fraction_bits);
}

// The bits nearest to x, from the definition: x over the spacing at x, rounded.
uint16_t nearest(double x, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint32_t sign = signbit(x) ? 0x8000 : 0;
  const double size = fabs(x);
  const uint32_t infinite = static_cast<uint32_t>((1 << exponent_bits) - 1) << fraction_bits;
  if (isinf(x)) return static_cast<uint16_t>(sign | infinite);
  const int exponent = size == 0 ? 1 - bias : std::max(ilogb(size), 1 - bias);
  const double steps = rint(ldexp(size, fraction_bits - exponent));  // carries into the exponent by itself
  const uint32_t bits = static_cast<uint32_t>(steps) + (static_cast<uint32_t>(exponent + bias - 1) << fraction_bits);
  return static_cast<uint16_t>(sign | std::min(bits, infinite));
}

void expect_widening(Map map, int exponent_bits, int fraction_bits) {
  std::vector<uint16_t> in(1 << 16);
  std::vector<float> out(in.size());
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint16_t>(i);
  map(in.data(), in.data(), out.data(), 1 << 16);
  for (uint32_t i = 0; i < in.size(); ++i) {
    const auto expected = static_cast<float>(value_of(i, exponent_bits, fraction_bits));
    if (isnan(expected)) {
      ASSERT_TRUE(isnan(out[i])) << i;
      continue;
    }
    ASSERT_EQ(bits_of(out[i]), bits_of(expected)) << fmt::format("{:#x}", i);
  }
}

void expect_narrowing(Map map, int exponent_bits, int fraction_bits, uint64_t stride) {
  constexpr size_t batch = 1 << 14;
  std::vector<float> in(batch);
  std::vector<uint16_t> out(batch);
  for (uint64_t first = 0; first < uint64_t{1} << 32; first += batch * stride) {
    for (size_t i = 0; i < batch; ++i) in[i] = float_of(static_cast<uint32_t>(first + i * stride));
    map(in.data(), in.data(), out.data(), batch);
    for (size_t i = 0; i < batch; ++i) {
      if (isnan(in[i])) {
        ASSERT_TRUE(isnan(value_of(out[i], exponent_bits, fraction_bits))) << bits_of(in[i]);
        continue;
      }
      ASSERT_EQ(out[i], nearest(in[i], exponent_bits, fraction_bits)) << fmt::format("{:a}", in[i]);
    }
  }
}

// The middles between neighbours and the floats next to them, which a stride misses.
void expect_ties(Map map, int exponent_bits, int fraction_bits) {
  std::vector<float> in;
  for (uint32_t i = 0; i < 1u << 16; ++i) {
    const double a = value_of(i, exponent_bits, fraction_bits), b = value_of(i + 1, exponent_bits, fraction_bits);
    if (!isfinite(a)) continue;
    const auto middle =
        static_cast<float>(isfinite(b) ? (a + b) / 2 : a + (a - value_of(i - 1, exponent_bits, fraction_bits)) / 2);
    for (float x : {middle, nextafterf(middle, 0), nextafterf(middle, 2 * middle)}) in.push_back(x);
  }
  in.resize(in.size() / 16 * 16);
  std::vector<uint16_t> out(in.size());
  map(in.data(), in.data(), out.data(), static_cast<int64_t>(in.size()));
  for (size_t i = 0; i < in.size(); ++i)
    ASSERT_EQ(out[i], nearest(in[i], exponent_bits, fraction_bits)) << fmt::format("{:a}", in[i]);
}

TEST(Convert, FloatsOf16Bits) {
  const uint64_t stride = long_tests() ? 1 : 1021;
  programs().each([&](const char* kind, auto find, bool) {
    SCOPED_TRACE(kind);
    expect_widening(find("from_bf16"), 8, 7);
    expect_widening(find("from_f16"), 5, 10);
    expect_ties(find("to_bf16"), 8, 7);
    expect_ties(find("to_f16"), 5, 10);
    expect_narrowing(find("to_bf16"), 8, 7, stride);
    expect_narrowing(find("to_f16"), 5, 10, stride);
  });
}

template <class Integer, class Float>
Integer saturated(Float x) {
  if (isnan(x)) return 0;
  const long double whole = truncl(x);
  if (whole <= static_cast<long double>(std::numeric_limits<Integer>::min()))
    return std::numeric_limits<Integer>::min();
  if (whole >= static_cast<long double>(std::numeric_limits<Integer>::max()))
    return std::numeric_limits<Integer>::max();
  return static_cast<Integer>(whole);
}

template <class Integer, class Float>
void expect_integers(Map map, std::vector<Float> in) {
  std::vector<Integer> out(in.size());
  map(in.data(), in.data(), out.data(), static_cast<int64_t>(in.size()));
  for (size_t i = 0; i < in.size(); ++i) ASSERT_EQ(out[i], saturated<Integer>(in[i])) << fmt::format("{:a}", in[i]);
}

// Numbers on and about the ends of every type, and everything that is not a number.
template <class Float>
std::vector<Float> corners() {
  std::vector<Float> all{0, -Float{0}, Float{0.5}, Float{-0.75}, INFINITY, -INFINITY, NAN, -NAN};
  for (int power : {0, 7, 8, 15, 16, 23, 24, 31, 32, 52, 53, 62, 63, 64, 100})
    for (Float near : {Float{-1.5}, Float{-1}, Float{-0.5}, Float{0}, Float{0.5}, Float{1}})
      for (Float sign : {Float{1}, Float{-1}}) {
        const Float x = sign * (ldexp(Float{1}, power) + near);
        for (Float y : {x, std::nextafter(x, Float{0}), std::nextafter(x, 2 * x)}) all.push_back(y);
      }
  all.resize(all.size() / 16 * 16);
  return all;
}

TEST(Convert, IntegersAtTheirEnds) {
  programs().each([&](const char* kind, auto find, bool) {
    SCOPED_TRACE(kind);
    expect_integers<int8_t>(find("i8_of_f32"), corners<float>());
    expect_integers<uint8_t>(find("u8_of_f32"), corners<float>());
    expect_integers<int32_t>(find("i32_of_f32"), corners<float>());
    expect_integers<int64_t>(find("i64_of_f32"), corners<float>());
    expect_integers<int8_t>(find("i8_of_f64"), corners<double>());
    expect_integers<uint8_t>(find("u8_of_f64"), corners<double>());
    expect_integers<int32_t>(find("i32_of_f64"), corners<double>());
    expect_integers<int64_t>(find("i64_of_f64"), corners<double>());
  });
}

TEST(Convert, IntegersOfASample) {
  const uint64_t stride = long_tests() ? 1 : 4093;
  constexpr size_t batch = 1 << 14;
  std::vector<float> in(batch);
  programs().each([&](const char* kind, auto find, bool) {
    SCOPED_TRACE(kind);
    for (uint64_t first = 0; first < uint64_t{1} << 32; first += batch * stride) {
      for (size_t i = 0; i < batch; ++i) in[i] = float_of(static_cast<uint32_t>(first + i * stride));
      expect_integers<int8_t>(find("i8_of_f32"), in);
      expect_integers<uint8_t>(find("u8_of_f32"), in);
      expect_integers<int32_t>(find("i32_of_f32"), in);
      expect_integers<int64_t>(find("i64_of_f32"), in);
      if (::testing::Test::HasFatalFailure()) return;
    }
  });
}

}  // namespace
}  // namespace gmc::test
