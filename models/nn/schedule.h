// Learning rates as functions of the step: scalar tensors for the `lr` of an optimiser.
//
//   Tensor t = step_count();
//   minimize(loss, parameters(net), Adam{.lr = schedule::cosine(t, {.lr = 1e-3, .steps = 10000, .warmup = 500})});
#pragma once

#include "compiler/dsl/location.h"

#include <source_location>
#include <string>
#include <vector>

namespace gmc {

// The number of this step, 0 in the first, an f32 scalar: the state NAME.t, which this increments. Exact up to 2^24
// steps. To be called once in an entry; throws `Error` if `name` was used there.
Tensor step_count(const std::string& name = "schedule", std::source_location where = std::source_location::current());

namespace schedule {

// Each takes t, the number of the step from 0, a scalar, and throws `Error` if an option is outside its range.

Tensor constant(At t, double lr);
// lr factor^floor(t / every) (torch: StepLR).
Tensor step(At t, double lr, int64_t every, double factor = 0.1);
// lr factor^(how many of `at` are at most t); `at` in any order (MultiStepLR).
Tensor milestones(At t, double lr, const std::vector<double>& at, double factor = 0.1);
// lr factor^t (ExponentialLR).
Tensor exponential(At t, double lr, double factor);
// From start * lr at t = 0 in a straight line to lr at t = steps, and lr from there on (LinearLR).
Tensor warmup(At t, double lr, double steps, double start = 0);

// The warm-up above, then half a period of a cosine from lr at t = warmup to `floor` at t = steps, and `floor` from
// there on (Loshchilov & Hutter 2017, equation 5, one period; CosineAnnealingLR after LinearLR).
struct Cosine {
  double lr, steps;
  double warmup = 0, start = 0, floor = 0;
};
Tensor cosine(At t, const Cosine&);

// The rate as configurations say it: a warm-up from 0 over `warmup` steps, then a cosine down to `floor` at step
// `decay`, either left out where it is 0; the number `lr` without both. The step is the state schedule.t, counted in
// calls. Throws `Error` if the decay ends before the warm-up does, or there is a floor and no decay.
struct Plan {
  int64_t warmup = 0, decay = 0;
  double floor = 0;
};
At planned(double lr, const Plan&, std::source_location where = std::source_location::current());

// lr width^-0.5 min(s^-0.5, s warmup^-1.5), s = t + 1 (Vaswani et al. 2017, section 5.3, equation 3).
Tensor noam(At t, double width, double warmup, double lr = 1);

}  // namespace schedule
}  // namespace gmc
