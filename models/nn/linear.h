// A fully connected layer.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"

#include <cstdint>
#include <source_location>

namespace gmc {

// y = x W^T + b: x [.., in], weight [out, in], bias [out], y [.., out]. Both start uniform in +-1 / sqrt(in), as
// PyTorch's nn.Linear does.
struct Linear {
  Parameter weight, bias;
  GMC_PARTS(weight, bias)

  Linear(int64_t in, int64_t out, bool with_bias = true, std::source_location made = std::source_location::current());

  // Throws `Error` if the last extent of x is not `in`.
  Tensor operator()(At x) const;
};

}  // namespace gmc
