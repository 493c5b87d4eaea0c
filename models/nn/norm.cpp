#include "models/nn/norm.h"

#include "compiler/dsl/program.h"
#include "models/nn/init.h"
#include "ops/ops.h"

#include <fmt/format.h>

namespace gmc {
namespace {

thread_local bool evaluating = false;

}  // namespace

Evaluation::Evaluation() : outer_(evaluating) { evaluating = true; }
Evaluation::~Evaluation() { evaluating = outer_; }
bool Evaluation::active() { return evaluating; }

LayerNorm::LayerNorm(int64_t n, double e, std::source_location made)
    : weight({n}, init::ones(), StateKind::parameter, made), bias({n}, init::zeros(), StateKind::parameter, made),
      epsilon(e) {}

Tensor LayerNorm::operator()(At x) const {
  const int64_t n = weight.shape()[0];
  const Scope scope(*this, x, fmt::format("LayerNorm({})", n));
  if (x.rank() == 0 || x.dim(-1) != n)
    fail_at(x, fmt::format("LayerNorm({}): expected [.., {}], got {}", n, n, to_string(x.shape())));
  return layer_norm(x, weight, bias, epsilon);
}

GroupNorm::GroupNorm(int64_t g, int64_t channels, double e, std::source_location made)
    : weight({channels}, init::ones(), StateKind::parameter, made),
      bias({channels}, init::zeros(), StateKind::parameter, made), groups(g), epsilon(e) {}

Tensor GroupNorm::operator()(At x) const {
  const int64_t channels = weight.shape()[0];
  const Scope scope(*this, x, fmt::format("GroupNorm({}, {})", groups, channels));
  if (x.rank() < 2 || x.dim(1) != channels)
    fail_at(x, fmt::format("GroupNorm({}, {}): expected [n, {}, ..], got {}", groups, channels, channels,
                           to_string(x.shape())));
  return group_norm(x, groups, weight, bias, epsilon);
}

BatchNorm2d::BatchNorm2d(int64_t channels, double m, double e, std::source_location made)
    : weight({channels}, init::ones(), StateKind::parameter, made),
      bias({channels}, init::zeros(), StateKind::parameter, made),
      running_mean({channels}, init::zeros(), StateKind::buffer, made),
      running_var({channels}, init::ones(), StateKind::buffer, made), momentum(m), epsilon(e) {}

Tensor BatchNorm2d::operator()(At x) const {
  const int64_t channels = weight.shape()[0];
  const Scope scope(*this, x, fmt::format("BatchNorm2d({})", channels));
  if (x.rank() != 4 || x.dim(1) != channels)
    fail_at(x, fmt::format("BatchNorm2d({}): expected [n, {}, height, width], got {}", channels, channels,
                           to_string(x.shape())));
  if (Evaluation::active()) return batch_norm_inference(x, weight, bias, running_mean, running_var, epsilon);
  const BatchNormResult r = batch_norm_training(x, weight, bias, running_mean, running_var, momentum, epsilon);
  update(running_mean, r.mean);
  update(running_var, r.variance);
  return r.y;
}

}  // namespace gmc
