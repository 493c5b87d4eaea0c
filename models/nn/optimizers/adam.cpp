#include "models/nn/optimizers/descent.h"

#include "ops/ops.h"

#include <cmath>

namespace gmc {

void minimize(At loss, const std::vector<Parameter>& parameters, const Adam& o) {
  const CalledFrom here(loss);
  const optimizers::Options options(loss, "Adam");
  options.betas(o.betas);
  options.lr(o.lr);
  options.not_negative("eps", o.eps);
  options.not_negative("weight_decay", o.weight_decay);
  options.clipping({o.clip, o.clip_value, o.accumulate});
  const double beta1 = o.betas[0], beta2 = o.betas[1];
  const optimizers::Descent descent(loss, parameters, {o.clip, o.clip_value, o.accumulate}, o.name);
  const Tensor t = descent.count();
  Tensor step_size, root;
  {
    const Scope shared(o.name);
    // 1 - beta^t without cancellation; the logarithm is taken in f64 here.
    step_size = o.lr / -expm1(t * std::log(beta1));
    root = rsqrt(-expm1(t * std::log(beta2)));
  }
  for (const optimizers::Learned& learned : descent.learned()) {
    const Parameter& p = learned.parameter;
    const Scope scope(o.name + "/" + p.name());
    const Tensor g = o.decoupled ? learned.gradient : optimizers::decayed(learned, o.weight_decay);
    const Parameter first = descent.state("m", p), second = descent.state("v", p);
    const Tensor m = optimizers::moved(first, beta1, g);
    Tensor v = optimizers::moved(second, beta2, square(g));
    descent.set(first, m);
    descent.set(second, v);
    if (o.amsgrad) {
      const Parameter largest = descent.state("vmax", p);
      v = maximum(largest, v);
      descent.set(largest, v);
    }
    Tensor start = p;
    if (o.decoupled && o.weight_decay != 0) start = start - o.weight_decay * o.lr * start;
    descent.set(p, start - step_size * m / (sqrt(v) * root + o.eps));
  }
}

}  // namespace gmc
