// Control flow: nodes that run regions. Regions are isolated: what they use of the graph around is an operand of the
// node and an argument of the region.
//
//   loop, scan  operands  carries, inputs, captured        attributes carries, inputs, trips, reverse
//               region    (index, carries, slices of the inputs, captured) -> (carries, outputs)
//               results   carries after the last trip, outputs stacked along a new leading dimension
//   while       the same with the attribute limit (-1: none) instead of trips and without outputs; its first region
//               gives a bool scalar: whether another trip is made
//   cond        operands predicate (bool scalar), captured; regions (captured) -> results, one for true, one for false
//
// The index counts from 0; with `reverse` the last slice comes first. A loop is a scan with carries only.
#pragma once

#include "compiler/graph/core_ops.h"

#include <memory>
#include <string>
#include <vector>

namespace gmc::graph {

struct LoopParts {
  int64_t trips = 0;  // of a while: its limit, -1 if it has none
  bool reverse = false;
  size_t carries = 0, inputs = 0, captured = 0, outputs = 0;
  size_t operands() const { return carries + inputs + captured; }
};
// Of a loop, scan or while that verifies.
LoopParts loop_parts(const Node&);

// The types that the region of a scan takes, without the index.
std::vector<TensorType> slice_types(std::span<const TensorType> operands, size_t carries, size_t inputs);

// How many trips one index of the loop around stands for in the flattened index of draws.
uint64_t index_bound(const Node& loop);

using Region = std::shared_ptr<const Graph>;
std::vector<Var> scan(Graph&, Region body, int64_t trips, const std::vector<Var>& carries,
                      const std::vector<Var>& inputs, const std::vector<Var>& captured, bool reverse = false);
std::vector<Var> while_loop(Graph&, Region condition, Region body, int64_t limit, const std::vector<Var>& carries,
                            const std::vector<Var>& captured);
std::vector<Var> cond(Var predicate, Region then, Region otherwise, const std::vector<Var>& captured);

// An argument of the region that is being built; its name gets a mark if there is one of that name.
Var argument(Graph& region, const std::string& name, TensorType);

// The region with these arguments, in this order and in front of everything else. Those left out must not be used.
Graph with_arguments(const Graph& region, const std::vector<Value>& order);

}  // namespace gmc::graph
