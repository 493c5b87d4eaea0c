// One region of a phase -> a function that computes one tile of it.
#pragma once

#include "compiler/codegen/llvm_door.h"
#include "compiler/kernel/kernel.h"

#include <string>

namespace gmc::codegen {

// Defines `void symbol(ptr buffers, i64 tile, ptr scratch, ptr run)`, private to the module. Returns it with the
// scratch it needs.
struct RegionFunction {
  llvm::Function* function = nullptr;
  int64_t scratch_bytes = 0;
};
RegionFunction emit_region(llvm::Module&, const kernel::Kernel&, const kernel::Region&, const std::string& symbol,
                           const Target&);

}  // namespace gmc::codegen
