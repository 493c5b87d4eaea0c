// The reference: any graph, in f64, with plain loops. Shares no code with lowering; it is the judge of every other
// backend.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/graph/op.h"

#include <map>
#include <span>
#include <string>
#include <vector>

namespace gmc::graph {

struct Interpretation {
  std::map<std::string, Reference> outputs, updates;
};

// `inputs`: every input of the graph by name, data, state and fed draws alike. Throws `Error` if one is missing or has
// another shape.
Interpretation interpret(const Graph&, const std::map<std::string, Reference>& inputs, uint64_t seed = 0,
                         uint64_t step = 0, uint64_t loop = 0);
// One node on given operands: its results.
std::vector<Reference> interpret_node(const ReferenceArguments&);
// One element of an elementwise node.
double evaluate(const Node&, std::span<const TensorType> operands, const double* x);

}  // namespace gmc::graph
