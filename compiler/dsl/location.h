// An operand together with the place in the user's source where it is used.
#pragma once

#include "compiler/dsl/parameter.h"
#include "compiler/dsl/tensor.h"

#include <source_location>
#include <type_traits>

namespace gmc {

// What functions and operators on tensors take. The implicit constructors capture file, line and column of the call, so
// that a mistake points at the user's line; an `At` that is handed on keeps its place.
class At {
public:
  At(const Tensor& tensor, std::source_location where = std::source_location::current())
      : tensor_(tensor), where_(where) {}
  // Reads the latest version of the state.
  At(const Parameter& parameter, std::source_location where = std::source_location::current())
      : tensor_(parameter, where), where_(where) {}
  // A number takes the dtype of the tensors it meets.
  template <class Number>
    requires std::is_arithmetic_v<Number>
  At(Number number, std::source_location where = std::source_location::current())
      : number_(static_cast<double>(number)), is_number_(true), where_(where) {}

  bool is_number() const { return is_number_; }
  double number() const { return number_; }
  const Tensor& tensor() const { return tensor_; }
  const std::source_location& where() const { return where_; }
  // A number becomes an f32 scalar.
  operator Tensor() const;

  // A number is an f32 scalar.
  DType dtype() const { return is_number_ ? f32 : tensor_.dtype(); }
  Shape shape() const { return is_number_ ? Shape{} : tensor_.shape(); }
  int64_t rank() const { return is_number_ ? 0 : tensor_.rank(); }
  // As Tensor::dim.
  int64_t dim(int64_t i) const { return tensor_.dim(i, where_); }

private:
  Tensor tensor_;
  double number_ = 0;
  bool is_number_ = false;
  std::source_location where_;
};

// Operands broadcast as in NumPy; all are of one floating dtype.
Tensor operator+(At, At);
Tensor operator-(At, At);
Tensor operator*(At, At);
Tensor operator/(At, At);
Tensor operator-(At);

}  // namespace gmc
