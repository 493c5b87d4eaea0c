#include "compiler/graph/interpret.h"

#include "compiler/graph/core_ops.h"
#include "runtime/base/error.h"

#include <optional>

namespace gmc::graph {

Reference interpret_node(const ReferenceArguments& a) {
  const OpDef& op = *a.node.op;
  if (op.reference) return op.reference(a);
  if (op.expand) {
    Graph g;
    std::vector<Var> operands;
    std::map<std::string, Reference> inputs;
    for (size_t i = 0; i < a.inputs.size(); ++i) {
      const std::string name = fmt::format("x{}", i);
      inputs[name] = *a.inputs[i];
      operands.push_back({&g, g.add(input_op, {},
                                    {{"name", name},
                                     {"role", std::string("data")},
                                     {"dtype", std::string("f64")},
                                     {"shape", a.inputs[i]->shape}})});
    }
    g.add_output({"y", op.expand(g, a.node, operands).at(0).value, false});
    return interpret(g, inputs, a.seed, a.step).outputs.at("y");
  }
  if (!op.scalar) fail("op '{}' has no reference", op.name);
  Reference out{a.node.types[0].shape, {}};
  const auto count = static_cast<size_t>(element_count(out.shape));
  out.values.resize(count);
  double x[4] = {};
  for (size_t i = 0; i < count; ++i) {
    for (size_t k = 0; k < a.inputs.size(); ++k) x[k] = a.inputs[k]->values[i];
    out.values[i] = op.scalar(x);
  }
  return out;
}

Interpretation interpret(const Graph& g, const std::map<std::string, Reference>& inputs, uint64_t seed, uint64_t step) {
  std::vector<Reference> values(g.nodes().size());
  for (size_t i = 0; i < g.nodes().size(); ++i) {
    const Node& n = g.nodes()[i];
    if (n.op->category == Category::input) {
      auto it = inputs.find(n.text("name"));
      if (it == inputs.end()) fail("input '{}' of entry '{}' is missing", n.text("name"), g.entry());
      if (it->second.shape != n.types[0].shape)
        fail("input '{}': expected shape {}, got {}", n.text("name"), to_string(n.types[0].shape),
             to_string(it->second.shape));
      values[i] = it->second;
      continue;
    }
    std::vector<const Reference*> operands;
    for (Value v : n.inputs) operands.push_back(&values[static_cast<size_t>(v.node)]);
    values[i] = interpret_node({n, operands, seed, step});
  }
  Interpretation out;
  for (const Output& o : g.outputs())
    (o.is_state ? out.updates : out.outputs)[o.name] = values[static_cast<size_t>(o.value.node)];
  return out;
}

}  // namespace gmc::graph
