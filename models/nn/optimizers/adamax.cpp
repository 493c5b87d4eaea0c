#include "models/nn/optimizers/descent.h"

#include "ops/ops.h"

#include <cmath>

namespace gmc {

void minimize(At loss, const std::vector<Parameter>& parameters, const Adamax& o) {
  const CalledFrom here(loss);
  const optimizers::Options options(loss, "Adamax");
  options.betas(o.betas);
  options.lr(o.lr);
  options.not_negative("eps", o.eps);
  options.not_negative("weight_decay", o.weight_decay);
  options.clipping({o.clip, o.clip_value, o.accumulate});
  const optimizers::Descent descent(loss, parameters, {o.clip, o.clip_value, o.accumulate}, o.name);
  const Tensor t = descent.count();
  Tensor step_size;
  {
    const Scope shared(o.name);
    step_size = o.lr / -expm1(t * std::log(o.betas[0]));
  }
  for (const optimizers::Learned& learned : descent.learned()) {
    const Parameter& p = learned.parameter;
    const Scope scope(o.name + "/" + p.name());
    const Tensor d = optimizers::decayed(learned, o.weight_decay);
    const Parameter first = descent.state("m", p), norm = descent.state("u", p);
    const Tensor m = optimizers::moved(first, o.betas[0], d);
    const Tensor u = maximum(o.betas[1] * norm, abs(d) + o.eps);
    descent.set(first, m);
    descent.set(norm, u);
    descent.set(p, p - step_size * m / u);
  }
}

}  // namespace gmc
