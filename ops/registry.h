// All ops gmc knows: the structural ones of the graph and the families of this folder.
#pragma once

#include "compiler/graph/op.h"

#include <vector>

namespace gmc::ops {

std::vector<const graph::OpDef*> elementwise_ops();
std::vector<const graph::OpDef*> activation_ops();
std::vector<const graph::OpDef*> softmax_ops();
std::vector<const graph::OpDef*> random_ops();

// In a fixed order; names are unique.
const std::vector<const graph::OpDef*>& registry();

}  // namespace gmc::ops
