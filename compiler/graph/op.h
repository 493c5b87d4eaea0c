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
  literal,      // a table: `values`, in row-major order
  index,        // the element's index along `axis`
  elementwise,  // result[i] = scalar(operands[i]); all shapes equal
  broadcast,    // result dimension `dims[i]` is operand dimension i (or the operand's extent there is 1)
  reshape,      // same elements in row-major order
  transpose,    // result dimension i is operand dimension `perm[i]`
  affine,       // result[i] = operand[`affine` map of i], or `value` where the map leaves the operand
  gather,       // result[i] = operand[.., index operands at i, ..]
  reduce,       // monoid over `axes`, which disappear
  matmul,       // [.., m, k] x [.., k, n], flags `transpose_a`, `transpose_b` for the last two dimensions
  random,       // a named draw: `distribution`, `stream`
  routine,      // a function of the runtime, called with whole tensors
  loop,         // runs its region a number of times
  while_loop,   // runs its second region as long as the first says so
  cond,         // runs one of its two regions
  composite,    // expands to other ops
};

// Whether an op runs regions.
constexpr bool is_control(Category c) {
  return c == Category::loop || c == Category::while_loop || c == Category::cond;
}

// An f64 tensor of the reference interpreter.
struct Reference {
  Shape shape;
  std::vector<double> values;
};

struct ReferenceArguments {
  const Node& node;
  std::span<const Reference* const> inputs;
  std::span<const TensorType> operand_types;
  uint64_t seed, step;
  uint64_t loop = 0;  // flattened indices of the loops around
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

// Where an affine op finds its element: index base[d] + sum over i of steps[d][i] * result index i along operand
// dimension d.
struct AffineMap {
  Shape base;
  std::vector<Shape> steps;
  double value = 0;  // of what lies outside
};

// A call of the runtime: `symbol` is an execute::Kernel over `tiles` tiles; its first buffer holds `parameters`, then
// come the operands and the results, dense.
struct Routine {
  const char* symbol;
  std::vector<int64_t> parameters;
  int64_t tiles = 1;
  int64_t scratch_bytes = 0;  // a worker
};

// What mixed precision may compute in bf16 or f16 (compiler/transform/mixed_precision.cpp).
enum class Narrow : uint8_t {
  never,    // all that sums, divides or takes differences of large numbers
  between,  // where it stands between products: no worse than rounding its operands
  always,   // products, which are most of the work
};

// A set of dtypes.
using Dtypes = uint16_t;
constexpr Dtypes only(DType d) { return static_cast<Dtypes>(1u << static_cast<unsigned>(d)); }
inline constexpr Dtypes floating = only(f32) | only(f64) | only(f16) | only(bf16);
inline constexpr Dtypes integral = only(i64) | only(i32) | only(i8) | only(u8);
inline constexpr Dtypes numeric = floating | integral;
inline constexpr Dtypes any_dtype = numeric | only(boolean);

struct OpDef {
  const char* name;
  Category category;
  int arity;  // operands
  // Result types; throws `Error` with a bare message when operands do not fit.
  std::vector<TensorType> (*infer)(std::span<const TensorType>, const Attributes&);
  // The same of an op with regions, which has this instead.
  std::vector<TensorType> (*infer_regions)(std::span<const TensorType>, const Attributes&, const Regions&) = nullptr;
  // What operand `typed` may be; others are refused. Precise rules are in `infer`.
  Dtypes dtypes = floating;
  int typed = 0;
  // elementwise: the function of one element, in f64; integer results are then truncated and wrapped to their dtype.
  // Kernels know it under the op's name.
  double (*scalar)(const double*) = nullptr;
  // All others except inputs and composites: the op in f64, with plain loops. `references`: of an op with several
  // results.
  Reference (*reference)(const ReferenceArguments&) = nullptr;
  std::vector<Reference> (*references)(const ReferenceArguments&) = nullptr;
  AffineMap (*affine)(const Node&, const Shape& operand) = nullptr;
  Routine (*routine)(const Node&, std::span<const TensorType> operands) = nullptr;
  // Gradients of the operands, in graph ops; an invalid Var where none flows. Null: not differentiable.
  std::vector<Var> (*vjp)(const VjpArguments&) = nullptr;
  // composite: the same in simpler ops.
  std::vector<Var> (*expand)(Graph&, const Node&, std::span<const Var>) = nullptr;
  // An equal value that is simpler, or an invalid Var.
  Var (*simplify)(Graph&, const Node&, std::span<const Var>) = nullptr;
  // Relative cost of one element in additions: what fusion weighs recomputation with.
  int cost = 1;
  Narrow narrow = Narrow::never;  // ops that only move elements follow what they move
  std::vector<Sample> (*samples)() = nullptr;
  std::vector<BadSample> (*bad_samples)() = nullptr;

  bool differentiable() const { return vjp || expand; }
};

// Types of the results of an op on these operands; throws `Error` with a bare message if their number, their dtypes or
// what `infer` asks for do not fit.
std::vector<TensorType> infer_types(const OpDef&, std::span<const TensorType>, const Attributes&, const Regions& = {});

}  // namespace gmc::graph
