// An exponential moving average of weights, as samplers use it.
//
//   Net net(c), smooth(c);
//   as_average(smooth);
//   p.state(net), p.state(smooth, "ema");
//   ... in the step, after minimize: ema(smooth, net, 0.999);
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"

#include <source_location>
#include <string>
#include <vector>

namespace gmc {

// Turns the parameters of `module` into buffers that start from zero: no optimiser learns them. To be called before the
// module is given to a program; throws `Error` afterwards.
void as_average(const Part& module);

// Moves the average of each parameter: average += (1 - decay) (parameter - average), in the first step average =
// parameter; buffers of `net` are copied. As torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn does it.
// `decay`: a number in [0, 1] or a scalar tensor. State: the counter NAME.t. Throws `Error` if the two modules differ
// in names or shapes.
void ema(const Part& average, const Part& net, At decay, const std::string& name = "ema");

// What parameters are when it is made.
struct Snapshot {
  explicit Snapshot(const Part& net, std::source_location where = std::source_location::current());
  std::vector<Tensor> values;
};
// The same, but the average starts from the weights before the first step: `begin` is made before `minimize`.
void ema(const Part& average, const Part& net, At decay, const Snapshot& begin, const std::string& name = "ema");

}  // namespace gmc
