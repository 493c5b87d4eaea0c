// The drawn digits.
#include "runtime/data/glyphs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace gmc::data::testing {
namespace {

TEST(Glyphs, AreTheSameOnEveryMachine) {
  const HostTensor images = draw_glyphs(200);
  ASSERT_EQ(images.shape, Shape({200, 28, 28}));
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a of the grey values
  for (int64_t i = 0; i < images.count(); ++i) {
    const float value = images.as<float>()[i];
    ASSERT_TRUE(value >= 0 && value <= 1);
    const auto grey = static_cast<uint8_t>(std::lround(value * 255.0f));
    ASSERT_EQ(value, static_cast<float>(grey) / 255.0f);
    hash = (hash ^ grey) * 0x100000001b3u;
  }
  EXPECT_EQ(hash, 9808923649662495455u);
}

TEST(Glyphs, ImageDependsOnItsNumberAlone) {
  const HostTensor few = draw_glyphs(3), many = draw_glyphs(30);
  EXPECT_TRUE(std::equal(few.bytes.begin(), few.bytes.end(), many.bytes.begin()));
}

TEST(Glyphs, AreVariedDigitsInTheMiddle) {
  constexpr int64_t n = 1000, size = glyph_side * glyph_side;
  const HostTensor images = draw_glyphs(n);
  std::vector<int> of_digit(10, 0);
  std::set<std::string> distinct;
  for (int64_t i = 0; i < n; ++i) {
    ++of_digit[static_cast<size_t>(glyph_digit(i))];
    const float* image = images.as<float>() + i * size;
    double ink = 0, rim = 0;
    for (int64_t p = 0; p < size; ++p) {
      ink += image[p];
      const bool at_rim = p < glyph_side || p >= size - glyph_side || p % glyph_side == 0 || p % glyph_side == 27;
      if (at_rim) rim += image[p];
    }
    EXPECT_GT(ink, 15) << i;
    EXPECT_LT(ink, 250) << i;
    EXPECT_LT(rim, 6) << i;
    distinct.insert(std::string(reinterpret_cast<const char*>(image), size * sizeof(float)));
  }
  EXPECT_EQ(distinct.size(), static_cast<size_t>(n));
  for (const int count : of_digit) EXPECT_GT(count, 60);
}

}  // namespace
}  // namespace gmc::data::testing
