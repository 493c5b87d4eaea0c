// Differentiation, graph to graph: derivatives are ordinary nodes, so they can be differentiated again.
#pragma once

#include "compiler/graph/graph.h"

#include <vector>

namespace gmc::transform {

// Gradients of the scalar `y` with respect to each of `wrt`, appended to the graph: along all paths, also through
// others of `wrt`. A value that `y` does not depend on gets zeros. Throws `Error` at the location of the node if `y` is
// not a scalar or an op on the way has no gradient. `reached`, if given, receives whether `y` depends on each.
std::vector<graph::Var> differentiate(graph::Var y, const std::vector<graph::Var>& wrt,
                                      std::vector<bool>* reached = nullptr);

// Forward mode: tangents of `y` where each of `x` moves along its tangent (of its type), appended to the graph. A value
// that depends on none of `x`, and one that is not floating, gets zeros. It is the derivative of the pullback along its
// argument, so every op with a gradient has it.
std::vector<graph::Var> push_forward(const std::vector<graph::Var>& y, const std::vector<graph::Var>& x,
                                     const std::vector<graph::Var>& tangents);

}  // namespace gmc::transform
