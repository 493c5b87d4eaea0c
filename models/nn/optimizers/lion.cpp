#include "models/nn/optimizers/descent.h"

#include "ops/ops.h"

namespace gmc {

void minimize(At loss, const std::vector<Parameter>& parameters, const Lion& o) {
  const CalledFrom here(loss);
  const optimizers::Options options(loss, "Lion");
  options.betas(o.betas);
  options.lr(o.lr);
  options.not_negative("weight_decay", o.weight_decay);
  options.clipping({o.clip, o.clip_value, o.accumulate});
  const optimizers::Descent descent(loss, parameters, {o.clip, o.clip_value, o.accumulate}, o.name);
  for (const optimizers::Learned& learned : descent.learned()) {
    const Parameter& p = learned.parameter;
    const Tensor& g = learned.gradient;
    const Scope scope(o.name + "/" + p.name());
    const Parameter momentum = descent.state("m", p);
    Tensor step = sign(optimizers::moved(momentum, o.betas[0], g));
    if (o.weight_decay != 0) step = step + o.weight_decay * p;
    descent.set(momentum, optimizers::moved(momentum, o.betas[1], g));
    descent.set(p, p - o.lr * step);
  }
}

}  // namespace gmc
