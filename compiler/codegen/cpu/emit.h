// Kernel IR -> LLVM functions of the type execute::Kernel, for CPUs with vectors.
#pragma once

#include "compiler/codegen/llvm_door.h"
#include "compiler/kernel/kernel.h"

#include <string>
#include <vector>

namespace gmc::codegen {

// What running a kernel takes.
struct EmittedPhase {
  std::string symbol;
  int64_t tiles = 0;
};
struct Emitted {
  std::vector<EmittedPhase> phases;
  int64_t scratch_bytes = 0;  // per worker
};

// Defines the phases of a kernel as functions `<symbol>_0`, `<symbol>_1`, ...; a product that packs an operand gets one
// more phase in front.
Emitted emit_kernel(llvm::Module&, const kernel::Kernel&, const std::string& symbol, const Target&);

// The sizes a product's temporary parameter must have, in floats: set by prepare_products(), before memory is planned.
// Adds the `packed` parameter where the generator wants one, and returns how many parameters (all temporary) it
// appended.
int prepare_products(kernel::Kernel&, const Target&);

}  // namespace gmc::codegen
