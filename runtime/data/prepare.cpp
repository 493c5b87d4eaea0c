#include "runtime/data/prepare.h"

#include "runtime/base/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>

namespace gmc::data {
namespace {

constexpr int64_t largest_side = 4096;

template <class T>
bool read(std::string_view text, T& value) {
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && status == std::errc() && end == text.data() + text.size();
}

int64_t side_of(std::string_view name, std::string_view text) {
  int64_t value = 0;
  if (!read(text, value) || value < 1 || value > largest_side)
    fail_usage("prepare {}={}: expected a number from 1 to {}", name, text, largest_side);
  return value;
}

// The images as [count, channels, height, width].
struct Images {
  int64_t count, channels, height, width;

  Images(const Shape& s, const std::string& source) {
    if (s.size() != 3 && s.size() != 4)
      fail("data {}: samples of {} are no images [H, W] or [C, H, W]", source,
           to_string(Shape(s.begin() + 1, s.end())));
    count = s[0], channels = s.size() == 4 ? s[1] : 1, height = s[s.size() - 2], width = s[s.size() - 1];
  }
  Shape shape(const Shape& like) const {
    return like.size() == 4 ? Shape{count, channels, height, width} : Shape{count, height, width};
  }
};

// Moves a window of `side` x `side` over the middle; what lies outside the image is 0.
HostTensor window(const HostTensor& in, int64_t side, const std::string& source) {
  const Images from(in.shape, source);
  Images to = from;
  to.height = to.width = side;
  HostTensor out(in.dtype, to.shape(in.shape));
  const auto size = static_cast<size_t>(size_of(in.dtype));
  // Of an odd number of pixels to add or to take away, one more lies at the bottom and on the right.
  const auto begin = [&](int64_t extent) { return extent > side ? (extent - side) / 2 : -((side - extent) / 2); };
  const int64_t top = begin(from.height), left = begin(from.width);
  const int64_t x0 = std::max<int64_t>(0, -left), x1 = std::min(side, from.width - left);
  for (int64_t plane = 0; plane < from.count * from.channels; ++plane)
    for (int64_t y = std::max<int64_t>(0, -top); y < std::min(side, from.height - top); ++y)
      std::memcpy(out.bytes.data() + static_cast<size_t>((plane * side + y) * side + x0) * size,
                  in.bytes.data() +
                      static_cast<size_t>((plane * from.height + y + top) * from.width + x0 + left) * size,
                  static_cast<size_t>(x1 - x0) * size);
  return out;
}

HostTensor as_floats(HostTensor in) {
  if (in.dtype == DType::f32) return in;
  HostTensor out(DType::f32, in.shape);
  std::transform(in.as<uint8_t>(), in.as<uint8_t>() + in.count(), out.as<float>(),
                 [](uint8_t v) { return static_cast<float>(v) / 255.0f; });
  return out;
}

// Means of k x k pixels: sums in the order of rows.
HostTensor pooled(const HostTensor& in, int64_t k, const std::string& source) {
  const Images from(in.shape, source);
  if (from.height % k != 0 || from.width % k != 0)
    fail("data {}: images of {} x {} cannot be pooled by {}: it does not divide them", source, from.height, from.width,
         k);
  Images to = from;
  to.height /= k, to.width /= k;
  HostTensor out(DType::f32, to.shape(in.shape));
  float* o = out.as<float>();
  for (int64_t plane = 0; plane < from.count * from.channels; ++plane)
    for (int64_t y = 0; y < to.height; ++y)
      for (int64_t x = 0; x < to.width; ++x) {
        float sum = 0;
        for (int64_t v = 0; v < k; ++v)
          for (int64_t u = 0; u < k; ++u)
            sum += in.as<float>()[(plane * from.height + y * k + v) * from.width + x * k + u];
        *o++ = sum / static_cast<float>(k * k);
      }
  return out;
}

// Per result pixel, the operand's pixels that it covers and by how much.
struct Cover {
  int64_t first = 0;
  std::vector<double> weights;
};
std::vector<Cover> covers(int64_t from, int64_t to) {
  std::vector<Cover> out;
  const double step = static_cast<double>(from) / static_cast<double>(to);
  for (int64_t i = 0; i < to; ++i) {
    const double begin = static_cast<double>(i) * step, end = begin + step;
    Cover c{static_cast<int64_t>(begin), {}};
    for (int64_t j = c.first; j < from && static_cast<double>(j) < end - 1e-9; ++j)
      c.weights.push_back((std::min(end, static_cast<double>(j + 1)) - std::max(begin, static_cast<double>(j))) / step);
    out.push_back(std::move(c));
  }
  return out;
}

HostTensor resized(const HostTensor& in, int64_t side, const std::string& source) {
  const Images from(in.shape, source);
  Images to = from;
  to.height = to.width = side;
  const std::vector<Cover> rows = covers(from.height, side), columns = covers(from.width, side);
  HostTensor out(DType::f32, to.shape(in.shape));
  float* o = out.as<float>();
  for (int64_t plane = 0; plane < from.count * from.channels; ++plane)
    for (const Cover& row : rows)
      for (const Cover& column : columns) {
        double sum = 0;
        for (size_t v = 0; v < row.weights.size(); ++v)
          for (size_t u = 0; u < column.weights.size(); ++u)
            sum += row.weights[v] * column.weights[u] *
                   static_cast<double>(
                       in.as<float>()[(plane * from.height + row.first + static_cast<int64_t>(v)) * from.width +
                                      column.first + static_cast<int64_t>(u)]);
        *o++ = static_cast<float>(sum);
      }
  return out;
}

// ITU-R BT.601, section 2.5.1.
HostTensor greyed(const HostTensor& in, const std::string& source) {
  const Images from(in.shape, source);
  if (from.channels == 1) return in;
  if (from.channels != 3) fail("data {}: expected 3 channels to make grey of, got {}", source, from.channels);
  HostTensor out(DType::f32, {from.count, 1, from.height, from.width});
  const int64_t plane = from.height * from.width;
  for (int64_t n = 0; n < from.count; ++n)
    for (int64_t p = 0; p < plane; ++p) {
      const float* rgb = in.as<float>() + n * 3 * plane + p;
      out.as<float>()[n * plane + p] = 0.299f * rgb[0] + 0.587f * rgb[plane] + 0.114f * rgb[2 * plane];
    }
  return out;
}

}  // namespace

Prepare Prepare::parse(const std::string& text) {
  Prepare p;
  for (size_t at = 0; at < text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string_view word = std::string_view(text).substr(at, comma - at);
    at = comma + 1;
    const size_t equals = std::min(word.find('='), word.size());
    const std::string_view name = word.substr(0, equals);
    const std::string_view value = equals < word.size() ? word.substr(equals + 1) : std::string_view();
    if (name == "pad" || name == "crop" || name == "pool" || name == "resize") {
      (name == "pad" ? p.pad : name == "crop" ? p.crop : name == "pool" ? p.pool : p.resize) = side_of(name, value);
      continue;
    }
    if (name == "range") {
      const size_t colon = std::min(value.find(':'), value.size());
      const std::string_view high = colon < value.size() ? value.substr(colon + 1) : std::string_view();
      if (!read(value.substr(0, colon), p.low) || !read(high, p.high) || !std::isfinite(p.low) ||
          !std::isfinite(p.high) || p.low >= p.high)
        fail_usage("prepare {}: expected range=LOW:HIGH with LOW below HIGH", word);
      p.ranged = true;
      continue;
    }
    const bool flag = equals == word.size();
    if (flag && name == "grey")
      p.grey = true;
    else if (flag && name == "flip")
      p.flip = true;
    else if (flag && name == "binarise")
      p.binarise = true;
    else if (flag && name == "dequantise")
      p.dequantise = true;
    else
      fail_usage("prepare '{}': expected pad=S, crop=S, pool=K, resize=S, grey, flip, binarise, dequantise or "
                 "range=LOW:HIGH",
                 word);
  }
  if (p.binarise && p.dequantise) fail_usage("prepare '{}': binarise and dequantise exclude each other", text);
  return p;
}

std::vector<std::string> preparations() {
  return {"pad=S        zeros around images, up to S x S",
          "crop=S       the S x S in the middle of images",
          "pool=K       means of K x K pixels",
          "resize=S     images of S x S, by area",
          "grey         one channel of three",
          "flip         half of the training images from right to left",
          "binarise     1 with the value's probability, else 0",
          "dequantise   (255 x + u) / 256 with u uniform in [0, 1)",
          "range=A:B    A + (B - A) x"};
}

HostTensor prepare_images(HostTensor images, const Prepare& p, const std::string& source) {
  if (!p.any_of_images()) return images;
  const Images given(images.shape, source);
  if (p.pad) {
    if (p.pad < given.height || p.pad < given.width)
      fail("data {}: images of {} x {} are larger than pad={}", source, given.height, given.width, p.pad);
    images = window(images, p.pad, source);
  }
  if (p.crop) {
    const Images now(images.shape, source);
    if (p.crop > now.height || p.crop > now.width)
      fail("data {}: images of {} x {} are smaller than crop={}", source, now.height, now.width, p.crop);
    images = window(images, p.crop, source);
  }
  if (p.pool) images = pooled(as_floats(std::move(images)), p.pool, source);
  if (p.resize) images = resized(as_floats(std::move(images)), p.resize, source);
  if (p.grey) images = greyed(as_floats(std::move(images)), source);
  return images;
}

}  // namespace gmc::data
