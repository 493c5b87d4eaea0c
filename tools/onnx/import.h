// ONNX to a graph of gmc: the entry `eval` of a program.
//
// The importer runs through the nodes in order; a handler for each operator builds graph ops. Values that the file's
// operators need as numbers (shapes, axes, pads) are computed by the reference interpreter from what has been built.
// Semantics: the ONNX operator specification (onnx/docs/Operators.md and Changelog.md), of the opset that the model
// names.
#pragma once

#include "compiler/graph/graph.h"
#include "runtime/base/tensor.h"
#include "tools/onnx/host.h"
#include "tools/onnx/model.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace gmc::onnx {

// A number that has to be known when the model is read depends on these inputs.
struct NeedsConstant : Error {
  NeedsConstant(const std::string& text, std::vector<std::string> names) : Error(text), inputs(std::move(names)) {}
  std::vector<std::string> inputs;  // as the model names them
};

struct Request {
  std::map<std::string, HostTensor> bound;  // inputs that are constants, by the model's names
  // Of inputs, where the data say more than the model: of a tensor, or of the elements of a sequence.
  std::map<std::string, graph::TensorType> types;
  std::map<std::string, std::vector<graph::TensorType>> sequences;
  std::set<std::string> absent;            // optionals that hold nothing
  std::map<std::string, int64_t> extents;  // of symbolic dimensions
};

struct Port {
  std::string name;   // in the program: letters, digits and `_.:-`, unique
  std::string given;  // in the model
  int64_t item = -1;  // which element, of a sequence
};

struct Imported {
  graph::Graph graph{"eval"};
  TensorMap weights;  // the program's state
  std::vector<Port> inputs, outputs;
  int64_t opset = 0, nodes = 0;
};

// Throws `Unsupported` where gmc has no counterpart, `NeedsConstant`, and `Error` for a mistake in the model; each
// names node, operator and field.
Imported import_model(const Model&, const Request& = {});

// The model's name for something, made fit to be a name in the program.
std::string plain_name(const std::string&);

}  // namespace gmc::onnx
