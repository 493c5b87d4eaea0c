#include "models/nn/optimizer.h"

#include "compiler/dsl/capture.h"
#include "compiler/transform/differentiate.h"
#include "ops/ops.h"

#include <cmath>

namespace gmc {
namespace {

struct Learned {
  Parameter parameter;
  Tensor gradient;
};

// The gradients of the parameters that the loss depends on, clipped.
std::vector<Learned> differentiated(const At& loss, const std::vector<Parameter>& parameters, double clip,
                                    const std::string& name) {
  const dsl::Call call("minimize", {loss});
  dsl::Capture& capture = dsl::current("minimize", dsl::location_of(loss.where()));
  capture.use_optimizer(name, dsl::place_of(loss.where()));
  if (parameters.empty()) call.fail("there are no parameters to update", "pass parameters(net)");
  std::vector<graph::Var> wrt;
  for (const Parameter& p : parameters)
    wrt.push_back({call[0].graph, capture.read(p, dsl::location_of(loss.where())).value()});
  std::vector<bool> reached;
  const std::vector<graph::Var> all = transform::differentiate(call[0], wrt, &reached);
  std::vector<Learned> learned;
  for (size_t i = 0; i < all.size(); ++i)
    if (reached[i]) learned.push_back({parameters[i], call.result(all[i])});
  if (learned.empty()) call.fail("the loss does not depend on any of the parameters");
  if (clip > 0) {
    const Scope scope("clip");
    Tensor total;
    for (const Learned& l : learned) {
      const Tensor squares = sum(square(l.gradient));
      total = total.valid() ? total + squares : squares;
    }
    const Tensor scale = minimum(clip / (sqrt(total) + 1e-6), 1);
    for (Learned& l : learned) l.gradient = l.gradient * scale;
  }
  for (const Learned& l : learned) capture.record_gradient(l.parameter.name(), l.gradient.value());
  return learned;
}

Parameter state_of(const std::string& optimizer, const std::string& what, const Parameter& p) {
  return dsl::current_or_null()->optimizer_state(optimizer + "." + what + "." + p.name(), p.shape());
}

}  // namespace

void minimize(At loss, const std::vector<Parameter>& parameters, const Sgd& o) {
  const CalledFrom here(loss);
  for (const auto& [p, g] : differentiated(loss, parameters, o.clip, o.name)) {
    const Scope scope(o.name + "/" + p.name());
    Tensor step = g;
    if (o.momentum != 0) {
      const Parameter buffer = state_of(o.name, "buf", p);
      step = o.momentum * buffer + g;
      update(buffer, step);
    }
    update(p, p - o.lr * step);
  }
}

void minimize(At loss, const std::vector<Parameter>& parameters, const Adam& o) {
  const CalledFrom here(loss);
  if (o.betas.size() != 2 || !(o.betas[0] >= 0 && o.betas[0] < 1) || !(o.betas[1] >= 0 && o.betas[1] < 1))
    fail_at(loss, "Adam: betas must be two numbers in [0, 1)");
  const double beta1 = o.betas[0], beta2 = o.betas[1];
  const std::vector<Learned> learned = differentiated(loss, parameters, o.clip, o.name);
  const Parameter counter = dsl::current_or_null()->optimizer_state(o.name + ".t", {});
  const Scope shared(o.name);
  const Tensor t = counter + 1;
  update(counter, t);
  // 1 - beta^t without cancellation; the logarithm is taken in f64 here.
  const Tensor step_size = o.lr / -expm1(t * std::log(beta1));
  const Tensor root = rsqrt(-expm1(t * std::log(beta2)));
  for (const auto& [p, g] : learned) {
    const Scope scope(o.name + "/" + p.name());
    const Parameter first = state_of(o.name, "m", p), second = state_of(o.name, "v", p);
    const Tensor m = beta1 * first + (1 - beta1) * g;
    const Tensor v = beta2 * second + (1 - beta2) * square(g);
    update(first, m);
    update(second, v);
    Tensor start = p;
    if (o.weight_decay != 0) start = start - o.weight_decay * o.lr * start;
    update(p, start - step_size * m / (sqrt(v) * root + o.eps));
  }
}

}  // namespace gmc
