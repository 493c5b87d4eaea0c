#include "runtime/data/made.h"

#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace gmc::data {
namespace {

using std::numbers::pi;
using std::numbers::sqrt2;

// The random numbers of one sample.
class Draws {
public:
  Draws(const char* name, int64_t sample)
      : key_(execute::stream_key(0, execute::stream_of(name), static_cast<uint64_t>(sample))) {}
  double uniform(double low = 0, double high = 1) { return low + (high - low) * execute::uniform_of(word()); }
  double normal() { return execute::normal_of(word()); }
  int64_t below(int64_t n) { return static_cast<int64_t>(uint64_t{word()} * static_cast<uint64_t>(n) >> 32); }

private:
  uint32_t word() { return execute::random_word(key_, next_++); }
  uint64_t key_, next_ = 0;
};

struct Point {
  double x, y;
  int64_t label;
};

Point around(const Truth& t, Draws& draw) {
  const int64_t mode = draw.below(static_cast<int64_t>(t.centres.size() / 2));
  const auto at = static_cast<size_t>(2 * mode);
  const double x = t.centres[at] + t.deviation * draw.normal();
  return {x, t.centres[at + 1] + t.deviation * draw.normal(), mode};
}

// Equal modes that hardly overlap: log n + log(2 pi e deviation^2).
Truth mixture(std::vector<double> centres, double deviation) {
  const double modes = static_cast<double>(centres.size()) / 2;
  return {std::move(centres), deviation, std::log(modes) + std::log(2 * pi * std::numbers::e * deviation * deviation)};
}

Truth circle() {
  std::vector<double> centres;
  for (int i = 0; i < 8; ++i) {
    centres.push_back(4 / sqrt2 * std::cos(i * pi / 4));
    centres.push_back(4 / sqrt2 * std::sin(i * pi / 4));
  }
  return mixture(std::move(centres), 0.5 / sqrt2);
}

Truth grid() {
  std::vector<double> centres;
  for (int x = -2; x <= 2; ++x)
    for (int y = -2; y <= 2; ++y) centres.insert(centres.end(), {x / sqrt2, y / sqrt2});
  return mixture(std::move(centres), 0.05 / (2 * sqrt2));
}

Point moon(const Truth&, Draws& draw) {
  const int64_t which = draw.below(2);
  const double angle = draw.uniform(0, pi), side = which == 0 ? 1 : -1;
  const double x = side * std::cos(angle) + (which == 0 ? -0.5 : 0.5);
  const double y = side * std::sin(angle) + (which == 0 ? -0.25 : 0.25);
  const double dx = 0.1 * draw.normal();
  return {x + dx, y + 0.1 * draw.normal(), which};
}

Point roll(const Truth&, Draws& draw) {
  const double t = 1.5 * pi * (1 + 2 * draw.uniform());
  const double dx = draw.normal();
  return {(t * std::cos(t) + dx) / 5, (t * std::sin(t) + draw.normal()) / 5, 0};
}

Point arm(const Truth&, Draws& draw) {
  const int64_t which = draw.below(5);
  const double radius = 1 + 0.3 * draw.normal(), side = 0.05 * draw.normal();
  const double angle = 2 * pi * static_cast<double>(which) / 5 + 0.25 * std::exp(radius);
  return {2 * (radius * std::cos(angle) - side * std::sin(angle)),
          2 * (radius * std::sin(angle) + side * std::cos(angle)), which};
}

Point square(const Truth&, Draws& draw) {
  const double x = draw.uniform(-4, 4);
  const auto column = static_cast<int64_t>(std::floor(x / 2));
  const int64_t row = 2 * draw.below(2) + (column & 1);
  return {x, 2 * static_cast<double>(row - 2) + draw.uniform(0, 2), 0};
}

struct Family {
  const char* name;
  Truth (*truth)();
  Point (*point)(const Truth&, Draws&);
};

constexpr std::array<Family, 6> families{{
    {"gaussians8", circle, around},
    {"gaussians25", grid, around},
    {"moons", nullptr, moon},
    {"swissroll", nullptr, roll},
    {"pinwheel", nullptr, arm},
    {"checkerboard", [] { return Truth{{}, 0, std::log(32.0)}; }, square},
}};

// Whether a point in the shape's own frame is inside; shapes have radius about 1.
bool inside(int64_t shape, double x, double y) {
  if (shape == 0) return std::fabs(x) < 0.8 && std::fabs(y) < 0.8;
  if (shape == 1) return x * x + y * y / 0.36 < 1;
  return y < 0.6 && y > -1 + 1.6 * std::fabs(x) / 0.9;
}

}  // namespace

Array made_points(const std::string& name, int64_t count) {
  const auto family = std::find_if(families.begin(), families.end(), [&](const Family& f) { return name == f.name; });
  if (family == families.end()) fail("points: no set is called '{}'", name);
  Array out{HostTensor(DType::f32, {count, 2}), {}, family->truth ? family->truth() : Truth{}};
  for (int64_t i = 0; i < count; ++i) {
    Draws draw("data/points", i);
    const Point p = family->point(out.truth, draw);
    out.values.as<float>()[2 * i] = static_cast<float>(p.x);
    out.values.as<float>()[2 * i + 1] = static_cast<float>(p.y);
    out.labels.push_back(p.label);
  }
  return out;
}

Array made_shapes(int64_t count) {
  constexpr int64_t side = 32, fine = 4;  // points per pixel and axis
  Array out{HostTensor(DType::u8, {count, side, side}), {}, {}};
  uint8_t* pixel = out.values.as<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    Draws draw("data/shapes", i);
    const int64_t shape = draw.below(3);
    const double size = draw.uniform(5, 10), turn = draw.uniform(0, 2 * pi);
    const double cx = draw.uniform(11, 21), cy = draw.uniform(11, 21);
    const double c = std::cos(turn) / size, s = std::sin(turn) / size;
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x) {
        int64_t hits = 0;
        for (int64_t k = 0; k < fine * fine; ++k) {
          const double u = static_cast<double>(x) + (static_cast<double>(k % fine) + 0.5) / fine - cx;
          const double v = static_cast<double>(y) + (static_cast<double>(k / fine) + 0.5) / fine - cy;
          hits += inside(shape, c * u + s * v, c * v - s * u);
        }
        *pixel++ = static_cast<uint8_t>(hits * 255 / (fine * fine));
      }
    out.labels.push_back(shape);
  }
  return out;
}

Array made_sines(int64_t count) {
  constexpr int64_t steps = 24, channels = 5;
  Array out{HostTensor(DType::f32, {count, steps, channels}), {}, {}};
  for (int64_t i = 0; i < count; ++i) {
    Draws draw("data/sines", i);
    float* series = out.values.as<float>() + i * steps * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const double frequency = draw.uniform(), phase = draw.uniform();
      for (int64_t t = 0; t < steps; ++t)
        series[t * channels + c] = static_cast<float>((1 + std::sin(frequency * static_cast<double>(t) + phase)) / 2);
    }
  }
  return out;
}

}  // namespace gmc::data
