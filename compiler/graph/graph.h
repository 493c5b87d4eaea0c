// A computation graph: one entry of a program. Nodes are in topological order, their index being their id.
#pragma once

#include "compiler/graph/diagnose.h"
#include "compiler/graph/name_table.h"
#include "compiler/graph/node.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gmc::graph {

// What leaves the entry: a named output, or the new version of a state.
struct Output {
  std::string name;
  Value value;
  bool is_state = false;
};

class Graph {
public:
  explicit Graph(std::string entry = {}) : entry_(std::move(entry)) {}

  const std::string& entry() const { return entry_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(Value v) const { return nodes_[static_cast<size_t>(v.node)]; }
  const TensorType& type(Value v) const { return node(v).types[static_cast<size_t>(v.result)]; }
  const std::vector<Output>& outputs() const { return outputs_; }

  // Room for as many nodes.
  void reserve(size_t nodes) {
    nodes_.reserve(nodes);
    names_.reserve(nodes);
  }
  // Appends a node; infers its types. A mistake in the operands throws `Error` that points at the current location.
  Value add(const OpDef& op, std::vector<Value> inputs, Attributes attributes = {}, Regions regions = {});
  // Appends a node of another graph on new inputs, keeping its name, location and types.
  Value copy(Node like, std::vector<Value> inputs);
  void add_output(Output output) { outputs_.push_back(std::move(output)); }
  void set_outputs(std::vector<Output> outputs) { outputs_ = std::move(outputs); }
  // The nodes, for whoever makes another graph of them; nothing else may be done with this one.
  std::vector<Node> release_nodes() && { return std::move(nodes_); }
  // The input of this name, or an invalid value.
  Value find_input(std::string_view name) const;

  // Where and under which scope new nodes are made.
  struct Context {
    Location location;
    std::string scope;        // `fc1`, `grad/fc1`; empty at the top
    std::vector<Note> notes;  // on the layers around, outermost first
    char symbol = 0;          // the operator being applied (`+`), 0 for a call
  };
  Context context;

private:
  std::string unique_name(std::string base);

  std::string entry_;
  std::vector<Node> nodes_;
  std::vector<Output> outputs_;
  NameTable names_;
};

// A value with its graph, for writing gradients and rewrites as algebra. Operands broadcast as in NumPy.
struct Var {
  Graph* graph = nullptr;
  Value value;

  bool valid() const { return graph != nullptr; }
  // Copies: adding a node may move the nodes.
  TensorType type() const { return graph->type(value); }
  Shape shape() const { return type().shape; }
};

// Of a region: its inputs of role `argument`, in order.
std::vector<Value> arguments(const Graph&);
// Each region of each node replaced, innermost first; the graph itself if no node has any.
Graph map_regions(Graph, Graph (*change)(Graph));

// Values used by nodes or outputs, per node and result.
std::vector<std::vector<int>> use_counts(const Graph&);

}  // namespace gmc::graph
