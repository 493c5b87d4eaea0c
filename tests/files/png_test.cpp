#include "runtime/files/png.h"

#include "tests/files/testing.h"

#include <zlib.h>

#include <cmath>
#include <limits>

namespace gmc::files::testing {
namespace {

using ::testing::HasSubstr;

HostTensor bytes_counting(Shape shape) {
  HostTensor result(u8, std::move(shape));
  for (size_t i = 0; i < result.bytes.size(); ++i) result.bytes[i] = std::byte(i * 7 + 1);
  return result;
}

HostTensor floats(Shape shape, std::initializer_list<float> values) {
  HostTensor result(f32, std::move(shape));
  std::copy(values.begin(), values.end(), result.as<float>());
  return result;
}

std::vector<int> pixels(const HostTensor& image) { return {image.as<uint8_t>(), image.as<uint8_t>() + image.count()}; }

TEST(Png, GreyGridHasGutters) {
  const TemporaryFolder folder;
  const HostTensor images = bytes_counting({3, 4, 5});
  save_png_grid(folder / "a.png", images);
  const HostTensor grid = load_png(folder / "a.png");
  ASSERT_EQ(grid.shape, Shape({4 + 2 + 4, 5 + 2 + 5, 1}));
  for (int64_t y = 0; y < 10; ++y)
    for (int64_t x = 0; x < 12; ++x) {
      const int64_t row = y / 6, column = x / 7, n = row * 2 + column;
      const bool inside = y % 6 < 4 && x % 7 < 5 && n < 3;
      const int expected = inside ? images.as<uint8_t>()[(n * 4 + y % 6) * 5 + x % 7] : 0;
      ASSERT_EQ(grid.as<uint8_t>()[y * 12 + x], expected) << y << ' ' << x;
    }
}

TEST(Png, ColourGridTakesChannelsFirst) {
  const HostTensor images = bytes_counting({1, 3, 2, 2});
  const HostTensor grid = parse_png(format_png_grid(images), "file");
  ASSERT_EQ(grid.shape, Shape({2, 2, 3}));
  for (int64_t p = 0; p < 4; ++p)
    for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(grid.as<uint8_t>()[p * 3 + c], images.as<uint8_t>()[c * 4 + p]);
}

TEST(Png, ColumnsAreNearlySquareOrGiven) {
  const auto shape = [](int64_t n, int64_t columns) {
    return parse_png(format_png_grid(HostTensor(u8, {n, 1, 1}), columns), "file").shape;
  };
  EXPECT_EQ(shape(1, 0), Shape({1, 1, 1}));
  EXPECT_EQ(shape(16, 0), Shape({10, 10, 1}));
  EXPECT_EQ(shape(17, 0), Shape({10, 13, 1}));
  EXPECT_EQ(shape(6, 2), Shape({7, 4, 1}));
  EXPECT_EQ(shape(2, 100), Shape({1, 4, 1}));
}

TEST(Png, FloatsAreScaledAndClamped) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  const HostTensor images = floats({1, 1, 6}, {0, 1, 0.5f, -3, inf, -inf});
  EXPECT_EQ(pixels(parse_png(format_png_grid(images), "file")), std::vector<int>({0, 255, 128, 0, 255, 0}));
  const HostTensor symmetric = floats({1, 1, 3}, {-1, 0, 1});
  EXPECT_EQ(pixels(parse_png(format_png_grid(symmetric, 0, -1, 1), "file")), std::vector<int>({0, 128, 255}));
}

TEST(Png, NotANumberIsMagenta) {
  const HostTensor images = floats({1, 1, 2}, {1, std::nanf("")});
  const HostTensor grid = parse_png(format_png_grid(images), "file");
  EXPECT_EQ(grid.shape, Shape({1, 2, 3}));
  EXPECT_EQ(pixels(grid), std::vector<int>({255, 255, 255, 255, 0, 255}));
}

TEST(Png, BytesAreFixed) {
  const HostTensor images = bytes_counting({3, 4, 5});
  EXPECT_EQ(format_png_grid(images), format_png_grid(images));
}

TEST(Png, RefusesToDraw) {
  const auto error = [](const HostTensor& images, int64_t columns = 0, double low = 0, double high = 1) {
    return error_of([&] { format_png_grid(images, columns, low, high); });
  };
  const HostTensor one(u8, {1, 1, 1});
  EXPECT_EQ(error(HostTensor(f64, {1, 1, 1})), "png: expected images of f32 or u8, got f64");
  EXPECT_EQ(error(HostTensor(u8, {4, 4})), "png: expected images [N, H, W] or [N, C, H, W], got [4, 4]");
  EXPECT_EQ(error(HostTensor(u8, {1, 2, 4, 4})), "png: expected 1 or 3 channels, got 2 in [1, 2, 4, 4]");
  EXPECT_EQ(error(HostTensor(u8, {0, 4, 4})), "png: expected at least one pixel, got [0, 4, 4]");
  EXPECT_EQ(error(one, -1), "png: expected columns from 0, got -1");
  EXPECT_EQ(error(one, 0, 1, 1), "png: expected a finite range with low below high, got 1 to 1");
  EXPECT_EQ(error(one, 0, std::nan(""), 1), "png: expected a finite range with low below high, got nan to 1");
  EXPECT_EQ(error(HostTensor(u8, {1, 1, 2'000'000})),
            "png: [1, 1, 2000000] in 1 columns is wider or higher than 1048576 pixels");
  HostTensor torn = one;
  torn.bytes.clear();
  EXPECT_EQ(error(torn), "png: expected 1 bytes for images [1, 1, 1], got 0");
}

TEST(Png, EveryTruncationIsRefused) {
  expect_truncations_refused(format_png_grid(bytes_counting({2, 3, 3})), parse_png);
}

TEST(Png, EveryBitFlipIsRefused) {
  const std::vector<std::byte> file = format_png_grid(bytes_counting({2, 3, 3}));
  EXPECT_EQ(refused_bit_flips(file, file.size(), parse_png), 8 * file.size());
}

TEST(Png, GoldenErrors) {
  std::vector<std::byte> file = format_png_grid(bytes_counting({2, 3, 3}));
  const auto error_in = [](const std::vector<std::byte>& bytes) { return error_of([&] { parse_png(bytes, "file"); }); };
  EXPECT_EQ(error_in(bytes_of("GIF89a..")), "file: byte 0, signature: expected '\\x89PNG', got 'GIF89a..'");
  EXPECT_EQ(error_in(bytes_of("")), "file: byte 0, signature: expected 8 bytes, got 0");
  file.push_back(std::byte{0});
  EXPECT_THAT(error_in(file), HasSubstr("end: expected the end of the file, got 1 more bytes"));
  file.pop_back();
  file[19] = std::byte{9};  // the width, whose checksum is now wrong
  EXPECT_THAT(error_in(file), HasSubstr("file: byte 29, checksum of chunk 'IHDR': expected "));
}

// As 8 bits are, and not as linear light.
TEST(Png, SixteenBitsBecomeTheUpperEight) {
  const auto chunk = [](const std::string& named) {
    const auto big = [](uint64_t v) {
      std::string out;
      for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(v >> shift & 0xff);
      return out;
    };
    const auto* bytes = reinterpret_cast<const Bytef*>(named.data());
    return big(named.size() - 4) + named + big(crc32_z(crc32_z(0, nullptr, 0), bytes, named.size()));
  };
  const std::string line("\0\x80\x80\xff\xff\x10\x00", 7);
  Bytef packed[64];
  uLongf size = sizeof packed;
  ASSERT_EQ(compress(packed, &size, reinterpret_cast<const Bytef*>(line.data()), line.size()), Z_OK);
  const std::string file = "\x89PNG\r\n\x1a\n" + chunk(std::string("IHDR\0\0\0\x03\0\0\0\x01\x10\0\0\0\0", 17)) +
                           chunk("IDAT" + std::string(reinterpret_cast<char*>(packed), size)) + chunk("IEND");
  EXPECT_EQ(pixels(parse_png(bytes_of(file), "file")), (std::vector<int>{128, 255, 16}));
}

TEST(Png, LibraryErrorsBecomeOurs) {
  // Chunks with right checksums whose content is wrong: 2^31 - 1 pixels square, and no pixels at all.
  const auto with_chunks = [](std::initializer_list<std::string> chunks) {
    std::string text("\x89PNG\r\n\x1a\n");
    for (const std::string& chunk : chunks) text += chunk;
    return bytes_of(text);
  };
  const std::string end("\0\0\0\0IEND\xae\x42\x60\x82", 12);
  const std::string one_pixel("\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55", 25);
  const auto error_in = [](const std::vector<std::byte>& bytes) { return error_of([&] { parse_png(bytes, "file"); }); };
  EXPECT_THAT(error_in(with_chunks({one_pixel, end})), HasSubstr("file: byte 8, IHDR: expected an image, got "));
  EXPECT_EQ(error_in(with_chunks({end})), "file: byte 8, first chunk: expected IHDR of 13 bytes, got 'IEND' of 0");
}

}  // namespace
}  // namespace gmc::files::testing
