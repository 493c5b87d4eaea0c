// Convolutional layers on images [n, channels, height, width], with PyTorch's weights and initial values.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"

#include <cstdint>
#include <source_location>

namespace gmc {

struct Conv2dOptions {
  int64_t step = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
};

// [n, in, h, w] -> [n, out, (h + 2 padding - dilation (kernel - 1) - 1) / step + 1, ..]: weight [out, in / groups,
// kernel, kernel], bias [out]. Both start uniform in +-1 / sqrt(in / groups kernel^2), as PyTorch's nn.Conv2d does.
struct Conv2d {
  Parameter weight, bias;
  Conv2dOptions options;
  GMC_PARTS(weight, bias)

  // No layer, such as the skip of a block that keeps its channels.
  Conv2d() = default;
  Conv2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& = {},
         std::source_location made = std::source_location::current());

  bool valid() const { return weight.valid(); }
  // Throws `Error` if x does not have `in` channels.
  Tensor operator()(At x) const;
};

// The gradient of a convolution's input as a layer: [n, in, h, w] -> [n, out, (h - 1) step - 2 padding + dilation
// (kernel - 1) + 1, ..]: weight [in, out / groups, kernel, kernel], bias [out]. Both start uniform in +-1 / sqrt(out /
// groups kernel^2), as PyTorch's nn.ConvTranspose2d does.
struct ConvTranspose2d {
  Parameter weight, bias;
  Conv2dOptions options;
  GMC_PARTS(weight, bias)

  ConvTranspose2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& = {},
                  std::source_location made = std::source_location::current());

  Tensor operator()(At x) const;
};

}  // namespace gmc
