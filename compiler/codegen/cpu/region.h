// One region without product -> a function of the type execute::Kernel.
#pragma once

#include "compiler/codegen/llvm_door.h"
#include "compiler/codegen/part.h"

#include <string>

namespace gmc::codegen {

void emit_region(llvm::Module&, const Part&, const std::string& symbol, const Target&);

}  // namespace gmc::codegen
