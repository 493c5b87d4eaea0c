#include "models/nn/optimizers/descent.h"

#include "ops/ops.h"

namespace gmc {

void minimize(At loss, const std::vector<Parameter>& parameters, const Sgd& o) {
  const CalledFrom here(loss);
  const optimizers::Options options(loss, "Sgd");
  options.lr(o.lr);
  options.not_negative("momentum", o.momentum);
  options.not_negative("weight_decay", o.weight_decay);
  options.clipping({o.clip, o.clip_value, o.accumulate});
  options.check(!o.nesterov || o.momentum > 0, "momentum", "positive with nesterov", o.momentum);
  options.check(!o.nesterov || o.dampening == 0, "dampening", "0 with nesterov", o.dampening);
  const optimizers::Descent descent(loss, parameters, {o.clip, o.clip_value, o.accumulate}, o.name);
  Tensor fresh;  // the weight of the new gradient
  if (o.momentum != 0 && o.dampening != 0) {
    const Tensor t = descent.count();
    const Scope shared(o.name);
    fresh = select(less(t, 1.5), 1, 1 - o.dampening);
  }
  for (const optimizers::Learned& learned : descent.learned()) {
    const Parameter& p = learned.parameter;
    const Scope scope(o.name + "/" + p.name());
    const Tensor d = optimizers::decayed(learned, o.weight_decay);
    Tensor step = d;
    if (o.momentum != 0) {
      const Parameter buffer = descent.state("buf", p);
      step = o.momentum * buffer + (fresh.valid() ? fresh * d : d);
      descent.set(buffer, step);
      if (o.nesterov) step = d + o.momentum * step;
    }
    descent.set(p, p - o.lr * step);
  }
}

}  // namespace gmc
