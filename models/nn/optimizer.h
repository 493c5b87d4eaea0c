// Optimisers: a training step is one entry, so they update parameters in place inside it.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"

#include <string>
#include <vector>

namespace gmc {

// Stochastic gradient descent: buf = momentum buf + g; p -= lr buf. State: `sgd.buf.fc1.weight`, if momentum is not 0.
struct Sgd {
  At lr = 1e-2;  // a number or a scalar tensor
  double momentum = 0;
  double clip = 0;  // bound of the global norm of the gradients; 0: none
  std::string name = "sgd";
};

// Adam (Kingma & Ba 2015, algorithm 1) with decoupled decay (Loshchilov & Hutter 2019, algorithm 2), as
// torch.optim.AdamW computes it:
//   p -= lr weight_decay p
//   m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2
//   p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// State: the step counter `adam.t` (f32 scalar) and the moments `adam.m.fc1.weight`, `adam.v.fc1.weight`.
struct Adam {
  At lr = 1e-3;
  std::vector<double> betas{0.9, 0.999};  // beta1, beta2, each in [0, 1)
  double eps = 1e-8, weight_decay = 0;
  double clip = 0;
  std::string name = "adam";  // two optimisers in one program have two names
};

// Updates `parameters` to lower the scalar `loss`; the entry's `gradients` receives what the optimiser used. Parameters
// that the loss does not depend on stay as they are. Clipping scales all gradients by min(1, clip / (norm + 1e-6)).
// Throws `Error` if there are no parameters, the loss depends on none of them, or is no scalar.
void minimize(At loss, const std::vector<Parameter>& parameters, const Sgd&);
void minimize(At loss, const std::vector<Parameter>& parameters, const Adam&);

}  // namespace gmc
