// All ops gmc knows: the structural ones of the graph and the families of this folder.
#pragma once

#include "compiler/graph/op.h"

#include <vector>

namespace gmc::ops {

// In a fixed order; names are unique.
const std::vector<const graph::OpDef*>& registry();

}  // namespace gmc::ops
