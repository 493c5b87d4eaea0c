#include "compiler/dsl/tensor.h"

#include "compiler/dsl/capture.h"
#include "runtime/base/error.h"

namespace gmc {

Tensor::Tensor(const Parameter& parameter, std::source_location where)
    : Tensor(dsl::current("a parameter is used", dsl::location_of(where)).read(parameter, dsl::location_of(where))) {}

graph::TensorType Tensor::type() const {
  if (!valid()) fail("a tensor without a value is asked for its type");
  return graph_->type(value_);
}
DType Tensor::dtype() const { return type().dtype; }
Shape Tensor::shape() const { return type().shape; }
int64_t Tensor::rank() const { return static_cast<int64_t>(type().shape.size()); }

int64_t Tensor::dim(int64_t i, std::source_location where) const {
  const Shape s = shape();
  const auto r = static_cast<int64_t>(s.size());
  if (i < -r || i >= r)
    throw Error(
        graph::diagnose(dsl::place_of(where), fmt::format("dim: there is no dimension {} in {}", i, to_string(s))));
  return s[static_cast<size_t>(i < 0 ? i + r : i)];
}

}  // namespace gmc
