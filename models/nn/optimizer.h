// Optimisers: a training step is one entry, so they update parameters in place inside it. Options, defaults and
// formulas are those of torch.optim; `g` is the gradient after clipping, `t` counts steps from 1. States start from
// zero and are named NAME.WHAT.PARAMETER (`adam.m.fc1.weight`); the counter is NAME.t, an f32 scalar, exact up to 2^24
// steps.
//
// All have:
//   lr          a number or a scalar tensor (models/nn/schedule.h makes them of the step)
//   clip        bound of the global norm of the gradients: all are scaled by min(1, clip / (norm + 1e-6)); 0: none
//   clip_value  bound of every element's magnitude, applied before the norm is taken; 0: none
//   accumulate  calls for one update: their gradients are averaged, clipped and used in the last one; the others change
//               no parameter and no other state, and do not count in t. States: NAME.sum.PARAMETER, and NAME.calls
//   name        two optimisers in one program have two names
//
// In an entry of precision f16 (compiler/dsl/program.h) the loss is scaled before it is differentiated and the
// gradients are scaled back (Micikevicius et al. 2018, section 3.2): a step whose gradients are not all finite changes
// no parameter and no state, and halves the scale; 2000 good steps in a row double it, up to 2^24. States: NAME.scale,
// which starts from 65536, and NAME.good, the good steps since it changed.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"

#include <string>
#include <vector>

namespace gmc {

// Stochastic gradient descent (torch.optim.SGD; Sutskever et al. 2013 for momentum):
//   d = g + weight_decay p
//   buf = momentum buf + (1 - dampening) d, in the first step buf = d
//   p -= lr buf, or lr (d + momentum buf) with nesterov
// States: `buf` (torch: momentum_buffer) if momentum is not 0, the counter if dampening is not 0.
struct Sgd {
  At lr = 1e-2;
  double momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;  // wants momentum > 0 and dampening 0
  double clip = 0, clip_value = 0;
  int64_t accumulate = 1;
  std::string name = "sgd";
};

// Adam (Kingma & Ba 2015, algorithm 1) with decoupled decay (Loshchilov & Hutter 2019, algorithm 2), as
// torch.optim.AdamW computes it:
//   p -= lr weight_decay p
//   m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2
//   p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// With `decoupled` false, weight_decay p is added to g instead, as in torch.optim.Adam. With `amsgrad` (Reddi et al.
// 2018) the largest v so far takes the place of v. States: the counter, `m` (exp_avg), `v` (exp_avg_sq), `vmax`
// (max_exp_avg_sq) with amsgrad.
struct Adam {
  At lr = 1e-3;
  std::vector<double> betas{0.9, 0.999};  // beta1, beta2, each in [0, 1)
  double eps = 1e-8, weight_decay = 0;
  bool decoupled = true, amsgrad = false;
  double clip = 0, clip_value = 0;
  int64_t accumulate = 1;
  std::string name = "adam";
};

// Adam with the infinity norm (Kingma & Ba 2015, algorithm 2; torch.optim.Adamax):
//   d = g + weight_decay p
//   m = beta1 m + (1 - beta1) d, u = max(beta2 u, |d| + eps)
//   p -= lr / (1 - beta1^t) m / u
// States: the counter, `m` (exp_avg), `u` (exp_inf).
struct Adamax {
  At lr = 2e-3;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8, weight_decay = 0;
  double clip = 0, clip_value = 0;
  int64_t accumulate = 1;
  std::string name = "adamax";
};

// torch.optim.RMSprop (Tieleman & Hinton 2012, lecture 6.5; centred: Graves 2013, section 4.2):
//   d = g + weight_decay p
//   v = alpha v + (1 - alpha) d^2
//   centered: m = alpha m + (1 - alpha) d, r = sqrt(max(v - m^2, 0)) + eps; else r = sqrt(v) + eps
//   p -= lr d / r, or with momentum buf = momentum buf + d / r, p -= lr buf
// States: `v` (square_avg), `m` (grad_avg) if centered, `buf` (momentum_buffer) if momentum is not 0. Rounding may make
// v - m^2 negative, hence the maximum, which torch does not take.
struct RmsProp {
  At lr = 1e-2;
  double alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0;
  bool centered = false;
  double clip = 0, clip_value = 0;
  int64_t accumulate = 1;
  std::string name = "rmsprop";
};

// Adagrad (Duchi, Hazan & Singer 2011; torch.optim.Adagrad):
//   d = g + weight_decay p, v = v + d^2
//   p -= lr / (1 + (t - 1) lr_decay) d / (sqrt(v) + eps)
// States: `v` (sum), which starts from `initial_accumulator`; the counter if lr_decay is not 0.
struct Adagrad {
  At lr = 1e-2;
  double lr_decay = 0, weight_decay = 0, initial_accumulator = 0, eps = 1e-10;
  double clip = 0, clip_value = 0;
  int64_t accumulate = 1;
  std::string name = "adagrad";
};

// Lion (Chen et al. 2023, algorithm 2):
//   p -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay p), then m = beta2 m + (1 - beta2) g
// State: `m`, the momentum of the paper. The sign of 0 is 0.
struct Lion {
  At lr = 1e-4;
  std::vector<double> betas{0.9, 0.99};
  double weight_decay = 0;
  double clip = 0, clip_value = 0;
  int64_t accumulate = 1;
  std::string name = "lion";
};

// Updates `parameters` to lower the scalar `loss`; the entry's `gradients` receives what the optimiser used, which is
// `g`. Parameters that the loss does not depend on stay as they are. Throws `Error` if there are no parameters, the
// loss depends on none of them, or is no scalar, and for options outside their range.
void minimize(At loss, const std::vector<Parameter>& parameters, const Sgd&);
void minimize(At loss, const std::vector<Parameter>& parameters, const Adam&);
void minimize(At loss, const std::vector<Parameter>& parameters, const Adamax&);
void minimize(At loss, const std::vector<Parameter>& parameters, const RmsProp&);
void minimize(At loss, const std::vector<Parameter>& parameters, const Adagrad&);
void minimize(At loss, const std::vector<Parameter>& parameters, const Lion&);

}  // namespace gmc
