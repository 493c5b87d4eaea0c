// Reverse-mode differentiation, graph to graph: gradients are ordinary nodes, so they can be differentiated again.
#pragma once

#include "compiler/graph/graph.h"

#include <vector>

namespace gmc::transform {

// Gradients of the scalar `y` with respect to each of `wrt`, appended to the graph. A value that `y` does not depend on
// gets zeros. Throws `Error` at the location of the node if `y` is not a scalar or an op on the way has no gradient.
// `reached`, if given, receives whether `y` depends on each.
std::vector<graph::Var> differentiate(graph::Var y, const std::vector<graph::Var>& wrt,
                                      std::vector<bool>* reached = nullptr);

}  // namespace gmc::transform
