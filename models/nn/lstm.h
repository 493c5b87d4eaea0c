// A long short-term memory of several layers (Hochreiter & Schmidhuber 1997), with PyTorch's weights and gates.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"

#include <cstdint>
#include <source_location>
#include <vector>

namespace gmc {

// Per layer l: weight_ih_lL [4 hidden, in], weight_hh_lL [4 hidden, hidden], bias_ih_lL and bias_hh_lL [4 hidden], all
// uniform in +-1 / sqrt(hidden) at first. A state is h and c of every layer, [layers, n, hidden].
class Lstm {
public:
  Lstm(int64_t in, int64_t hidden, int64_t layers = 1, std::source_location made = std::source_location::current());

  struct State {
    Tensor h, c;
  };
  struct Result {
    Tensor y;  // of the last layer
    State state;
  };
  // Zeros.
  State begin(int64_t n, std::source_location where = std::source_location::current()) const;
  // A whole sequence, a scan per layer: [n, time, in] -> [n, time, hidden].
  Tensor operator()(At x) const;
  // One step: [n, in] -> [n, hidden].
  Result step(At x, const State&) const;

  Parts gmc_parts() const;

private:
  struct Layer {
    Parameter weight_ih, weight_hh, bias_ih, bias_hh;
  };
  int64_t in_, hidden_;
  std::vector<Layer> layers_;
};

}  // namespace gmc
