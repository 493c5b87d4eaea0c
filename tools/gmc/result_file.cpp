#include "tools/gmc/result_file.h"

#include "runtime/base/error.h"
#include "runtime/files/atomic_write.h"
#include "runtime/files/npy.h"
#include "runtime/files/png.h"

#include <cmath>
#include <span>

namespace gmc::tool {
namespace {

std::string extension(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos || path.find('/', dot) != std::string::npos ? "" : path.substr(dot);
}

// Rows of h * h or 3 * h * h values are square images.
HostTensor as_images(HostTensor t) {
  if (t.shape.size() != 2) return t;
  for (int64_t channels : {1, 3}) {
    const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(t.shape[1] / channels))));
    if (side * side * channels != t.shape[1]) continue;
    t.shape = {t.shape[0], channels, side, side};
    return t;
  }
  fail("rows of {} values are no square images: write .npy or .txt", t.shape[1]);
}

std::string as_text(const HostTensor& t) {
  std::string text;
  const int64_t rows = t.shape.empty() ? 1 : t.shape[0];
  const int64_t width = rows > 0 ? t.count() / rows : 0;
  for (int64_t i = 0; i < rows * width; ++i) {
    if (t.dtype == DType::f32)
      text += fmt::format("{}", t.as<float>()[i]);
    else if (t.dtype == DType::i64)
      text += fmt::format("{}", t.as<int64_t>()[i]);
    else if (t.dtype == DType::boolean)
      text += t.as<uint8_t>()[i] ? "true" : "false";
    else
      fail("a text file cannot hold {}", name_of(t.dtype));
    text += i % width == width - 1 ? '\n' : ' ';
  }
  return text;
}

}  // namespace

void check_result_file(const std::string& path) {
  const std::string e = extension(path);
  if (e != ".png" && e != ".npy" && e != ".txt")
    fail_usage("'{}': expected a name that ends in .png, .npy or .txt", path);
}

void write_result(const std::string& path, const HostTensor& t) {
  check_result_file(path);
  const std::string e = extension(path);
  if (e == ".png") return files::save_png_grid(path, as_images(t));
  if (e == ".npy") return files::save_npy(path, t);
  const std::string text = as_text(t);
  files::write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace gmc::tool
