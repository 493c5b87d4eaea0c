#include "models/nn/linear.h"

#include "compiler/dsl/program.h"
#include "models/nn/init.h"
#include "ops/ops.h"

#include <fmt/format.h>

#include <cmath>

namespace gmc {

Linear::Linear(int64_t in, int64_t out, bool with_bias, std::source_location made) {
  const double bound = in > 0 ? 1 / std::sqrt(static_cast<double>(in)) : 0;
  weight = Parameter({out, in}, init::uniform(-bound, bound), StateKind::parameter, made);
  if (with_bias) bias = Parameter({out}, init::uniform(-bound, bound), StateKind::parameter, made);
}

Tensor Linear::operator()(At x) const {
  const int64_t out = weight.shape()[0], in = weight.shape()[1];
  const Scope scope(*this, x, fmt::format("Linear({}, {})", in, out));
  if (!x.tensor().valid()) fail_at(x, "Linear: the operand is not a tensor with a value");
  Shape shape = x.shape();
  const std::string& name = weight.name();
  const std::string layer = name.substr(0, std::min(name.rfind(".weight"), name.size()));
  if (shape.empty()) fail_at(x, fmt::format("Linear: expected [.., {}], got a scalar", in));
  if (shape.back() != in)
    fail_at(x, fmt::format("matmul: inner sizes differ: {} x [{}, {}]", to_string(shape), in, out),
            fmt::format("make {} Linear({}, {})", layer.empty() ? "it" : layer, shape.back(), out));
  Tensor rows = x;
  if (shape.size() != 2) rows = reshape(x, {element_count(shape) / std::max<int64_t>(in, 1), in});
  Tensor y = matmul(rows, weight, false, true);
  if (bias.valid()) y = y + bias;
  if (shape.size() == 2) return y;
  shape.back() = out;
  return reshape(y, shape);
}

}  // namespace gmc
