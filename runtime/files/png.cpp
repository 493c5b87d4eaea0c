#include "runtime/files/png.h"

#include "runtime/files/atomic_write.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include <png.h>
#include <zlib.h>

namespace gmc::files {
namespace {

constexpr int64_t gutter = 2;
constexpr int64_t max_side = 1 << 20;
constexpr std::string_view signature("\x89PNG\r\n\x1a\n", 8);

// libpng's simplified interface: it catches the library's own longjmp and reports by return value and message.
struct Image {
  png_image value = {};
  Image() { value.version = PNG_IMAGE_VERSION; }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  ~Image() { png_image_free(&value); }
};

struct Grid {
  int64_t count, channels, height, width, columns, rows;
  bool coloured;
};

Grid measure(const HostTensor& images, int64_t columns, double low, double high) {
  const Shape& s = images.shape;
  if (images.dtype != DType::f32 && images.dtype != DType::u8)
    fail("png: expected images of f32 or u8, got {}", name_of(images.dtype));
  if (s.size() != 3 && s.size() != 4) fail("png: expected images [N, H, W] or [N, C, H, W], got {}", to_string(s));
  Grid g{s[0], s.size() == 4 ? s[1] : 1, s[s.size() - 2], s[s.size() - 1], columns, 0, false};
  if (g.channels != 1 && g.channels != 3) fail("png: expected 1 or 3 channels, got {} in {}", g.channels, to_string(s));
  if (g.count < 1 || g.height < 1 || g.width < 1) fail("png: expected at least one pixel, got {}", to_string(s));
  if (images.bytes.size() != static_cast<size_t>(byte_size(images.dtype, s)))
    fail("png: expected {} bytes for images {}, got {}", byte_size(images.dtype, s), to_string(s), images.bytes.size());
  if (columns < 0) fail("png: expected columns from 0, got {}", columns);
  if (!(low < high) || !std::isfinite(low) || !std::isfinite(high))
    fail("png: expected a finite range with low below high, got {} to {}", low, high);
  if (g.columns == 0)
    while (g.columns * g.columns < g.count) ++g.columns;
  g.columns = std::min(g.columns, g.count);
  g.rows = (g.count + g.columns - 1) / g.columns;
  const auto too_large = [](int64_t cells, int64_t extent) {
    return checked_mul(cells, checked_add(extent, gutter, "pixels"), "pixels") > max_side;
  };
  if (too_large(g.columns, g.width) || too_large(g.rows, g.height))
    fail("png: {} in {} columns is wider or higher than {} pixels", to_string(s), g.columns, max_side);

  g.coloured = g.channels == 3;
  if (images.dtype == DType::f32 && !g.coloured)
    g.coloured =
        std::any_of(images.as<float>(), images.as<float>() + images.count(), [](float v) { return std::isnan(v); });
  return g;
}

// One value as 0..255; NaN is told apart by the caller.
uint8_t shade(double value, double low, double high) {
  const double unit = std::clamp((value - low) / (high - low), 0.0, 1.0);
  return static_cast<uint8_t>(unit * 255.0 + 0.5);
}

// Writes the colour of a pixel whose channels stand `stride` elements apart.
void draw_pixel(const HostTensor& images, const Grid& g, int64_t from, int64_t stride, double low, double high,
                uint8_t* to) {
  const int64_t outputs = g.coloured ? 3 : 1;
  for (int64_t c = 0; c < outputs; ++c) {
    const int64_t at = from + (g.channels == 3 ? c * stride : 0);
    if (images.dtype == DType::u8) {
      to[c] = images.as<uint8_t>()[at];
      continue;
    }
    const float value = images.as<float>()[at];
    if (std::isnan(value)) {
      to[0] = to[2] = 255;
      to[1] = 0;
      return;
    }
    to[c] = shade(static_cast<double>(value), low, high);
  }
}

// Walks over the chunks (PNG specification, section 5): lengths, checksums, IHDR first, IEND last, nothing after it.
void check_chunks(Bytes bytes, const std::string& source) {
  Reader file(bytes, source);
  const Bytes start = file.take(static_cast<int64_t>(signature.size()), "signature");
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (text != signature) file.refuse(0, "signature", "'\\x89PNG'", fmt::format("'{}'", printable(text)));
  for (bool first = true;; first = false) {
    const int64_t at = file.offset();
    const auto length = file.big<uint32_t>("chunk length");
    const Bytes type_bytes = file.take(4, "chunk type");
    const std::string type(reinterpret_cast<const char*>(type_bytes.data()), type_bytes.size());
    if (first && (type != "IHDR" || length != 13))
      file.refuse(at, "first chunk", "IHDR of 13 bytes", fmt::format("'{}' of {}", printable(type), length));
    const Bytes data = file.take(length, fmt::format("chunk '{}'", printable(type)));
    uLong sum = crc32_z(0, reinterpret_cast<const Bytef*>(type_bytes.data()), type_bytes.size());
    if (!data.empty()) sum = crc32_z(sum, reinterpret_cast<const Bytef*>(data.data()), data.size());
    const int64_t sum_at = file.offset();
    const auto stored = file.big<uint32_t>(fmt::format("checksum of chunk '{}'", printable(type)));
    if (stored != sum)
      file.refuse(sum_at, fmt::format("checksum of chunk '{}'", printable(type)), fmt::format("{:08x}", sum),
                  fmt::format("{:08x}", stored));
    if (type == "IEND") break;
  }
  file.expect_end("end");
}

}  // namespace

std::vector<std::byte> format_png_grid(const HostTensor& images, int64_t columns, double low, double high) {
  const Grid g = measure(images, columns, low, high);
  const int64_t width = g.columns * (g.width + gutter) - gutter, height = g.rows * (g.height + gutter) - gutter;
  const int64_t outputs = g.coloured ? 3 : 1, plane = g.height * g.width;
  std::vector<uint8_t> pixels(static_cast<size_t>(checked_mul(checked_mul(width, height), outputs)));
  for (int64_t n = 0; n < g.count; ++n) {
    const int64_t top = n / g.columns * (g.height + gutter), left = n % g.columns * (g.width + gutter);
    for (int64_t y = 0; y < g.height; ++y)
      for (int64_t x = 0; x < g.width; ++x)
        draw_pixel(images, g, n * g.channels * plane + y * g.width + x, plane, low, high,
                   pixels.data() + ((top + y) * width + left + x) * outputs);
  }

  Image image;
  image.value.width = static_cast<png_uint_32>(width);
  image.value.height = static_cast<png_uint_32>(height);
  image.value.format = g.coloured ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  if (PNG_IMAGE_SIZE(image.value) != pixels.size()) fail("png: {} x {} pixels are too many", width, height);
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image.value);
  std::vector<std::byte> bytes(size);
  if (!png_image_write_to_memory(&image.value, bytes.data(), &size, 0, pixels.data(), 0, nullptr))
    fail("png: {}", image.value.message);
  bytes.resize(size);
  return bytes;
}

void save_png_grid(const std::string& path, const HostTensor& images, int64_t columns, double low, double high) {
  write_file_atomically(path, format_png_grid(images, columns, low, high));
}

HostTensor parse_png(Bytes bytes, const std::string& source) {
  check_chunks(bytes, source);
  const Reader file(bytes, source);
  Image image;
  if (!png_image_begin_read_from_memory(&image.value, bytes.data(), bytes.size()))
    file.refuse(static_cast<int64_t>(signature.size()), "IHDR", "an image", image.value.message);
  image.value.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // 16 bits are as 8 bits are, not linear light
  image.value.format &= PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA;
  const int64_t channels = PNG_IMAGE_PIXEL_CHANNELS(image.value.format);
  const Shape shape{image.value.height, image.value.width, channels};
  // Deflate makes at most 1032 bytes of one (RFC 1951: 258 bytes cost two bits), and a pixel has at least one bit.
  constexpr int64_t most_pixels_per_byte = 1032 * 8;
  const int64_t most = checked_mul(file.size(), most_pixels_per_byte, "pixels");
  if (file.tensor_bytes(DType::u8, shape, 16, "IHDR") > most * channels)
    file.refuse(16, "IHDR", fmt::format("at most {} pixels in {} bytes", most, file.size()), to_string(shape));
  HostTensor tensor(DType::u8, shape);
  if (!png_image_finish_read(&image.value, nullptr, tensor.bytes.data(), 0, nullptr))
    file.refuse(static_cast<int64_t>(signature.size()), "pixels", "valid data", image.value.message);
  return tensor;
}

HostTensor load_png(const std::string& path) { return parse_png(read_file(path), path); }

}  // namespace gmc::files
