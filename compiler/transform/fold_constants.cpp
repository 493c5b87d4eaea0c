#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace gmc::transform {
namespace {

using graph::Category;
using graph::Node;
using graph::Reference;
using graph::TensorType;
using graph::Var;

constexpr int64_t most_elements = 1 << 20;   // of a table, and of what it is computed from
constexpr int64_t most_spread = 4096;        // of a table that a movement makes larger: readers spread it themselves
constexpr int64_t most_products = 64 << 20;  // of a matrix product

bool moves(Category c) {
  return c == Category::broadcast || c == Category::reshape || c == Category::transpose || c == Category::affine;
}

// Ops that make one value in every element of operands like that.
std::optional<Var> folded_splat(Graph& to, const Node& node, std::span<const Var> inputs) {
  const Category c = node.op->category;
  if (c != Category::elementwise && c != Category::broadcast && c != Category::reshape && c != Category::transpose)
    return std::nullopt;
  double x[4] = {};
  std::vector<TensorType> types;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (to.node(inputs[i].value).op->category != Category::constant) return std::nullopt;
    x[i] = to.node(inputs[i].value).number("value");
    types.push_back(inputs[i].type());
  }
  return constant(to, c == Category::elementwise ? evaluate(node, types, x) : x[0], node.types[0]);
}

bool worth_a_table(const Node& node, std::span<const Var> inputs) {
  int64_t from = 0, into = 0;
  for (const Var& v : inputs) from = std::max(from, element_count(v.shape()));
  for (const TensorType& type : node.types) into = std::max(into, element_count(type.shape));
  if (from > most_elements || into > most_elements) return false;
  if (moves(node.op->category) && into > from) return into <= most_spread;
  // Of m k and k n numbers come at most m n k products.
  return node.op->category != Category::matmul || into == 0 || from <= most_products / into;
}

Reference values_of(const Node& node) {
  if (node.op->category == Category::literal) return {node.types[0].shape, node.numbers("values")};
  const auto count = static_cast<size_t>(element_count(node.types[0].shape));
  return {node.types[0].shape, std::vector<double>(count, node.number("value"))};
}

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

Var table_of(Graph& to, const Reference& r, const TensorType& type) {
  const bool splat = !r.values.empty() &&
                     std::all_of(r.values.begin(), r.values.end(), [&](double v) { return same_bits(v, r.values[0]); });
  return splat ? constant(to, r.values[0], type) : literal(to, r.values, type);
}

}  // namespace

// Constants hold one value in every element, literals a table. A result whose elements agree is a constant again.
Graph fold_constants(const Graph& from) {
  return rebuild(from, [](Graph& to, const Node& node, std::span<const Var> inputs) {
    const Category c = node.op->category;
    const bool known = std::all_of(inputs.begin(), inputs.end(), [&](const Var& v) {
      const Category source = to.node(v.value).op->category;
      return source == Category::constant || source == Category::literal;
    });
    if (inputs.empty() || !known || c == Category::random || c == Category::composite || !node.regions.empty())
      return Replacements{};
    if (const auto splat = folded_splat(to, node, inputs)) return Replacements{*splat};
    if (!worth_a_table(node, inputs)) return Replacements{};
    std::vector<Reference> operands;
    std::vector<const Reference*> pointers;
    std::vector<TensorType> types;
    for (const Var& v : inputs) {
      operands.push_back(values_of(to.node(v.value)));
      types.push_back(v.type());
    }
    for (const Reference& r : operands) pointers.push_back(&r);
    const std::vector<Reference> results = graph::interpret_node({node, pointers, types, 0, 0});
    Replacements out;
    for (size_t r = 0; r < results.size(); ++r) out.push_back(table_of(to, results[r], node.types[r]));
    return out;
  });
}

}  // namespace gmc::transform
