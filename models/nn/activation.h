// Activations as layers, for lists of layers (models/nn/sequential.h). They have no weights.
#pragma once

#include "ops/ops.h"

namespace gmc {

struct Relu {
  Tensor operator()(At x) const { return relu(x); }
};
struct LeakyRelu {
  double slope = 0.01;
  Tensor operator()(At x) const { return leaky_relu(x, slope); }
};
struct Silu {
  Tensor operator()(At x) const { return silu(x); }
};
struct Tanh {
  Tensor operator()(At x) const { return tanh(x); }
};
// [n, ..] -> [n, the rest].
struct Flatten {
  Tensor operator()(At x) const { return flatten(x, 1); }
};

}  // namespace gmc
