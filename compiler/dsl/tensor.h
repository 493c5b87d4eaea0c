// A symbolic tensor: a light handle on a value of the entry that is being captured.
#pragma once

#include "compiler/graph/graph.h"

#include <memory>
#include <source_location>

namespace gmc {

class Parameter;

class Tensor {
public:
  Tensor() = default;
  Tensor(std::shared_ptr<graph::Graph> graph, graph::Value value) : graph_(std::move(graph)), value_(value) {}
  // The latest version of a state in the entry being captured.
  Tensor(const Parameter&, std::source_location where = std::source_location::current());

  // False for a tensor that was only declared.
  bool valid() const { return graph_ != nullptr; }
  // These throw `Error` on a tensor that is not valid.
  DType dtype() const;
  Shape shape() const;
  int64_t rank() const;
  // Extent of dimension i; a negative i counts from the end. Throws `Error` if there is no such dimension.
  int64_t dim(int64_t i, std::source_location where = std::source_location::current()) const;

  const std::shared_ptr<graph::Graph>& graph() const { return graph_; }
  graph::Value value() const { return value_; }

private:
  graph::TensorType type() const;

  std::shared_ptr<graph::Graph> graph_;
  graph::Value value_;
};

}  // namespace gmc
