// Named state, as models hold it.
#pragma once

#include "compiler/dsl/initialiser.h"
#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"

#include <memory>
#include <source_location>
#include <string>

namespace gmc {

// parameter: learned by an optimiser. buffer: written by the model itself (running statistics, averages).
// optimizer: what an optimiser remembers.
enum class StateKind { parameter, buffer, optimizer };
const char* name_of(StateKind);

struct ParameterData {
  std::string name;  // `fc1.weight`; empty until it is given to a program
  DType dtype = DType::f32;
  Shape shape;
  Initialiser initialiser;
  StateKind kind = StateKind::parameter;
  std::source_location made;
  uint64_t program = 0;  // the program it was given to, 0 for none
  size_t index = 0;      // among the states of that program
};

// A shared handle: copies of a layer share its weights, and one handle in two places is a tied weight.
class Parameter {
public:
  // No parameter, such as the bias of a layer without one.
  Parameter() = default;
  // `made`: where the user made the layer it belongs to.
  Parameter(Shape shape, Initialiser initialiser, StateKind kind = StateKind::parameter,
            std::source_location made = std::source_location::current());

  bool valid() const { return data_ != nullptr; }
  const std::string& name() const { return data_->name; }
  const Shape& shape() const { return data_->shape; }
  DType dtype() const { return data_->dtype; }
  StateKind kind() const { return data_->kind; }
  const std::shared_ptr<ParameterData>& data() const { return data_; }

private:
  std::shared_ptr<ParameterData> data_;
};

}  // namespace gmc
