// Images as PNG (W3C, "Portable Network Graphics (PNG) Specification"). libpng is used here and nowhere else.
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/files/reader.h"

namespace gmc::files {

// A grid of images, row by row, with 2 black pixels between them, written atomically. `images` is f32 or u8, [N, H, W]
// or [N, C, H, W] with C 1 or 3, N at least 1. `columns` 0 means ceil(sqrt(N)). Of f32, `low` is drawn black and `high`
// white, what lies outside is clamped, and NaN is drawn in magenta; u8 is drawn as it is.
// Throws `Error` for any other dtype, shape or range, and where the file cannot be written.
void save_png_grid(const std::string& path, const HostTensor& images, int64_t columns = 0, double low = 0,
                   double high = 1);
// The bytes of that file.
std::vector<std::byte> format_png_grid(const HostTensor& images, int64_t columns = 0, double low = 0, double high = 1);

// u8 [H, W, C], C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. Palettes are resolved, 16 bits become 8. Chunks,
// checksums and the end of the file are checked first. Throws `Error` with source, byte offset, field, expected and
// got.
HostTensor parse_png(Bytes bytes, const std::string& source);
HostTensor load_png(const std::string& path);

}  // namespace gmc::files
