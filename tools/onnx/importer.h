// The state of an import, for the handlers that need more of it than their node: control flow and functions.
#pragma once

#include "compiler/graph/op.h"
#include "tools/onnx/call.h"

#include <functional>
#include <set>

namespace gmc::onnx {

class Importer {
public:
  Importer(const Model&, const Request&);
  Imported finish();

  graph::Graph& graph() { return out_.graph; }

  // What a graph inside a node computes, given its inputs; it sees the values around it.
  std::vector<Value> run(const Graph&, const std::vector<Value>& inputs);

  // The elements of a value that no input of the entry reaches; throws `NeedsConstant`.
  std::vector<double> evaluate(Var);
  bool is_known(Var) const;
  // The value of this name that the node at hand sees.
  Value find(const std::string& name) const;

  // A table in the graph.
  Var constant(const HostTensor&);
  // The same, or a state of the program if the tensor looks like a weight: floating, with `least` elements.
  Var weight(const TensorData&, int64_t least);

private:
  using Scope = std::map<std::string, Value>;
  struct Needed {
    std::set<int32_t> nodes;
    std::vector<std::string> inputs;
  };

  std::string unique(const std::string& name);
  void declare_inputs();
  Value declare(const ValueInfo&);
  graph::TensorType type_of(const ValueInfo&) const;
  void take_initializers(const Graph&);
  void run_nodes(const std::vector<Node>&);
  void run_node(const Node&);
  std::vector<Value> dispatch(const Node&, std::vector<Value> inputs);
  std::vector<Value> inline_call(const Function&, const Node&, const std::vector<Value>& inputs);
  // Attributes of a function's node may stand for those of its call; one that is given nowhere is left out.
  std::vector<Attribute> resolved(const std::vector<Attribute>&) const;
  void check_size(const Value&) const;
  Needed needed(Var) const;
  // Throws where one of these nodes computes with a constant that is not exact; what only hands it on, as the end of a
  // slice that says "all", is fine.
  void refuse_inexact(const std::set<int32_t>& nodes);

  const Model& model_;
  const Request& request_;
  Imported out_;
  std::set<std::string> names_;
  std::map<std::string, std::string> given_;  // names of inputs in the program -> in the model
  std::vector<Scope> scopes_;
  const Opsets* opsets_;
  const Node* call_ = nullptr;  // of the function that is being inlined
  const Function* function_ = nullptr;
  int depth_ = 0;
  int64_t nodes_ = 0;
  std::map<graph::Value, graph::Reference> evaluated_;
  std::set<int32_t> beyond_exact_;            // nodes with i64 beyond 2^53, which are held as the nearest double
  std::map<const TensorData*, Value> taken_;  // initializers, which graphs that run in a loop take once
};

}  // namespace gmc::onnx
