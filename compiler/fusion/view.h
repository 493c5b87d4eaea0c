// What fusion sees of a graph: the ops that do work, and how each reads its operands.
//
// Movement (broadcast, reshape, transpose, the affine ops), constants and indices do no work: they are folded into the
// accesses of whoever reads them. Where an access cannot be expressed, or a movement's result leaves the entry, the
// movement becomes an op of its own, a copy.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/graph/op.h"

#include <optional>
#include <vector>

namespace gmc::fusion {

using graph::Category;
using graph::Graph;
using graph::Value;

// Holds where 0 <= base + sum strides[d] * i_d < extent.
struct Guard {
  int64_t base = 0;
  Shape strides;
  int64_t extent = 0;
};

// A dimension that several axes make up, the last one fastest: what reshapes merged.
struct Axes {
  Shape extents, strides;
};

// Whether an op takes and gives whole tensors, dense in memory.
constexpr bool is_whole(Category c) { return c == Category::routine || graph::is_control(c); }

// Where a reader finds its operand: element (i0, i1, ...) of the reader's index space is element base + sum strides[d]
// * i_d of `source`, which is dense, where all guards hold, and `outside` elsewhere. Of an index, the number itself is
// what the sum gives.
struct Access {
  Value source;  // an op, an input, a table, a constant or an index
  int64_t base = 0;
  Shape strides;  // per dimension of the reader's index space
  std::vector<int>
      dims;  // per dimension of `source`: the reader's dimension that indexes it, or -1 where its extent is 1
  bool aligned = false;  // `dims` is meaningful: every index of the source is an index of the reader
  std::vector<Guard> guards = {};
  double outside = 0;
  // Per dimension, in place of `strides`, where strides cannot say it: of the second operand of a product only.
  std::vector<Axes> axes = {};
};

struct Op {
  int32_t node = -1;
  Category category =
      Category::elementwise;  // elementwise, random, gather, reduce, matmul, those taken whole; a copy is elementwise
  bool is_copy = false;
  Shape index_space;  // what the accesses are expressed in: the result's shape; reduce: the operand's shape; matmul:
                      // see below
  std::vector<Access> operands;  // matmul: access i is over [batch.., m, k] and [batch.., k, n]; gather: access 0 is
                                 // over the operand's own shape; taken whole: each is, and dense
  std::vector<int> kept = {};    // the dimensions of the index space that the result has: all, or those not reduced
};

// How the matrices [rows, columns] along the last two dimensions of an access lie in memory: rows of contiguous
// elements a leading dimension apart, or columns (`transposed`). Nothing where neither is so.
struct MatrixLayout {
  bool transposed = false;
  int64_t leading = 0;
};
std::optional<MatrixLayout> matrix_layout(const Access&, int64_t rows, int64_t columns);

class View {
public:
  explicit View(const Graph&);

  const Graph& graph() const { return *graph_; }
  // In topological order. An op's index is what plans are made of; its name is the node's.
  const std::vector<Op>& ops() const { return ops_; }
  // The op that computes this value, or -1: an input or a constant.
  int op_of(Value v) const { return op_of_[static_cast<size_t>(v.node)]; }
  const graph::Node& node(int op) const {
    return graph_->nodes()[static_cast<size_t>(ops_[static_cast<size_t>(op)].node)];
  }
  const graph::TensorType& type(int op) const { return node(op).types[0]; }
  int64_t bytes(int op) const { return bytes_[static_cast<size_t>(op)]; }        // of all results
  int64_t elements(int op) const { return elements_[static_cast<size_t>(op)]; }  // of the index space
  // Whether a source is computed wherever it is read: a constant, or an index that is no copy.
  bool is_free(Value) const;
  // Ops that read this op's result, ascending; and whether it leaves the entry (output or state).
  const std::vector<int>& readers(int op) const { return readers_[static_cast<size_t>(op)]; }
  bool leaves(int op) const { return leaves_[static_cast<size_t>(op)]; }
  int find(const std::string& name) const;  // -1 if there is no such op

private:
  std::optional<Access> resolve(Value v) const;
  // Whether the value is read where it lies in memory.
  bool is_source(Value v) const;
  std::optional<Access> access_of(const graph::Node&, size_t operand, const Shape& index_space) const;
  std::optional<Access> resolve_unfolded(Value v, int32_t copied) const;
  // The movement that has to become a copy before a reader of `v` can be compiled.
  Value blocking(Value v, bool unfolds) const;

  const Graph* graph_;
  std::vector<Op> ops_;
  std::vector<int> op_of_;
  std::vector<std::vector<int>> readers_;
  std::vector<bool> leaves_;
  std::vector<int64_t> bytes_, elements_;
};

}  // namespace gmc::fusion
