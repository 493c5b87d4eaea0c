// Kernel IR -> LLVM functions of the type execute::Kernel, for CPUs with vectors.
#pragma once

#include "compiler/codegen/compile_kernels.h"
#include "compiler/codegen/cpu/region.h"
#include "compiler/kernel/kernel.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gmc::codegen {

// Those of a module, by name.
using RegionFunctions = std::map<std::string, RegionFunction>;

// Defines a phase of a kernel as the function `symbol`; a product that packs an operand gets `<symbol>_pack` in front.
// What it calls is private to the module and shared by the phases in it.
KernelCode emit_phase(llvm::Module&, const kernel::Kernel&, const kernel::Phase&, const std::string& symbol,
                      const Target&, RegionFunctions&);

// All that the code of a region or phase depends on, besides the target, as text; and a symbol made of that, which
// contains no text of the user's.
std::string identity_of(const kernel::Kernel&, const kernel::Region&);
std::string identity_of(const kernel::Kernel&, const kernel::Phase&);
std::string name_of(const std::string& identity, std::string_view prefix);
// Phases with much code in common follow each other when sorted by this.
std::string kind_of(const kernel::Phase&, const Target&);

// The sizes a product's temporary parameter must have, in floats: set by prepare_products(), before memory is planned.
// Adds the `packed` parameter where the generator wants one, and returns how many parameters (all temporary) it
// appended.
int prepare_products(kernel::Kernel&, const Target&);

}  // namespace gmc::codegen
