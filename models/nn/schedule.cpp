#include "models/nn/schedule.h"

#include "compiler/dsl/capture.h"
#include "ops/ops.h"
#include "runtime/base/error.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace gmc {
namespace {

constexpr double last_step = 1 << 24;  // the counter is an f32

void check(const At& t, const char* schedule, bool ok, const char* what, double value) {
  if (t.rank() != 0) fail_at(t, fmt::format("{}: the step must be a scalar, got {}", schedule, to_string(t.shape())));
  if (!ok) fail_at(t, fmt::format("{}: {}, got {}", schedule, what, value));
}

// sin(y), |y| <= pi / 2: the first 13 terms of its series, the next one is below 2e-20.
Tensor sine(const Tensor& y) {
  const Tensor squared = square(y);
  Tensor series = 1 - squared / (24.0 * 25.0);
  for (double n = 22; n >= 2; n -= 2) series = 1 - squared / (n * (n + 1)) * series;
  return y * series;
}

}  // namespace

Tensor step_count(const std::string& name, std::source_location where) {
  const graph::Location at = dsl::location_of(where);
  dsl::Capture& capture = dsl::current("step_count", at);
  capture.use_optimizer(name, at);
  capture.graph()->context.location = at;
  const Parameter counter = capture.optimizer_state(name + ".t", {});
  const At t(counter, where);
  update(counter, At(t + At(1, where), where));
  return t;
}

namespace schedule {

Tensor constant(At t, double lr) {
  check(t, "constant", lr >= 0, "lr must be at least 0", lr);
  return At(lr, t.where());
}

Tensor step(At t, double lr, int64_t every, double factor) {
  const CalledFrom here(t);
  check(t, "step", lr >= 0, "lr must be at least 0", lr);
  check(t, "step", every > 0, "every must be positive", static_cast<double>(every));
  check(t, "step", factor >= 0, "factor must be at least 0", factor);
  // t / every, bit by bit from the highest that t can have: exact in f32, unlike a power of a rounded quotient.
  double span = static_cast<double>(every), power = 1;
  while (2 * span <= last_step) span *= 2, power *= 2;
  Tensor rate = constant(t, lr), rest = t;
  for (; power >= 1; span /= 2, power /= 2) {
    const Tensor below = less(rest, span);
    rate = select(below, rate, std::pow(factor, power) * rate);
    rest = select(below, rest, rest - span);
  }
  return rate;
}

Tensor milestones(At t, double lr, const std::vector<double>& at, double factor) {
  const CalledFrom here(t);
  check(t, "milestones", lr >= 0, "lr must be at least 0", lr);
  check(t, "milestones", factor >= 0, "factor must be at least 0", factor);
  Tensor rate = constant(t, lr);
  for (const double milestone : at) rate = select(less(t, milestone), rate, factor * rate);
  return rate;
}

Tensor exponential(At t, double lr, double factor) {
  const CalledFrom here(t);
  check(t, "exponential", lr >= 0, "lr must be at least 0", lr);
  check(t, "exponential", factor > 0, "factor must be positive", factor);
  return lr * exp(t * std::log(factor));
}

Tensor warmup(At t, double lr, double steps, double start) {
  const CalledFrom here(t);
  check(t, "warmup", lr >= 0, "lr must be at least 0", lr);
  check(t, "warmup", steps > 0, "steps must be positive", steps);
  check(t, "warmup", start >= 0, "start must be at least 0", start);
  return lr * (start + (1 - start) * minimum(t / steps, 1));
}

Tensor cosine(At t, const Cosine& c) {
  const CalledFrom here(t);
  check(t, "cosine", c.lr >= 0, "lr must be at least 0", c.lr);
  check(t, "cosine", c.floor >= 0, "floor must be at least 0", c.floor);
  check(t, "cosine", c.warmup >= 0, "warmup must be at least 0", c.warmup);
  check(t, "cosine", c.steps > c.warmup, "steps must be more than warmup", c.steps);
  const double pi = std::numbers::pi;
  const Tensor done = minimum(maximum((t - c.warmup) / (c.steps - c.warmup), 0), 1);
  // cos(pi x) = sin(pi / 2 - pi x)
  const Tensor fall = c.floor + (c.lr - c.floor) * (0.5 + 0.5 * sine(pi / 2 - pi * done));
  if (c.warmup == 0) return fall;
  return select(less(t, c.warmup), warmup(t, c.lr, c.warmup, c.start), fall);
}

At planned(double lr, const Plan& p, std::source_location where) {
  if (p.warmup < 0 || p.decay < 0)
    fail("schedule: expected warmup and decay of at least 0, got {} and {}", p.warmup, p.decay);
  if (p.decay > 0 && p.decay <= p.warmup)
    fail("schedule: the decay ends at step {}, the warm-up at step {}", p.decay, p.warmup);
  if (p.decay == 0 && p.floor != 0) fail("schedule: a floor of {} and no decay", p.floor);
  if (p.warmup == 0 && p.decay == 0) return At(lr, where);
  const At t(step_count("schedule", where), where);
  const auto steps = static_cast<double>(p.decay), rise = static_cast<double>(p.warmup);
  if (p.decay == 0) return At(warmup(t, lr, rise), where);
  return At(cosine(t, {.lr = lr, .steps = steps, .warmup = rise, .floor = p.floor}), where);
}

Tensor noam(At t, double width, double warmup, double lr) {
  const CalledFrom here(t);
  check(t, "noam", lr >= 0, "lr must be at least 0", lr);
  check(t, "noam", width > 0, "width must be positive", width);
  check(t, "noam", warmup > 0, "warmup must be positive", warmup);
  const Tensor s = t + 1;
  return lr / std::sqrt(width) * minimum(rsqrt(s), s * std::pow(warmup, -1.5));
}

}  // namespace schedule
}  // namespace gmc
