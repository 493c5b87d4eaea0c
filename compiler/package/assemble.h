// Compiled steps -> package: where every value lives, what runs in which order.
#pragma once

#include "compiler/codegen/compile_kernels.h"
#include "compiler/package/compile.h"

#include <map>
#include <string>

namespace gmc::package {

// Plans memory and fills `out.package`, `out.functions` and the entries' arena sizes.
void assemble(const Source&, const std::map<std::string, codegen::KernelCode>&, Compiled& out);

}  // namespace gmc::package
