// An op: everything gmc knows about one operation, in one paragraph. Passes ask these fields; none lists op names.
#pragma once

#include "compiler/graph/node.h"

#include <span>
#include <vector>

namespace gmc::graph {

class Graph;
struct Var;

// How results relate to operands: what fusion and lowering need to know of an op.
enum class Category {
  input,        // a value from outside: data, state or a fed draw
  constant,     // `value` in every element
  elementwise,  // result[i] = scalar(operands[i]); all shapes equal
  broadcast,    // result dimension `dims[i]` is operand dimension i (or the operand's extent there is 1)
  reshape,      // same elements in row-major order
  transpose,    // result dimension i is operand dimension `perm[i]`
  slice,        // result[i] = operand[start + i * stride]
  reduce,       // monoid over `axes`, which disappear
  matmul,       // [.., m, k] x [.., k, n], flags `transpose_a`, `transpose_b` for the last two dimensions
  random,       // a named draw: `distribution`, `stream`
  composite,    // expands to other ops
};

// An f64 tensor of the reference interpreter.
struct Reference {
  Shape shape;
  std::vector<double> values;
};

struct ReferenceArguments {
  const Node& node;
  std::span<const Reference* const> inputs;
  uint64_t seed, step;
};

struct VjpArguments {
  Graph& graph;
  Value node_result;  // of result 0
  const Node& node;
  std::span<const Var> inputs;
  std::span<const Var> results;
  std::span<const Var> gradients;  // one per result; invalid where no gradient flows
};

// One set of operands to try an op with: shapes and dtypes, attributes, the interval that operands are drawn from.
struct Sample {
  std::vector<TensorType> inputs;
  Attributes attributes = {};
  double low = -2, high = 2;
};
// Operands that must be refused, and a part of the message.
struct BadSample {
  std::vector<TensorType> inputs;
  Attributes attributes;
  const char* message;
};

struct OpDef {
  const char* name;
  Category category;
  int arity;  // operands
  // Result types; throws `Error` with a bare message when operands do not fit.
  std::vector<TensorType> (*infer)(std::span<const TensorType>, const Attributes&);
  // elementwise: the function of one element, in f64. Kernels know it under the op's name.
  double (*scalar)(const double*) = nullptr;
  // All others except inputs and composites: the op in f64, with plain loops.
  Reference (*reference)(const ReferenceArguments&) = nullptr;
  // Gradients of the operands, in graph ops; an invalid Var where none flows. Null: not differentiable.
  std::vector<Var> (*vjp)(const VjpArguments&) = nullptr;
  // composite: the same in simpler ops.
  std::vector<Var> (*expand)(Graph&, const Node&, std::span<const Var>) = nullptr;
  // An equal value that is simpler, or an invalid Var.
  Var (*simplify)(Graph&, const Node&, std::span<const Var>) = nullptr;
  // Relative cost of one element in additions: what fusion weighs recomputation with.
  int cost = 1;
  std::vector<Sample> (*samples)() = nullptr;
  std::vector<BadSample> (*bad_samples)() = nullptr;
};

}  // namespace gmc::graph
