// Fourier transforms and windows, as products with tables of sines and cosines.
#include "tools/onnx/build.h"

#include <cmath>
#include <numbers>

namespace gmc::onnx {
namespace {

constexpr int64_t longest = 8192;

// sin or cos of 2 pi i k / n, [count, bins].
Var waves(Call& c, int64_t count, int64_t bins, int64_t n, bool sine, DType dtype) {
  check_table(count, bins);
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t k = 0; k < bins; ++k) {
      const double angle = 2 * std::numbers::pi * static_cast<double>((i * k) % n) / static_cast<double>(n);
      values.push_back(sine ? std::sin(angle) : std::cos(angle));
    }
  return c.constant(host_tensor(dtype, {count, bins}, values));
}

// The transform along the last dimension but one of [.., n, 1 or 2], which becomes `bins`; complex ones at the end.
Var transform(Call& c, Var x, int64_t length, bool inverse, bool one_sided) {
  const int64_t rank = std::ssize(x.shape());
  const auto d = static_cast<size_t>(rank - 2);
  const int64_t parts = x.shape().back();
  if (parts != 1 && parts != 2)
    fail("expected real or complex numbers in the last dimension, got {}", to_string(x.shape()));
  if (length < 1) fail("a transform of length {}", length);
  if (length > longest) unsupported("a transform of length {}", length);
  std::vector<int64_t> low(static_cast<size_t>(rank), 0), high = low;
  high[d] = length - x.shape()[d];
  if (high[d] != 0) x = graph::pad(x, low, high);
  const int64_t bins = one_sided ? length / 2 + 1 : length;
  const DType dtype = x.type().dtype;
  const Var cosine = waves(c, length, bins, length, false, dtype), sine = waves(c, length, bins, length, true, dtype);
  const auto part = [&](int64_t i) { return squeezed(graph::slice(x, rank - 1, i, i + 1), rank - 1); };
  const Var real = part(0);
  // e^(-i a) = cos a - i sin a; the inverse turns the other way.
  Var re = product(real, cosine), im = inverse ? product(real, sine) : -product(real, sine);
  if (parts == 2) {
    const Var imaginary = part(1), across = product(imaginary, sine);
    re = inverse ? re - across : re + across;
    im = im + product(imaginary, cosine);
  }
  if (inverse) {
    re = re / static_cast<double>(length);
    im = im / static_cast<double>(length);
  }
  return concat({unsqueezed(re, rank - 1), unsqueezed(im, rank - 1)}, rank - 1);
}

// [.., bins, 2] -> [.., length, 1]: the real signal whose spectrum begins with these bins. The others are the
// conjugates of these, so all but the first and the middle one count twice.
Var real_signal(Call& c, Var x, int64_t length) {
  const int64_t rank = std::ssize(x.shape()), bins = length / 2 + 1;
  if (x.shape().back() != 2) fail("expected complex numbers in the last dimension, got {}", to_string(x.shape()));
  if (length < 1) fail("a transform of length {}", length);
  if (length > longest) unsupported("a transform of length {}", length);
  const auto d = static_cast<size_t>(rank - 2);
  std::vector<int64_t> low(static_cast<size_t>(rank), 0), high = low;
  high[d] = bins - x.shape()[d];
  if (high[d] != 0) x = graph::pad(x, low, high);
  const DType dtype = x.type().dtype;
  std::vector<double> times;
  for (int64_t k = 0; k < bins; ++k) times.push_back(k == 0 || 2 * k == length ? 1 : 2);
  const Var twice = along(c.constant(host_tensor(dtype, {bins}, times)), 0, 2);
  const auto part = [&](int64_t i) { return squeezed(graph::slice(x, rank - 1, i, i + 1), rank - 1); };
  const Var sum = product(part(0), twice * waves(c, bins, length, length, false, dtype)) -
                  product(part(1), twice * waves(c, bins, length, length, true, dtype));
  return unsqueezed(sum / static_cast<double>(length), rank - 1);
}

std::vector<Value> fourier(Call& c) {
  const int64_t rank = c.rank(0);
  if (rank < 2) fail("expected at least 2 dimensions, got {}", to_string(c[0].shape()));
  const int64_t named = c.version >= 20 ? (c.has(2) ? c.integer(2) : -2) : c.integer("axis", 1);
  const int64_t axis = c.axis_in(named, rank);
  if (axis == rank - 1) fail("axis {} holds the parts of complex numbers", named);
  const bool inverse = c.integer("inverse", 0) != 0, one_sided = c.integer("onesided", 0) != 0;
  const bool to_real = inverse && one_sided;
  if (one_sided && !inverse && c[0].shape().back() != 1) fail("a one-sided transform of complex numbers");
  const int64_t extent = c[0].shape()[static_cast<size_t>(axis)];
  const int64_t length = c.has(1) ? c.integer(1) : to_real ? 2 * (extent - 1) : extent;
  std::vector<int64_t> swap(static_cast<size_t>(rank));
  for (int64_t i = 0; i < rank; ++i) swap[static_cast<size_t>(i)] = i == axis ? rank - 2 : i == rank - 2 ? axis : i;
  const Var x = graph::transpose(c[0], swap);
  const Var out = to_real ? real_signal(c, x, length) : transform(c, x, length, inverse, one_sided);
  return one(graph::transpose(out, swap));
}

// [batch, time, 1 or 2] -> [batch, frames, bins, 2]
std::vector<Value> short_time(Call& c) {
  Var x = c[0];
  if (c.rank(0) == 2) x = unsqueezed(x, 2);
  if (x.shape().size() != 3) fail("a signal {}", to_string(c[0].shape()));
  const int64_t step = c.integer(1);
  int64_t length = 0;
  if (c.has(3)) length = c.integer(3);
  if (c.has(2)) length = c[2].shape().at(0);
  if (step < 1 || length < 1 || length > x.shape()[1])
    fail("frames of {} every {} of {}", length, step, to_string(x.shape()));
  // [batch, frames, parts, length] -> [batch, frames, length, parts]
  Var frames = graph::transpose(graph::windows(x, {1}, {length}, {step}, {0}, {0}, {1}), {0, 1, 3, 2});
  if (c.has(2)) frames = frames * graph::reshape(c[2], {length, 1});
  return one(transform(c, frames, length, false, c.integer("onesided", 1) != 0));
}

// a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n)
std::vector<Value> window(Call& c, double a0, double a1, double a2) {
  const int64_t size = c.integer(0), n = c.integer("periodic", 1) != 0 ? size : size - 1;
  if (size < 0 || size > (int64_t{1} << 30)) fail("a window of {}", size);
  const DType dtype = need_dtype(static_cast<Element>(c.integer("output_datatype", 1)));
  if (!is_float(dtype)) unsupported("a window of {}", name_of(dtype));
  const Var angle =
      iota(c.graph(), size, dtype) * (2 * std::numbers::pi / static_cast<double>(std::max<int64_t>(n, 1)));
  Var out = number_like(angle, a0) - a1 * apply_named("cos", {angle});
  if (a2 != 0) out = out + a2 * apply_named("cos", {2.0 * angle});
  return one(out);
}

// Triangles that are evenly spaced on the mel scale: mel = 2595 log10(1 + f / 700).
std::vector<Value> mel_weights(Call& c) {
  const int64_t bins = c.integer(0), length = c.integer(1);
  const double rate = c.number(2), low_hertz = c.number(3), high_hertz = c.number(4);
  const DType dtype = need_dtype(static_cast<Element>(c.integer("output_datatype", 1)));
  const int64_t rows = length / 2 + 1;
  if (bins < 1 || length < 1 || !(rate > 0) || bins > 100000 || rows > 100000)
    fail("{} bands of {} at {}", bins, length, rate);
  check_table(rows, bins);
  const auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  const double low = mel(low_hertz), step = (mel(high_hertz) - low) / static_cast<double>(bins + 2);
  std::vector<int64_t> edges;
  for (int64_t i = 0; i < bins + 2; ++i) {
    const double hertz = 700 * (std::pow(10, (low + static_cast<double>(i) * step) / 2595) - 1);
    edges.push_back(static_cast<int64_t>(std::floor(static_cast<double>(length + 1) * hertz / rate)));
  }
  std::vector<double> values(static_cast<size_t>(rows * bins), 0);
  const auto put = [&](int64_t row, int64_t band, double v) {
    if (row >= 0 && row < rows) values[static_cast<size_t>(row * bins + band)] = v;
  };
  for (int64_t b = 0; b < bins; ++b) {
    const int64_t left = edges[static_cast<size_t>(b)], top = edges[static_cast<size_t>(b) + 1],
                  right = edges[static_cast<size_t>(b) + 2];
    if (top == left) put(top, b, 1);
    for (int64_t j = left; j <= top && top > left; ++j)
      put(j, b, static_cast<double>(j - left) / static_cast<double>(top - left));
    for (int64_t j = top; j < right; ++j) put(j, b, static_cast<double>(right - j) / static_cast<double>(right - top));
  }
  return one(c.constant(host_tensor(dtype, {rows, bins}, values)));
}

constexpr Row rows[] = {
    {"BlackmanWindow", [](Call& c) { return window(c, 0.42, 0.5, 0.08); }},
    {"DFT", fourier},
    {"HammingWindow", [](Call& c) { return window(c, 25.0 / 46, 21.0 / 46, 0); }},
    {"HannWindow", [](Call& c) { return window(c, 0.5, 0.5, 0); }},
    {"MelWeightMatrix", mel_weights},
    {"STFT", short_time},
};

}  // namespace

std::span<const Row> signal_rows() { return rows; }

}  // namespace gmc::onnx
