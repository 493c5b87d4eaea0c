// The reference interpreter with every bf16 and f16 value rounded once, as programs compute them.
#pragma once

#include "compiler/graph/interpret.h"

#include <map>
#include <string>
#include <vector>

namespace gmc::testing_support {

inline graph::Interpretation interpret_rounded(const graph::Graph& g,
                                               const std::map<std::string, graph::Reference>& inputs, uint64_t seed = 0,
                                               uint64_t step = 0) {
  std::vector<std::vector<graph::Reference>> values;
  const auto at = [&](graph::Value v) -> const graph::Reference& {
    return values[static_cast<size_t>(v.node)][static_cast<size_t>(v.result)];
  };
  for (const graph::Node& n : g.nodes()) {
    if (n.op->category == graph::Category::input) {
      values.push_back({inputs.at(n.text("name"))});
      continue;
    }
    std::vector<const graph::Reference*> operands;
    std::vector<graph::TensorType> types;
    for (graph::Value v : n.inputs) operands.push_back(&at(v)), types.push_back(g.type(v));
    values.push_back(graph::interpret_node({n, operands, types, seed, step}));
    for (size_t r = 0; r < n.types.size(); ++r)
      if (const DType d = n.types[r].dtype; is_half(d))
        for (double& x : values.back()[r].values) x = rounded_to(d, x);
  }
  graph::Interpretation out;
  for (const graph::Output& o : g.outputs()) (o.is_state ? out.updates : out.outputs)[o.name] = at(o.value);
  return out;
}

}  // namespace gmc::testing_support
