#include "runtime/data/metrics.h"

#include "runtime/base/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gmc::data {
namespace {

int64_t samples_of_size(const HostTensor& t) { return t.shape.empty() || t.shape[0] == 0 ? 0 : t.count() / t.shape[0]; }

void check(const HostTensor& a, const HostTensor& b, int64_t least) {
  for (const HostTensor* t : {&a, &b})
    if (t->dtype != DType::f32 || t->shape.empty() || t->shape[0] < least)
      fail("metrics: expected at least {} samples of f32, got {}{}", least, name_of(t->dtype), to_string(t->shape));
  if (samples_of_size(a) != samples_of_size(b))
    fail("metrics: samples of {} and {} elements cannot be compared", samples_of_size(a), samples_of_size(b));
}

double distance2(const float* a, const float* b, int64_t size) {
  // Four sums, so that they are computed side by side.
  double sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= size; i += 4)
    for (int64_t k = 0; k < 4; ++k) {
      const double d = static_cast<double>(a[i + k]) - static_cast<double>(b[i + k]);
      sums[k] += d * d;
    }
  for (; i < size; ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sums[0] += d * d;
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

// [rows of a, rows of b], row-major.
std::vector<double> distances(const HostTensor& a, const HostTensor& b) {
  const int64_t size = samples_of_size(a), n = a.shape[0], m = b.shape[0];
  std::vector<double> out(static_cast<size_t>(checked_mul(n, m)));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < m; ++j)
      out[static_cast<size_t>(i * m + j)] = distance2(a.as<float>() + i * size, b.as<float>() + j * size, size);
  return out;
}

// Squared distance of each sample to its k-th neighbour in its own set.
std::vector<double> radii(const HostTensor& a, int64_t k) {
  const int64_t n = a.shape[0];
  std::vector<double> all = distances(a, a), out;
  for (int64_t i = 0; i < n; ++i) {
    const auto row = all.begin() + i * n;
    row[i] = -1;  // itself comes first
    std::nth_element(row, row + k, row + n);
    out.push_back(row[k]);
  }
  return out;
}

}  // namespace

double mmd(const HostTensor& a, const HostTensor& b) {
  check(a, b, 2);
  const auto n = static_cast<size_t>(a.shape[0]), m = static_cast<size_t>(b.shape[0]);
  const std::vector<double> aa = distances(a, a), bb = distances(b, b), ab = distances(a, b);
  std::vector<double> within;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i + 1; j < n; ++j) within.push_back(aa[i * n + j]);
  for (size_t i = 0; i < m; ++i)
    for (size_t j = i + 1; j < m; ++j) within.push_back(bb[i * m + j]);
  const auto middle = within.begin() + static_cast<std::ptrdiff_t>(within.size() / 2);
  std::nth_element(within.begin(), middle, within.end());
  const double median = *middle > 0 ? *middle : 1;
  const auto kernel = [&](double d) {
    double sum = 0;
    for (const double width : {0.25, 0.5, 1.0, 2.0, 4.0}) sum += std::exp(-d / (2 * width * median));
    return sum / 5;
  };
  double within_a = 0, within_b = 0, across = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      if (i != j) within_a += kernel(aa[i * n + j]);
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < m; ++j)
      if (i != j) within_b += kernel(bb[i * m + j]);
  for (const double d : ab) across += kernel(d);
  const auto x = static_cast<double>(n), y = static_cast<double>(m);
  return within_a / (x * (x - 1)) + within_b / (y * (y - 1)) - 2 * across / (x * y);
}

Neighbours neighbours(const HostTensor& real, const HostTensor& generated, int64_t k) {
  check(real, generated, k + 1);
  const std::vector<double> of_real = radii(real, k), of_generated = radii(generated, k),
                            d = distances(real, generated);
  const size_t n = of_real.size(), m = of_generated.size();
  Neighbours out{0, 0, 0, 0};
  for (size_t j = 0; j < m; ++j) {
    int64_t inside = 0;
    for (size_t i = 0; i < n; ++i) inside += d[i * m + j] <= of_real[i];
    out.precision += inside > 0 ? 1.0 / static_cast<double>(m) : 0;
    out.density += static_cast<double>(inside) / static_cast<double>(k) / static_cast<double>(m);
  }
  for (size_t i = 0; i < n; ++i) {
    bool recalled = false, covered = false;
    for (size_t j = 0; j < m; ++j) {
      recalled |= d[i * m + j] <= of_generated[j];
      covered |= d[i * m + j] <= of_real[i];
    }
    out.recall += recalled ? 1.0 / static_cast<double>(n) : 0;
    out.coverage += covered ? 1.0 / static_cast<double>(n) : 0;
  }
  return out;
}

Modes modes(const HostTensor& points, const Truth& truth) {
  const size_t count = truth.centres.size() / 2;
  if (points.dtype != DType::f32 || points.shape.size() != 2 || points.shape[1] != 2 || points.shape[0] < 1 || !count)
    fail("modes: expected points f32[N, 2] of a known mixture, got {}{}", name_of(points.dtype),
         to_string(points.shape));
  std::vector<double> seen(count, 0);
  double near = 0;
  for (int64_t i = 0; i < points.shape[0]; ++i) {
    const float* p = points.as<float>() + 2 * i;
    double best = std::numeric_limits<double>::infinity();
    size_t nearest = 0;
    for (size_t c = 0; c < count; ++c) {
      const double dx = static_cast<double>(p[0]) - truth.centres[2 * c];
      const double dy = static_cast<double>(p[1]) - truth.centres[2 * c + 1];
      if (const double d = dx * dx + dy * dy; d < best) best = d, nearest = c;
    }
    if (!(best <= 9 * truth.deviation * truth.deviation)) continue;
    ++seen[nearest];
    ++near;
  }
  Modes out{0, static_cast<int64_t>(count), near / static_cast<double>(points.shape[0]), 0};
  for (const double n : seen) {
    if (n == 0) continue;
    ++out.found;
    out.divergence += n / near * std::log(n / near * static_cast<double>(count));
  }
  return out;
}

}  // namespace gmc::data
