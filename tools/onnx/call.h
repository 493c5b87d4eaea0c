// One node that is being imported, as its handler sees it.
#pragma once

#include "compiler/graph/core_ops.h"
#include "tools/onnx/import.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gmc::onnx {

using graph::Var;

// A value of the model. An optional without an element, and an operand that is not given, are `none`.
struct Value {
  Var var;                                          // a tensor
  std::shared_ptr<const std::vector<Value>> items;  // a sequence
  bool none() const { return !var.valid() && !items; }
};

class Importer;

class Call {
public:
  Call(Importer& importer, const Node& which, std::vector<Value> inputs, int64_t opset)
      : node(which), version(opset), importer_(importer), inputs_(std::move(inputs)) {}

  const Node& node;
  const int64_t version;  // of the opset of the node's domain

  size_t count() const { return inputs_.size(); }
  bool has(size_t i) const { return i < inputs_.size() && !inputs_[i].none(); }
  const Value& value(size_t i) const;  // must be given, throws `Error` otherwise, as those below
  Var operator[](size_t i) const;      // a tensor
  const std::vector<Value>& sequence(size_t i) const;
  int64_t rank(size_t i) const { return static_cast<int64_t>((*this)[i].shape().size()); }

  // Operands as numbers; throw `NeedsConstant` where they depend on the entry's inputs.
  std::vector<double> numbers(size_t i) const;
  std::vector<int64_t> integers(size_t i) const;
  double number(size_t i) const;    // of a tensor with one element
  int64_t integer(size_t i) const;  // the same
  // The same if they are known.
  std::optional<std::vector<double>> if_known(size_t i) const;

  // Attributes; without a default they must be given.
  const Attribute* find(const std::string& name) const;
  int64_t integer(const std::string& name) const;
  int64_t integer(const std::string& name, int64_t otherwise) const;
  double number(const std::string& name, double otherwise) const;
  std::string text(const std::string& name, const std::string& otherwise) const;
  std::vector<int64_t> integers(const std::string& name, std::vector<int64_t> otherwise = {}) const;
  std::vector<double> numbers(const std::string& name) const;
  const TensorData& tensor(const std::string& name) const;
  const Graph& graph(const std::string& name) const;
  // An operand since the version that made it one, an attribute before; nothing if it is not given.
  std::optional<std::vector<int64_t>> integers(const std::string& name, size_t operand) const;

  // `axis` counted from 0, of `rank` dimensions.
  int64_t axis_in(int64_t axis, int64_t rank) const;
  std::vector<int64_t> axes_in(std::vector<int64_t> axes, int64_t rank) const;  // sorted, each once

  graph::Graph& graph() const;
  Importer& importer() const { return importer_; }
  Var constant(const HostTensor&) const;
  Var weight(const TensorData&, int64_t least) const;  // a state of the program if it has that many floats
  Var constant(double value, DType) const;

private:
  const Attribute* find(const std::string& name, Attribute::Kind) const;
  Importer& importer_;
  std::vector<Value> inputs_;
};

// Builds what a node computes: its outputs in order. Those at the end that nobody can want may be missing.
using Handler = std::vector<Value> (*)(Call&);
struct Row {
  const char* op;
  Handler handler;
};

// The operators of ONNX's own domain, by family.
std::span<const Row> elementwise_rows();
std::span<const Row> movement_rows();
std::span<const Row> constant_rows();
std::span<const Row> index_rows();
std::span<const Row> reduction_rows();
std::span<const Row> nn_rows();
std::span<const Row> norm_rows();
std::span<const Row> resample_rows();
std::span<const Row> rnn_rows();
std::span<const Row> control_rows();
std::span<const Row> quantize_rows();
std::span<const Row> einsum_rows();
std::span<const Row> search_rows();
std::span<const Row> signal_rows();
std::span<const Row> grid_rows();
std::span<const Row> deform_rows();
std::span<const Row> attention_rows();
std::span<const Row> state_rows();
// Those of ai.onnx.preview.training, ai.onnx.preview and ai.onnx.ml.
std::span<const Row> train_rows();
std::span<const Row> preview_rows();
std::span<const Row> learning_rows();

// Null for an operator without a handler.
Handler handler_of(const std::string& domain, const std::string& op);

inline std::vector<Value> one(Var v) { return {Value{v, nullptr}}; }

}  // namespace gmc::onnx
