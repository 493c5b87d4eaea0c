// Reverse mode on a graph that grows: what differentiation of entries and of regions share.
#pragma once

#include "compiler/graph/graph.h"

#include <vector>

namespace gmc::transform {

// Whether a value that depends on others of `wrt` passes its gradient on to them, or is held as if it were given, as
// operands of an op are.
enum class Through { none, wrt };

// The gradients of `wrt`, zeros where none flows, given those of `results` (invalid where none is). `reached`, if
// given, receives where one flows.
std::vector<graph::Var> pull_back(graph::Graph&, const std::vector<graph::Var>& results,
                                  const std::vector<graph::Var>& seeds, const std::vector<graph::Var>& wrt,
                                  std::vector<bool>* reached = nullptr, Through = Through::none);

// The gradients of a scan's or cond's operands, given those of its results; invalid where none flows.
std::vector<graph::Var> pull_back_scan(graph::Graph&, const graph::Node&, const std::vector<graph::Var>& operands,
                                       const std::vector<graph::Var>& gradients);
std::vector<graph::Var> pull_back_cond(graph::Graph&, const graph::Node&, const std::vector<graph::Var>& operands,
                                       const std::vector<graph::Var>& gradients);

}  // namespace gmc::transform
