// Compiled steps -> package: where every value lives, what runs in which order.
#pragma once

#include "compiler/package/compile.h"

namespace gmc::package {

// Plans memory and fills `out.package`, `out.functions` and the entries' arena sizes.
void assemble(const Source&, Compiled& out);

}  // namespace gmc::package
