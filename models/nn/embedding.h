// A table of vectors.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"

#include <cstdint>
#include <source_location>

namespace gmc {

// Row ids of weight [n, d]: ids (i64 or i32) [..] -> [.., d]. Starts standard normal, as PyTorch's nn.Embedding does.
struct Embedding {
  Parameter weight;
  GMC_PARTS(weight)

  Embedding() = default;  // no layer: `valid` is false
  Embedding(int64_t n, int64_t d, std::source_location made = std::source_location::current());
  bool valid() const { return weight.valid(); }
  // Ids outside [0, n) are errors of the caller: they are clamped.
  Tensor operator()(At ids) const;
};

}  // namespace gmc
