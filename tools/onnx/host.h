// ONNX's tensors as gmc's, and gmc's as numbers of the reference interpreter.
#pragma once

#include "compiler/graph/op.h"
#include "runtime/base/error.h"
#include "runtime/base/tensor.h"
#include "tools/onnx/model.h"

#include <optional>

namespace gmc::onnx {

// What gmc cannot do, as opposed to a mistake in the model.
struct Unsupported : Error {
  using Error::Error;
};
template <class... Args>
[[noreturn]] void unsupported(fmt::format_string<Args...> text, Args&&... args) {
  throw Unsupported(fmt::format(text, std::forward<Args>(args)...));
}

// gmc's dtype for an element type, if there is one.
std::optional<DType> dtype_of(Element);
// Throws `Unsupported`, naming the type.
DType need_dtype(Element);
Element element_of(DType);

// Throws `Unsupported` for a tensor whose values are missing or of a type that gmc does not have.
HostTensor host_tensor(const TensorData&);

// Exact, but for i64 beyond 2^53: those throw `Unsupported`, or are rounded (the largest down) and said in
// `beyond_exact`.
std::vector<double> numbers_of(const HostTensor&, bool* beyond_exact = nullptr);
// Each value rounded once, to nearest even; integers and bools must be exact.
HostTensor host_tensor(DType, const Shape&, const std::vector<double>&);

}  // namespace gmc::onnx
