// Layers that normalise, with PyTorch's weights: `weight` starts from 1, `bias` from 0.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"

#include <cstdint>
#include <source_location>

namespace gmc {

// Over the last dimension (Ba et al. 2016): weight and bias [n], x [.., n].
struct LayerNorm {
  Parameter weight, bias;
  double epsilon;
  GMC_PARTS(weight, bias)

  explicit LayerNorm(int64_t n, double epsilon = 1e-5, std::source_location made = std::source_location::current());
  Tensor operator()(At x) const;
};

// Over groups of channels (Wu & He 2018): weight and bias [channels], x [n, channels, ..].
struct GroupNorm {
  Parameter weight, bias;
  int64_t groups;
  double epsilon;
  GMC_PARTS(weight, bias)

  GroupNorm(int64_t groups, int64_t channels, double epsilon = 1e-5,
            std::source_location made = std::source_location::current());
  Tensor operator()(At x) const;
};

// Over all but the channels (Ioffe & Szegedy 2015): weight, bias and the buffers running_mean and running_var
// [channels], x [n, channels, height, width]. With the statistics of the batch, which it mixes into the running ones:
// running += momentum (batch - running). During `Evaluation` it uses the running ones and leaves them alone.
struct BatchNorm2d {
  Parameter weight, bias, running_mean, running_var;
  double momentum, epsilon;
  GMC_PARTS(weight, bias, running_mean, running_var)

  explicit BatchNorm2d(int64_t channels, double momentum = 0.1, double epsilon = 1e-5,
                       std::source_location made = std::source_location::current());
  Tensor operator()(At x) const;
};

// While it lives, layers that behave differently in training do as in evaluation: batch norm uses its running
// statistics. The entry `eval` of a model that has such layers begins with one.
class Evaluation {
public:
  Evaluation();
  ~Evaluation();
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;
  static bool active();

private:
  bool outer_;
};

}  // namespace gmc
