#include "compiler/dsl/capture.h"
#include "compiler/dsl/location.h"
#include "compiler/graph/core_ops.h"

namespace gmc {

At::operator Tensor() const {
  if (!is_number_) return tensor_;
  const dsl::Call call("a number", {*this});
  return call.result(call[0]);
}

Tensor operator+(At a, At b) {
  const dsl::Call x("add", {a, b}, '+');
  return x.result(x[0] + x[1]);
}
Tensor operator-(At a, At b) {
  const dsl::Call x("sub", {a, b}, '-');
  return x.result(x[0] - x[1]);
}
Tensor operator*(At a, At b) {
  const dsl::Call x("mul", {a, b}, '*');
  return x.result(x[0] * x[1]);
}
Tensor operator/(At a, At b) {
  const dsl::Call x("div", {a, b}, '/');
  return x.result(x[0] / x[1]);
}
Tensor operator-(At a) {
  const dsl::Call x("neg", {a}, '-');
  return x.result(-x[0]);
}

}  // namespace gmc
