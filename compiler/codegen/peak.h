// The machine's limit that speed is measured against.
#pragma once

#include "compiler/codegen/target.h"

#include <string>

namespace gmc::codegen {

// Object code of `void gmc_fma_peak(float* values, int64_t turns)`: fused multiply-adds on registers only (multiply and
// add where the target has no fused one). `values` holds at least 16 floats.
struct PeakCode {
  std::string object;
  double flops_per_turn = 0;
};
PeakCode emit_fma_peak(const Target&);

}  // namespace gmc::codegen
