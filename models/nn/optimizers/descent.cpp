#include "models/nn/optimizers/descent.h"

#include "compiler/dsl/capture.h"
#include "compiler/transform/differentiate.h"
#include "ops/ops.h"

#include <fmt/format.h>

#include <limits>

namespace gmc::optimizers {
namespace {

void clip_values(std::vector<Learned>& learned, double bound) {
  const Scope scope("clip");
  for (Learned& l : learned) l.gradient = minimum(maximum(l.gradient, -bound), bound);
}

void clip_norm(std::vector<Learned>& learned, double bound) {
  const Scope scope("clip");
  Tensor total;
  for (const Learned& l : learned) {
    const Tensor squares = sum(square(l.gradient));
    total = total.valid() ? total + squares : squares;
  }
  const Tensor scale = minimum(bound / (sqrt(total) + 1e-6), 1);
  for (Learned& l : learned) l.gradient = l.gradient * scale;
}

}  // namespace

Descent::Descent(const At& loss, const std::vector<Parameter>& parameters, const Clipping& clip,
                 const std::string& name)
    : name_(name) {
  const dsl::Call call("minimize", {loss});
  dsl::Capture& capture = dsl::current("minimize", dsl::location_of(loss.where()));
  capture.use_optimizer(name, dsl::place_of(loss.where()));
  if (parameters.empty()) call.fail("there are no parameters to update", "pass parameters(net)");
  std::vector<graph::Var> wrt;
  for (const Parameter& p : parameters)
    wrt.push_back({call[0].graph, capture.read(p, dsl::location_of(loss.where())).value()});
  std::vector<bool> reached;
  graph::Var target = call[0];
  Tensor scale;
  if (capture.precision() == f16 && target.shape().empty()) {
    const Scope scope(name);
    scale = scalar("scale", first_scale);
    const Tensor scaled = At(call.result(target), loss.where()) * scale;
    target = {call[0].graph, scaled.value()};
  }
  const std::vector<graph::Var> all = transform::differentiate(target, wrt, &reached);
  for (size_t i = 0; i < all.size(); ++i)
    if (reached[i]) learned_.push_back({parameters[i], call.result(all[i])});
  if (learned_.empty()) call.fail("the loss does not depend on any of the parameters");
  if (scale.valid()) scale_back(scale);
  if (clip.accumulate > 1) accumulate(clip.accumulate);
  if (clip.value > 0) clip_values(learned_, clip.value);
  if (clip.norm > 0) clip_norm(learned_, clip.norm);
  for (const Learned& l : learned_) capture.record_gradient(l.parameter.name(), l.gradient.value());
}

Tensor Descent::count() const {
  const Parameter counter = scalar("t", 0);
  const Scope shared(name_);
  const Tensor t = counter + 1;
  set(counter, t);
  return t;
}

Parameter Descent::scalar(const std::string& what, double initial) const {
  return dsl::current_or_null()->optimizer_state(name_ + "." + what, {}, {Initialiser::Kind::constant, initial});
}

void Descent::scale_back(const Tensor& scale) {
  const Scope scope(name_);
  Tensor largest;
  for (Learned& l : learned_) {
    l.gradient = l.gradient * (1 / scale);
    const Tensor magnitude = max(abs(l.gradient));
    largest = largest.valid() ? maximum(largest, magnitude) : magnitude;
  }
  good_ = less(largest, static_cast<double>(std::numeric_limits<float>::max()));
  const Parameter state = scalar("scale", first_scale), streak = scalar("good", 0);
  const Tensor longer = streak + 1;
  const Tensor grows = less(growth_interval - 0.5, longer);
  const Tensor larger = select(grows, minimum(2 * scale, largest_scale), scale);
  update(state, select(good_, larger, maximum(0.5 * scale, 1)));
  update(streak, select(good_, select(grows, 0, longer), 0));
}

// Gradients that are not finite, which the scale of f16 may make, are left out as a step of their own would be.
void Descent::accumulate(int64_t calls) {
  const Scope scope(name_);
  const Parameter state = scalar("calls", 0);
  const Tensor before = state, done = good_.valid() ? select(good_, before + 1, before) : before + 1;
  const Tensor last = less(static_cast<double>(calls) - 0.5, done);
  update(state, select(last, 0, done));
  for (Learned& l : learned_) {
    const Parameter sum = this->state("sum", l.parameter);
    const Tensor more = sum + l.gradient * (1.0 / static_cast<double>(calls));
    const Tensor total = good_.valid() ? select(good_, more, sum) : more;
    update(sum, select(last, 0, total));
    l.gradient = total;
  }
  good_ = last;
}

void Descent::set(const Parameter& p, const Tensor& value) const {
  update(p, good_.valid() ? select(good_, value, p) : value);
}

Parameter Descent::state(const std::string& what, const Parameter& p, double initial) const {
  return dsl::current_or_null()->optimizer_state(name_ + "." + what + "." + p.name(), p.shape(),
                                                 {Initialiser::Kind::constant, initial});
}

Tensor decayed(const Learned& l, double weight_decay) {
  return weight_decay == 0 ? l.gradient : l.gradient + weight_decay * l.parameter;
}

Tensor moved(const Parameter& average, double weight, const Tensor& x) { return weight * average + (1 - weight) * x; }

void Options::check(bool ok, const char* what, const char* expected, double value) const {
  if (!ok) fail_at(loss_, fmt::format("{}: {} must be {}, got {}", optimizer_, what, expected, value));
}

void Options::betas(const std::vector<double>& betas) const {
  if (betas.size() != 2 || !(betas[0] >= 0 && betas[0] < 1) || !(betas[1] >= 0 && betas[1] < 1))
    fail_at(loss_, fmt::format("{}: betas must be two numbers in [0, 1)", optimizer_));
}

void Options::lr(const At& lr) const {
  if (lr.is_number()) return not_negative("lr", lr.number());
  if (lr.rank() != 0)
    fail_at(loss_, fmt::format("{}: lr must be a number or a scalar, got shape {}", optimizer_, to_string(lr.shape())));
}

void Options::clipping(const Clipping& clip) const {
  check(clip.accumulate >= 1, "accumulate", "at least 1", static_cast<double>(clip.accumulate));
  not_negative("clip", clip.norm);
  not_negative("clip_value", clip.value);
}

}  // namespace gmc::optimizers
