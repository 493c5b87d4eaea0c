#include "models/nn/optimizers/descent.h"

#include "ops/ops.h"

namespace gmc {

void minimize(At loss, const std::vector<Parameter>& parameters, const Adagrad& o) {
  const CalledFrom here(loss);
  const optimizers::Options options(loss, "Adagrad");
  options.lr(o.lr);
  options.not_negative("lr_decay", o.lr_decay);
  options.not_negative("weight_decay", o.weight_decay);
  options.not_negative("initial_accumulator", o.initial_accumulator);
  options.not_negative("eps", o.eps);
  options.clipping({o.clip, o.clip_value, o.accumulate});
  const optimizers::Descent descent(loss, parameters, {o.clip, o.clip_value, o.accumulate}, o.name);
  Tensor step_size = o.lr;
  if (o.lr_decay != 0) {
    const Tensor t = descent.count();
    const Scope shared(o.name);
    step_size = o.lr / (1 + (t - 1) * o.lr_decay);
  }
  for (const optimizers::Learned& learned : descent.learned()) {
    const Parameter& p = learned.parameter;
    const Scope scope(o.name + "/" + p.name());
    const Tensor d = optimizers::decayed(learned, o.weight_decay);
    const Parameter sums = descent.state("v", p, o.initial_accumulator);
    const Tensor v = sums + square(d);
    descent.set(sums, v);
    descent.set(p, p - step_size * d / (sqrt(v) + o.eps));
  }
}

}  // namespace gmc
