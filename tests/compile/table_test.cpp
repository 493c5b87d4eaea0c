// Tables of numbers as bytes: rounding to every dtype.
#include "compiler/package/table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace gmc {
namespace {

uint16_t half(DType dtype, double value) {
  const std::string bytes = package::bytes_of(dtype, {value});
  uint16_t out = 0;
  EXPECT_EQ(bytes.size(), sizeof out);
  std::memcpy(&out, bytes.data(), sizeof out);
  return out;
}

TEST(Table, RoundsToTheNearestHalf) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const std::pair<double, uint16_t> cases[] = {{0, 0},
                                               {-0.0, 0x8000},
                                               {1, 0x3c00},
                                               {-2.5, 0xc100},
                                               {65504, 0x7bff},
                                               {65519, 0x7bff},
                                               {65520, 0x7c00},
                                               {1e300, 0x7c00},
                                               {-inf, 0xfc00},
                                               {std::ldexp(1, -14), 0x0400},
                                               {std::ldexp(1, -24), 0x0001},
                                               {std::ldexp(1, -25), 0x0000},
                                               {std::ldexp(3, -25), 0x0002},
                                               {std::ldexp(1023.75, -24), 0x0400},
                                               {1 + std::ldexp(1, -11), 0x3c00},
                                               {1 + std::ldexp(3, -11), 0x3c02},
                                               // By way of f32 it would be a tie.
                                               {1 + std::ldexp(1, -11) + std::ldexp(1, -40), 0x3c01}};
  for (const auto& [value, bits] : cases) EXPECT_EQ(half(DType::f16, value), bits) << value;
  EXPECT_TRUE((half(DType::f16, std::nan("")) & 0x7fff) > 0x7c00);
}

// The upper half of an f32, rounded to even.
TEST(Table, RoundsToTheNearestBrainFloat) {
  for (double value : {1.0, -3.14159, 1e-39, 1e-45, 3.4e38, 1.0078125 + 0.00390625, 2e-3, 7e37}) {
    const auto single = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &single, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    EXPECT_EQ(half(DType::bf16, static_cast<double>(single)), rounded) << value;
  }
}

TEST(Table, HoldsIntegersAndBools) {
  EXPECT_EQ(package::bytes_of(DType::i8, {-1, 127}), std::string("\xff\x7f"));
  EXPECT_EQ(package::bytes_of(DType::u8, {255, 0}), std::string("\xff\0", 2));
  EXPECT_EQ(package::bytes_of(DType::boolean, {0, 1}), std::string("\0\1", 2));
  EXPECT_EQ(package::bytes_of(DType::i32, {-2}), std::string("\xfe\xff\xff\xff"));
  EXPECT_EQ(package::bytes_of(DType::i64, {1}), std::string("\1\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(package::bytes_of(DType::f64, {1}), std::string("\0\0\0\0\0\0\xf0\x3f", 8));
  EXPECT_EQ(package::bytes_of(DType::f32, {-2}), std::string("\0\0\0\xc0", 4));
}

}  // namespace
}  // namespace gmc
