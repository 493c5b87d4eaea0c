// Reverse mode on a graph that grows: what differentiation of entries and of regions share.
#pragma once

#include "compiler/graph/graph.h"

#include <vector>

namespace gmc::transform {

// The gradients of `wrt`, zeros where none flows, given those of `results` (invalid where none is). `reached`, if
// given, receives where one flows.
std::vector<graph::Var> pull_back(graph::Graph&, const std::vector<graph::Var>& results,
                                  const std::vector<graph::Var>& seeds, const std::vector<graph::Var>& wrt,
                                  std::vector<bool>* reached = nullptr);

// The gradients of a scan's or cond's operands, given those of its results; invalid where none flows.
std::vector<graph::Var> pull_back_scan(graph::Graph&, const graph::Node&, const std::vector<graph::Var>& operands,
                                       const std::vector<graph::Var>& gradients);
std::vector<graph::Var> pull_back_cond(graph::Graph&, const graph::Node&, const std::vector<graph::Var>& operands,
                                       const std::vector<graph::Var>& gradients);

}  // namespace gmc::transform
