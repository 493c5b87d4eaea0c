// Generated random streams against their definition, and the definition against published vectors.
#include "tests/math/generated.h"

#include <gtest/gtest.h>

namespace gmc::test {
namespace {

using execute::Words;

void expect_words(const Words& got, const Words& expected) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(got.w[i], expected.w[i]) << "word " << i;
}

// The known answers that Random123 1.09 publishes for Philox4x32-10 (tests/kat_vectors).
TEST(Philox, KnownAnswers) {
  expect_words(execute::philox(0, 0, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  expect_words(execute::philox(~0ull, ~0ull, ~0ull), {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  expect_words(execute::philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
               {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST(Philox, StreamKeyIsTheDefinition) {
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{42}, ~uint64_t{0}})
    for (uint64_t step : {uint64_t{0}, uint64_t{7}, uint64_t{1} << 40}) {
      const execute::RunParameters run{seed, step};
      EXPECT_EQ(native().key()(&run), execute::stream_key(seed, key_stream, step)) << seed << ' ' << step;
    }
}

// The worked example of docs/numerics.md.
TEST(Philox, PublishedDraw) {
  struct Row {
    uint64_t loop, element;
    uint32_t word;
    double uniform, normal;
  };
  const uint64_t stream = execute::stream_of("step/encoder/noise");
  EXPECT_EQ(stream, 0x70e8760889553ee1);
  const uint64_t key = execute::stream_key(42, stream, 7);
  EXPECT_EQ(key, 0x13d841d2470f9f9c);
  for (const Row& row : {Row{0, 0, 0x39157a7e, 0.222983956, 0.591729067874},
                         {0, 1, 0x80b466e6, 0.502752662, -0.006900088938},
                         {0, 2, 0xfbcfe88d, 0.983641148, -2.135531268486},
                         {0, 3, 0x849413d7, 0.517884433, -0.044844778226},
                         {0, 4, 0x60a51d39, 0.377519429, 1.162675671898},
                         {0, 5, 0x296a32fa, 0.161776662, 0.417316994497},
                         {3, 0, 0x143c1f3b, 0.0790423751, 0.199444284637},
                         {3, 1, 0xc7e7ed8a, 0.780882657, -0.775177769470}}) {
    EXPECT_EQ(execute::random_word(key, row.element, row.loop), row.word);
    EXPECT_NEAR(execute::uniform_of(row.word), row.uniform, 5e-10);
    EXPECT_NEAR(execute::normal_of(row.word), row.normal, 6e-13);
  }
}

constexpr uint64_t firsts[] = {0,  1,  2,  3,  4,           5,           6,           7,          15,
                               16, 17, 18, 19, 0x3fffffffd, 0x3fffffffe, 0x3ffffffff, 1ull << 61, ~0ull - 64};
constexpr uint64_t keys[] = {0, ~0ull, 0x299f31d0a4093822}, loops[] = {0, 1, 0xfedcba9876543210};

void expect_stream(Generated& code, int width) {
  for (uint64_t key : keys)
    for (uint64_t loop : loops)
      for (uint64_t first : firsts) {
        uint32_t out[16];
        code.stream(width)(key, first, loop, out);
        for (int i = 0; i < width; ++i)
          ASSERT_EQ(out[i], execute::random_word(key, first + static_cast<uint64_t>(i), loop))
              << fmt::format("key {:#x} loop {:#x} first {:#x} lane {} of {}", key, loop, first, i, width);
        uint64_t elements[16];
        for (uint64_t i = 0; i < 16; ++i) elements[i] = first + i * i * 0x100000007;
        code.stream_at(width)(key, elements, loop, out);
        for (int i = 0; i < width; ++i)
          ASSERT_EQ(out[i], execute::random_word(key, elements[i], loop))
              << fmt::format("element {:#x}, lane {} of {}", elements[i], i, width);
      }
}

TEST(Philox, VectorsAreTheDefinition) {
  for (int width : {1, 4, 8, 16}) expect_stream(native(), width);
  for (int width : {1, 4}) expect_stream(plain(), width);
}

TEST(Uniform, IsTheDefinition) {
  std::vector<uint32_t> words(1 << 20);
  std::vector<float> out(words.size());
  for (uint32_t i = 0; i < words.size(); ++i) words[i] = i * 4093u;
  words.back() = ~0u;
  native().loop("uniform", 16)(words.data(), out.data(), static_cast<int64_t>(words.size()));
  for (size_t i = 0; i < words.size(); ++i) ASSERT_EQ(out[i], execute::uniform_of(words[i])) << words[i];
}

// The distribution's own values: P(|z| < z_p) = p.
TEST(Normal, QuantilesOfTheDefinition) {
  EXPECT_NEAR(execute::normal_of(0x40000000), 0.67448975019608171, 2e-9);
  EXPECT_NEAR(execute::normal_of(0xc0000000), -0.67448975019608171, 2e-9);
  for (uint32_t word : {0u, 1u, 1000u, 0x12345678u, 0x40000000u, 0x7f000000u, 0x7ffffff0u, 0x7fffffffu}) {
    const double z = execute::normal_of(word);
    const double above = (static_cast<double>(0x7fffffffu - word) + 0.5) * 0x1p-31;
    EXPECT_NEAR(erfc(z * M_SQRT1_2) / above, 1, 1e-12) << word;
    EXPECT_EQ(execute::normal_of(word | 0x80000000u), -z);
  }
}

TEST(Normal, IsOddInTheSignBit) {
  std::vector<uint32_t> words(1 << 18);
  std::vector<float> plus(words.size()), minus(words.size());
  for (uint32_t i = 0; i < words.size(); ++i) words[i] = i * 8191u & 0x7fffffffu;
  native().loop("normal", 16)(words.data(), plus.data(), static_cast<int64_t>(words.size()));
  for (uint32_t& w : words) w |= 0x80000000u;
  native().loop("normal", 16)(words.data(), minus.data(), static_cast<int64_t>(words.size()));
  for (size_t i = 0; i < words.size(); ++i) ASSERT_EQ(plus[i], -minus[i]) << words[i];
}

}  // namespace
}  // namespace gmc::test
