#include "compiler/graph/interpret.h"

#include "compiler/graph/core_rules.h"

#include <cmath>
#include <optional>

namespace gmc::graph {
namespace {

// Half the number of values of an integer dtype if it has a sign, otherwise all of it.
double range_of(DType d) { return std::ldexp(1.0, static_cast<int>(size_of(d)) * 8 - (d == DType::u8 ? 0 : 1)); }

std::vector<Reference> interpret_expansion(const ReferenceArguments& a) {
  Graph g;
  std::vector<Var> operands;
  std::map<std::string, Reference> inputs;
  for (size_t i = 0; i < a.inputs.size(); ++i) {
    const std::string name = fmt::format("x{}", i);
    inputs[name] = *a.inputs[i];
    operands.push_back(input(g, name, "data", {a.operand_types[i].dtype, a.inputs[i]->shape}));
  }
  const std::vector<Var> results = a.node.op->expand(g, a.node, operands);
  for (size_t i = 0; i < results.size(); ++i) g.add_output({fmt::format("y{}", i), results[i].value, false});
  auto outputs = interpret(g, inputs, a.seed, a.step, a.loop).outputs;
  std::vector<Reference> out;
  for (size_t i = 0; i < results.size(); ++i) out.push_back(std::move(outputs.at(fmt::format("y{}", i))));
  return out;
}

Reference interpret_scalar(const ReferenceArguments& a) {
  Reference out{a.node.types[0].shape, {}};
  out.values.resize(static_cast<size_t>(element_count(out.shape)));
  double x[4] = {};
  for (size_t i = 0; i < out.values.size(); ++i) {
    for (size_t k = 0; k < a.inputs.size(); ++k) x[k] = a.inputs[k]->values[i];
    out.values[i] = evaluate(a.node, a.operand_types, x);
  }
  return out;
}

}  // namespace

double to_dtype(DType to, DType from, double value) {
  if (is_float(to)) return value;
  if (to == DType::boolean) return value != 0 ? 1 : 0;
  const double range = range_of(to), low = to == DType::u8 ? 0 : -range;
  if (is_float(from)) return std::isnan(value) ? 0 : std::fmin(std::fmax(std::trunc(value), low), range - 1);
  // Of an integer division by 0.
  if (!std::isfinite(value)) return 0;
  value = std::trunc(value);
  if (value >= low && value < range) return value;
  const double all = range - low;
  return value - all * std::floor((value - low) / all);
}

double evaluate(const Node& node, std::span<const TensorType> operands, const double* x) {
  const auto typed = static_cast<size_t>(node.op->typed);
  return to_dtype(node.types[0].dtype, operands[typed].dtype, node.op->scalar(x));
}

std::vector<Reference> interpret_node(const ReferenceArguments& a) {
  const OpDef& op = *a.node.op;
  if (op.expand && !op.reference && !op.references) return interpret_expansion(a);
  std::vector<Reference> out;
  if (op.references)
    out = op.references(a);
  else if (op.reference)
    out.push_back(op.reference(a));
  else if (op.scalar)
    out.push_back(interpret_scalar(a));
  else
    fail("op '{}' has no reference", op.name);
  for (size_t r = 0; r < out.size(); ++r) {
    const DType dtype = a.node.types[r].dtype;
    if (is_float(dtype)) continue;
    for (double& v : out[r].values) v = to_dtype(dtype, DType::i64, v);
  }
  return out;
}

Interpretation interpret(const Graph& g, const std::map<std::string, Reference>& inputs, uint64_t seed, uint64_t step,
                         uint64_t loop) {
  std::vector<std::vector<Reference>> values(g.nodes().size());
  for (size_t i = 0; i < g.nodes().size(); ++i) {
    const Node& n = g.nodes()[i];
    if (n.op->category == Category::input) {
      auto it = inputs.find(n.text("name"));
      if (it == inputs.end()) fail("input '{}' of entry '{}' is missing", n.text("name"), g.entry());
      if (it->second.shape != n.types[0].shape)
        fail("input '{}': expected shape {}, got {}", n.text("name"), to_string(n.types[0].shape),
             to_string(it->second.shape));
      values[i] = {it->second};
      continue;
    }
    std::vector<const Reference*> operands;
    std::vector<TensorType> types;
    for (Value v : n.inputs) {
      operands.push_back(&values[static_cast<size_t>(v.node)][static_cast<size_t>(v.result)]);
      types.push_back(g.type(v));
    }
    values[i] = interpret_node({n, operands, types, seed, step, loop});
  }
  Interpretation out;
  for (const Output& o : g.outputs())
    (o.is_state ? out.updates : out.outputs)[o.name] =
        values[static_cast<size_t>(o.value.node)][static_cast<size_t>(o.value.result)];
  return out;
}

}  // namespace gmc::graph
