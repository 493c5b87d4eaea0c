// Mixed precision: which nodes become low, and the casts around them.
//
// Products are low. An elementwise op that allows it, or one that only moves elements, is low if
//   * its operands are low or can be had low for free (inputs, constants, draws), and one of them comes from a product;
//   * all that reads it is a product, low, a sum over it, or a condition; and something of the first two does;
//   * it is no output and no new state.
// So activations, biases and the masks of their gradients are low between two products, while a chain that ends in a
// loss or an update, or mixes in the result of a reduction, stays f32 from its last product on. The rule asks for the
// most low nodes that satisfy it.
#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <map>

namespace gmc::transform {
namespace {

using graph::Category;
using graph::Narrow;
using graph::Node;
using graph::Value;
using graph::Var;

bool moves(const Node& n) {
  const Category c = n.op->category;
  return c == Category::broadcast || c == Category::reshape || c == Category::transpose || c == Category::affine ||
         c == Category::gather;
}

bool is_f32(const Graph& g, Value v) { return g.type(v).dtype == f32; }

// All results and all floating operands are f32.
bool could_be_low(const Graph& g, const Node& n) {
  if (n.types.size() != 1 || n.types[0].dtype != f32) return false;
  return std::all_of(n.inputs.begin(), n.inputs.end(),
                     [&](Value v) { return is_f32(g, v) || !is_float(g.type(v).dtype); });
}

class Choice {
public:
  explicit Choice(const Graph& g) : g_(g), marks_(g.nodes().size()), readers_(g.nodes().size()) {
    for (size_t i = 0; i < marks_.size(); ++i) begin(i);
    for (const graph::Output& o : g.outputs()) {
      Marks& m = marks_[static_cast<size_t>(o.value.node)];
      m.low &= m.product;
    }
    // Each round only takes marks away, against and along the edges.
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = marks_.size(); i-- > 0;) changed |= settle(i);
      for (size_t i = 0; i < marks_.size(); ++i) changed |= settle(i);
    }
  }
  bool low(size_t node) const { return marks_[node].low; }

private:
  struct Marks {
    bool product = false, from_product = false, free = false, low = false;
  };

  void begin(size_t i) {
    const Node& n = g_.nodes()[i];
    Marks& m = marks_[i];
    const bool possible = could_be_low(g_, n);
    m.product = possible && n.op->narrow == Narrow::always;
    m.from_product = m.product;
    for (Value v : n.inputs) {
      m.from_product |= marks_[static_cast<size_t>(v.node)].from_product;
      readers_[static_cast<size_t>(v.node)].push_back(i);
    }
    const Category c = n.op->category;
    const bool of_numbers = n.op == &graph::cast_op && !is_float(g_.type(n.inputs[0]).dtype);
    m.free = c == Category::input || c == Category::constant || c == Category::random || of_numbers;
    m.low = m.product || (possible && (moves(n) || (n.op->narrow == Narrow::between && m.from_product)));
  }

  bool settle(size_t i) {
    Marks& m = marks_[i];
    if (!m.low || m.product || (operands_fit(i) && readers_fit(i))) return false;
    m.low = false;
    return true;
  }

  bool operands_fit(size_t i) const {
    for (Value v : g_.nodes()[i].inputs) {
      const Marks& m = marks_[static_cast<size_t>(v.node)];
      if (is_f32(g_, v) && !m.low && !m.free) return false;
    }
    return true;
  }

  bool readers_fit(size_t i) const {
    bool wanted = false;
    for (size_t reader : readers_[i]) {
      const Node& n = g_.nodes()[reader];
      if (marks_[reader].low)
        wanted = true;
      else if (n.op->category != Category::reduce && n.types[0].dtype != boolean)
        return false;
    }
    return wanted;
  }

  const Graph& g_;
  std::vector<Marks> marks_;
  std::vector<std::vector<size_t>> readers_;
};

}  // namespace

Graph mixed_precision(const Graph& from, DType low) {
  const Choice choice(from);
  std::map<Value, Var> casts;  // of values of the new graph to the other of the two dtypes
  const auto as = [&](Graph& to, Var v, DType dtype) {
    if (v.type().dtype == dtype || !is_float(v.type().dtype)) return v;
    if (const auto it = casts.find(v.value); it != casts.end()) return it->second;
    const Node node = to.node(v.value);
    const bool is_constant = node.op->category == Category::constant;
    const Var out = is_constant ? graph::constant(to, rounded_to(dtype, node.number("value")), {dtype, v.shape()})
                                : graph::cast(v, dtype);
    casts.emplace(v.value, out);
    return out;
  };
  size_t next = 0;
  Graph to = rebuild(from, [&](Graph& g, const Node& node, std::span<const Var> inputs) -> Replacements {
    const size_t i = next++;
    std::vector<Var> operands;
    std::vector<Value> values;
    for (size_t k = 0; k < inputs.size(); ++k) {
      const DType before = from.type(node.inputs[k]).dtype;
      operands.push_back(before == f32 ? as(g, inputs[k], choice.low(i) ? low : f32) : inputs[k]);
      values.push_back(operands.back().value);
    }
    if (choice.low(i)) return {graph::apply(*node.op, operands, node.attributes)};
    const Value copy = g.copy(node, values);
    Replacements results;
    for (size_t r = 0; r < node.types.size(); ++r) results.push_back({&g, {copy.node, static_cast<int32_t>(r)}});
    return results;
  });
  std::vector<graph::Output> outputs = to.outputs();
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (to.type(outputs[k].value) == from.type(from.outputs()[k].value)) continue;
    const Node& node = to.node(outputs[k].value);
    to.context.location = node.location;
    to.context.scope = node.name.substr(0, std::min(node.name.rfind('/'), node.name.size()));
    outputs[k].value = as(to, {&to, outputs[k].value}, f32).value;
  }
  to.set_outputs(std::move(outputs));
  to.context = {};
  return to;
}

}  // namespace gmc::transform
