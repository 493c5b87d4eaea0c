#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <cmath>
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

Reference values_of(const Node& node) {
  if (node.op->category == Category::literal) return {node.types[0].shape, node.numbers("values")};
  const auto count = static_cast<size_t>(element_count(node.types[0].shape));
  return {node.types[0].shape, std::vector<double>(count, node.number("value"))};
}

// Whether f64 holds every number on the way to results of integers, which wrap by their low bits.
bool stays_exact(const Node& node, std::span<const Reference> operands) {
  const auto is_integer = [](const TensorType& t) { return !is_float(t.dtype) && t.dtype != boolean; };
  const Category c = node.op->category;
  if (std::none_of(node.types.begin(), node.types.end(), is_integer)) return true;
  if (moves(c) || c == Category::gather || node.op == &graph::cast_op || node.op == &graph::select_op) return true;
  double bound = 1;
  size_t count = 1;
  for (const Reference& r : operands) {
    double largest = 0;
    for (double v : r.values) largest = std::max(largest, std::fabs(v));
    bound *= 1 + largest;
    count = std::max(count, r.values.size());
  }
  if (c == Category::elementwise) return bound < 0x1p53;
  const bool sums = c == Category::matmul || (c == Category::reduce && node.text("monoid") != "prod");
  return sums && bound * static_cast<double>(count) < 0x1p53;
}

// A cast rounds to its dtype what comes in that of its operand; other ops are computed in f64.
std::vector<Reference> results_of(const Node& node, std::vector<Reference>& operands,
                                  const std::vector<TensorType>& types) {
  const bool rounds = node.op == &graph::cast_op;
  const auto round = [](std::vector<double>& values, DType dtype) {
    if (is_float(dtype))
      for (double& v : values) v = rounded_to(dtype, v);
  };
  if (rounds) round(operands[0].values, types[0].dtype);
  std::vector<const Reference*> pointers;
  for (const Reference& r : operands) pointers.push_back(&r);
  std::vector<Reference> results = graph::interpret_node({node, pointers, types, 0, 0});
  if (rounds) round(results[0].values, node.types[0].dtype);
  return results;
}

// Ops that make one value in every element of operands like that.
std::optional<Var> folded_splat(Graph& to, const Node& node, std::span<const Var> inputs) {
  const Category c = node.op->category;
  if (c != Category::elementwise && c != Category::broadcast && c != Category::reshape && c != Category::transpose)
    return std::nullopt;
  std::vector<Reference> one;
  std::vector<TensorType> types;
  for (const Var& v : inputs) {
    const Node& source = to.node(v.value);
    if (source.op->category != Category::constant) return std::nullopt;
    one.push_back({{}, {source.number("value")}});
    types.push_back({v.type().dtype, {}});
  }
  if (c != Category::elementwise) return constant(to, one[0].values[0], node.types[0]);
  Node element = node;
  for (TensorType& type : element.types) type.shape = {};
  if (!stays_exact(element, one)) return std::nullopt;
  return constant(to, results_of(element, one, types)[0].values[0], node.types[0]);
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

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

Var table_of(Graph& to, const Reference& r, const TensorType& type) {
  const bool splat = !r.values.empty() &&
                     std::all_of(r.values.begin(), r.values.end(), [&](double v) { return same_bits(v, r.values[0]); });
  return splat ? constant(to, r.values[0], type) : literal(to, r.values, type);
}

}  // namespace

// Constants hold one value in every element, literals a table. A result whose elements agree is a constant again.
Graph fold_constants(Graph from) {
  return rebuild(std::move(from), [](Graph& to, const Node& node, std::span<const Var> inputs) {
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
    std::vector<TensorType> types;
    for (const Var& v : inputs) {
      operands.push_back(values_of(to.node(v.value)));
      types.push_back(v.type());
    }
    if (!stays_exact(node, operands)) return Replacements{};
    const std::vector<Reference> results = results_of(node, operands, types);
    Replacements out;
    for (size_t r = 0; r < results.size(); ++r) out.push_back(table_of(to, results[r], node.types[r]));
    return out;
  });
}

}  // namespace gmc::transform
