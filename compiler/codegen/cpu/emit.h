// Regions of the kernel IR -> functions, for CPUs with vectors.
#pragma once

#include "compiler/codegen/compile_kernels.h"
#include "compiler/codegen/leaf.h"
#include "compiler/kernel/kernel.h"

#include <vector>

namespace gmc::codegen {

// What a region of a kernel takes: calls, and the functions that must be there for them, which other regions may want,
// too.
struct RegionCode {
  KernelCode code;
  std::vector<Leaf> leaves;
};
RegionCode code_of(const kernel::Kernel&, const kernel::Region&, const Target&);

// Regions without product side by side: one call, whose tiles are those of theirs, one after the other.
TileFunction side_by_side(const std::vector<RegionCode>&);

// The sizes a product's temporary parameter must have, in floats: set by prepare_products(), before memory is planned.
// Adds the `packed` parameter where the generator wants one, and returns how many parameters (all temporary) it
// appended.
int prepare_products(kernel::Kernel&, const Target&);

}  // namespace gmc::codegen
