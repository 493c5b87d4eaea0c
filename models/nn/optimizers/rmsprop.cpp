#include "models/nn/optimizers/descent.h"

#include "ops/ops.h"

namespace gmc {

void minimize(At loss, const std::vector<Parameter>& parameters, const RmsProp& o) {
  const CalledFrom here(loss);
  const optimizers::Options options(loss, "RmsProp");
  options.lr(o.lr);
  options.check(o.alpha >= 0 && o.alpha <= 1, "alpha", "in [0, 1]", o.alpha);
  options.not_negative("eps", o.eps);
  options.not_negative("weight_decay", o.weight_decay);
  options.not_negative("momentum", o.momentum);
  options.clipping({o.clip, o.clip_value, o.accumulate});
  const optimizers::Descent descent(loss, parameters, {o.clip, o.clip_value, o.accumulate}, o.name);
  for (const optimizers::Learned& learned : descent.learned()) {
    const Parameter& p = learned.parameter;
    const Scope scope(o.name + "/" + p.name());
    const Tensor d = optimizers::decayed(learned, o.weight_decay);
    const Parameter squares = descent.state("v", p);
    const Tensor v = optimizers::moved(squares, o.alpha, square(d));
    descent.set(squares, v);
    Tensor variance = v;
    if (o.centered) {
      const Parameter mean = descent.state("m", p);
      const Tensor m = optimizers::moved(mean, o.alpha, d);
      descent.set(mean, m);
      variance = maximum(v - square(m), 0);
    }
    Tensor step = d / (sqrt(variance) + o.eps);
    if (o.momentum != 0) {
      const Parameter buffer = descent.state("buf", p);
      step = o.momentum * buffer + step;
      descent.set(buffer, step);
    }
    descent.set(p, p - o.lr * step);
  }
}

}  // namespace gmc
