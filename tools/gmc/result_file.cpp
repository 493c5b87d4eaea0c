#include "tools/gmc/result_file.h"

#include "runtime/base/error.h"
#include "runtime/files/atomic_write.h"
#include "runtime/files/npy.h"
#include "runtime/files/png.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace gmc::tool {
namespace {

std::string extension(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos || path.find('/', dot) != std::string::npos ? "" : path.substr(dot);
}

// Rows of h * h or 3 * h * h values are square images; an invalid shape if they are none.
Shape shape_of_images(const HostTensor& t) {
  const Shape& s = t.shape;
  if (s.size() == 3 || (s.size() == 4 && (s[1] == 1 || s[1] == 3))) return s;
  if (s.size() != 2) return {};
  for (const int64_t channels : {1, 3}) {
    const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(s[1] / channels))));
    if (side * side * channels == s[1]) return {s[0], channels, side, side};
  }
  return {};
}

bool are_points(const HostTensor& t) {
  return t.dtype == DType::f32 && t.shape.size() == 2 && t.shape[1] == 2 && t.shape[0] > 0;
}

// Points in a square around the origin that holds nearly all of them, lighter where they are dense.
HostTensor plane_of(const HostTensor& points) {
  constexpr int64_t side = 320;
  std::vector<float> reach;
  for (int64_t i = 0; i < points.count(); ++i)
    if (const float v = std::fabs(points.as<float>()[i]); std::isfinite(v)) reach.push_back(v);
  std::sort(reach.begin(), reach.end());
  const double half =
      reach.empty() ? 1 : 1.15 * std::max(1e-6, static_cast<double>(reach[(reach.size() - 1) * 99 / 100]));
  HostTensor out(DType::f32, {1, side, side});
  const double gain = std::clamp(2e3 / static_cast<double>(points.shape[0]), 0.1, 1.0);
  for (int64_t i = 0; i < points.shape[0]; ++i) {
    const float* p = points.as<float>() + 2 * i;
    const double x = (static_cast<double>(p[0]) / half + 1) * side / 2,
                 y = (1 - static_cast<double>(p[1]) / half) * side / 2;
    if (!(x >= 0 && x < side && y >= 0 && y < side)) continue;
    float& pixel = out.as<float>()[static_cast<int64_t>(y) * side + static_cast<int64_t>(x)];
    pixel = static_cast<float>(std::min(1.0, static_cast<double>(pixel) + 0.6 * gain));
  }
  return out;
}

}  // namespace

std::string text_of(const HostTensor& t, const View& view) {
  std::string text;
  const int64_t rows = t.shape.empty() ? 1 : t.shape[0];
  const int64_t width = rows > 0 ? t.count() / rows : 0;
  for (int64_t i = 0; i < rows * width; ++i) {
    const bool last = i % width == width - 1;
    if (t.dtype == DType::i64 && view.vocabulary) {
      const int64_t symbol = t.as<int64_t>()[i];
      const bool known = symbol >= 0 && symbol < view.vocabulary->size();
      text += known ? view.vocabulary->name(symbol) : "\xef\xbf\xbd";  // U+FFFD: a model may have more symbols
      if (last) text += '\n';
      continue;
    }
    if (t.dtype == DType::f32)
      text += fmt::format("{}", t.as<float>()[i]);
    else if (t.dtype == DType::i64)
      text += fmt::format("{}", t.as<int64_t>()[i]);
    else if (t.dtype == DType::boolean)
      text += t.as<uint8_t>()[i] ? "true" : "false";
    else
      fail("a text file cannot hold {}", name_of(t.dtype));
    text += last ? '\n' : ' ';
  }
  return text;
}

std::string suitable_ending(const HostTensor& t) {
  if (t.dtype == DType::i64) return ".txt";
  return are_points(t) || (t.dtype == DType::f32 && !shape_of_images(t).empty()) ? ".png" : ".npy";
}

std::vector<std::byte> picture_of(const HostTensor& t, const View& view) {
  if (are_points(t)) return files::format_png_grid(plane_of(t));
  HostTensor images = t;
  images.shape = shape_of_images(t);
  if (images.shape.empty() && t.shape.size() == 2)
    fail("rows of {} values are no square images: write .npy or .txt", t.shape[1]);
  if (images.shape.empty()) images.shape = t.shape;
  return files::format_png_grid(images, 0, view.low, view.high);
}

void check_result_file(const std::string& path) {
  const std::string e = extension(path);
  if (e != ".png" && e != ".npy" && e != ".txt")
    fail_usage("'{}': expected a name that ends in .png, .npy or .txt", path);
}

void write_result(const std::string& path, const HostTensor& t, const View& view) {
  check_result_file(path);
  const std::string e = extension(path);
  if (e == ".png") return files::write_file_atomically(path, picture_of(t, view));
  if (e == ".npy") return files::save_npy(path, t);
  const std::string text = text_of(t, view);
  files::write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace gmc::tool
