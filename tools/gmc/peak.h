// The FMA peak of this machine now.
#pragma once

#include "compiler/codegen/target.h"

namespace gmc::tool {

// GFLOP/s of `threads` threads together, the best of several runs.
double measure_fma_peak(const codegen::Target&, int threads);

}  // namespace gmc::tool
