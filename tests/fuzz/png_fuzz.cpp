#include "runtime/files/png.h"

#include "tests/fuzz/fuzz.h"

#include <zlib.h>

namespace gmc::fuzz {
namespace {

// The same chunks with the checksums they should have, so that what is inside them is looked at.
Seed with_right_checksums(files::Bytes bytes) {
  Seed result(bytes.begin(), bytes.end());
  const auto byte = [&](size_t at) { return std::to_integer<uint32_t>(result[at]); };
  for (size_t at = 8; at + 12 <= result.size();) {
    const size_t length = byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
    if (length > result.size() - at - 12) break;
    const auto sum = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(result.data() + at + 4), static_cast<uInt>(length + 4)));
    at += 8 + length;
    for (const int shift : {24, 16, 8, 0}) result[at++] = std::byte(sum >> shift & 0xff);
  }
  return result;
}

void read_image(files::Bytes bytes) {
  HostTensor image;
  if (!reads([&] { image = files::parse_png(bytes, "file"); })) return;
  require_whole(image);
  require(image.dtype == DType::u8 && image.shape.size() == 3 && image.shape[2] >= 1 && image.shape[2] <= 4,
          "an image of the wrong form");
}

// A file of these chunks; their checksums are made right.
Seed file_of(const std::vector<std::string>& chunks) {
  std::string text("\x89PNG\r\n\x1a\n");
  for (const std::string& chunk : chunks) {
    text += {'\0', '\0', '\0', static_cast<char>(chunk.size() - 4)};
    text += chunk + "sum.";
  }
  return with_right_checksums(std::as_bytes(std::span(text)));
}

std::string deflated(const std::string& text) {
  std::string result(compressBound(text.size()), '\0');
  uLongf size = result.size();
  compress(reinterpret_cast<Bytef*>(result.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
  result.resize(size);
  return result;
}

// 3 x 2 pixels of this depth and colour type, all bits 0.
std::string header(char depth, char colour, char interlaced) {
  return std::string("IHDR\0\0\0\3\0\0\0\2", 12) + depth + colour + std::string(2, '\0') + interlaced;
}

}  // namespace

std::vector<Seed> seeds() {
  const std::string end = "IEND", palette = "PLTEabcdef", pixels = "IDAT" + deflated(std::string(50, '\0'));
  return {files::format_png_grid(filled(u8, {2, 3, 3})),
          files::format_png_grid(filled(u8, {1, 3, 2, 2})),
          file_of({header(1, 3, 0), palette, "IDAT" + deflated(std::string(4, '\0')), end}),
          file_of({header(2, 3, 1), palette, std::string("tRNS\x80", 5), pixels, end}),
          file_of({header(16, 0, 0), std::string("gAMA\0\0\xb1\x8f", 8), pixels, end}),
          file_of({header(8, 4, 1), "tEXtTitle", pixels, end}),
          file_of({header(16, 6, 0), pixels, end})};
}

void read(files::Bytes bytes) {
  read_image(bytes);
  read_image(with_right_checksums(bytes));
}

}  // namespace gmc::fuzz
