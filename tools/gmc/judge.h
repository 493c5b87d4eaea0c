// Judges a replayed parity case: relative errors in 2-norms, worst tensor of each kind.
#pragma once

#include "runtime/base/tensor.h"

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace gmc::tool {

// What an implementation computed for a case, or what the case says.
struct Outcome {
  std::vector<std::map<std::string, double>> losses;  // per step
  TensorMap gradients, weights, samples;
};

struct Errors {
  double loss = 0;     // |got - expected| / max(1, |expected|), worst step
  double grads = 0;    // per tensor |got - expected| / |expected|, worst tensor
  double weights = 0;  // per tensor |got - expected| / |expected - initial|: the error of the update
  double samples = 0;  // |got - expected| / |expected|; integers must be equal
};

// `skip`: half-open ranges of elements, by tensor, whose true gradient is zero. Throws `Error` where names, shapes or
// dtypes differ.
Errors judge(const Outcome& expected, const Outcome& got, const TensorMap& initial,
             const std::map<std::string, std::pair<int64_t, int64_t>>& skip);

}  // namespace gmc::tool
