// One region without product -> a function of the type execute::Kernel.
#pragma once

#include "compiler/codegen/llvm_door.h"
#include "compiler/codegen/part.h"

#include <string>

namespace gmc::codegen {

// `kernel` is that of a Part: its first parameter holds the sizes, and no size of its region is part of the code.
void emit_region(llvm::Module&, const kernel::Kernel&, const std::string& symbol, const Target&);

}  // namespace gmc::codegen
