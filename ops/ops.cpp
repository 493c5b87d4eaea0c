#include "ops/ops.h"

#include "compiler/dsl/capture.h"
#include "compiler/transform/differentiate.h"
#include "ops/elementwise.h"
#include "runtime/base/error.h"

#include <algorithm>

namespace gmc {

using dsl::Call;
using graph::Attributes;
using graph::OpDef;
using graph::Var;

namespace {

Tensor unary(const OpDef& op, At x) {
  const Call call(op.name, {x});
  return call.result(graph::apply(op, {call[0]}));
}

Tensor binary(const OpDef& op, At a, At b) {
  const Call call(op.name, {a, b});
  return call.result(graph::apply_elementwise(op, {call[0], call[1]}));
}

int64_t axis_of(const Call& call, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) call.fail(fmt::format("axis {} is out of range for {} dimensions", axis, rank));
  return axis < 0 ? axis + rank : axis;
}

// Sorted, not negative; all if `axes` is empty.
Axes axes_of(const Call& call, const Axes& axes, const Shape& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  Axes out;
  for (int64_t axis : axes) out.push_back(axis_of(call, axis, rank));
  if (axes.empty())
    for (int64_t d = 0; d < rank; ++d) out.push_back(d);
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end())
    call.fail(fmt::format("axes {} name a dimension twice", to_string(axes)));
  return out;
}

Var keep_dims(Var reduced, Shape shape, const Axes& axes, bool keep) {
  if (!keep) return reduced;
  for (int64_t axis : axes) shape[static_cast<size_t>(axis)] = 1;
  return graph::reshape(reduced, shape);
}

Tensor reduced(const char* name, const char* monoid, At x, const Axes& axes, bool keep) {
  const Call call(name, {x});
  const Shape shape = call[0].shape();
  const Axes over = axes_of(call, axes, shape);
  return call.result(keep_dims(graph::reduce(call[0], monoid, over), shape, over, keep));
}

Tensor along(const OpDef& op, At x, int64_t axis) {
  const Call call(op.name, {x});
  const auto rank = static_cast<int64_t>(call[0].shape().size());
  return call.result(graph::apply(op, {call[0]}, {{"axis", axis_of(call, axis, rank)}}));
}

}  // namespace

Tensor exp(At x) { return unary(ops::exp_op, x); }
Tensor log(At x) { return unary(ops::log_op, x); }
Tensor log1p(At x) { return unary(ops::log1p_op, x); }
Tensor expm1(At x) { return unary(ops::expm1_op, x); }
Tensor tanh(At x) { return unary(ops::tanh_op, x); }
Tensor sigmoid(At x) { return unary(ops::sigmoid_op, x); }
Tensor sqrt(At x) { return unary(ops::sqrt_op, x); }
Tensor rsqrt(At x) { return unary(ops::rsqrt_op, x); }
Tensor erf(At x) { return unary(ops::erf_op, x); }
Tensor abs(At x) { return unary(ops::abs_op, x); }
Tensor sign(At x) { return unary(ops::sign_op, x); }
Tensor maximum(At a, At b) { return binary(ops::max_op, a, b); }
Tensor minimum(At a, At b) { return binary(ops::min_op, a, b); }
Tensor relu(At x) { return unary(ops::relu_op, x); }
Tensor softplus(At x) { return unary(ops::softplus_op, x); }
Tensor silu(At x) { return unary(ops::silu_op, x); }
Tensor gelu(At x) { return unary(ops::gelu_op, x); }
Tensor gelu_tanh(At x) { return unary(ops::gelu_tanh_op, x); }
Tensor bce_with_logits(At logits, At targets) { return binary(ops::bce_with_logits_op, logits, targets); }
Tensor less(At a, At b) { return binary(graph::less_op, a, b); }
Tensor greater(At a, At b) { return binary(graph::less_op, b, a); }
Tensor equal(At a, At b) { return binary(graph::equal_op, a, b); }
Tensor stop_gradient(At x) { return unary(graph::stop_gradient_op, x); }
Tensor where(At condition, At a, At b) { return select(condition, a, b); }

Tensor square(At x) {
  const Call call("square", {x});
  return call.result(call[0] * call[0]);
}

Tensor leaky_relu(At x, double slope) {
  const Call call("leaky_relu", {x});
  const Var v = call[0], zero = graph::constant(*v.graph, 0, {v.type().dtype, {}});
  return call.result(graph::select(graph::less(v, zero), v * slope, v));
}

Tensor elu(At x, double alpha) {
  const Call call("elu", {x});
  const Var v = call[0], zero = graph::constant(*v.graph, 0, {v.type().dtype, {}});
  // The untaken side stays finite, so that its gradient is 0 and not NaN.
  const Var below = graph::apply(ops::expm1_op, {graph::apply_elementwise(ops::min_op, {v, zero})}) * alpha;
  return call.result(graph::select(graph::less(v, zero), below, v));
}

Tensor select(At condition, At a, At b) {
  const Call call("select", {condition, a, b});
  return call.result(graph::select(call[0], call[1], call[2]));
}

Tensor cast(At x, DType to) {
  const Call call("cast", {x});
  return call.result(graph::cast(call[0], to));
}

Tensor sum(At x, const Axes& axes, bool keep) { return reduced("sum", "sum", x, axes, keep); }
Tensor max(At x, const Axes& axes, bool keep) { return reduced("max", "max", x, axes, keep); }
Tensor min(At x, const Axes& axes, bool keep) { return reduced("min", "min", x, axes, keep); }

Tensor mean(At x, const Axes& axes, bool keep) {
  const Call call("mean", {x});
  const Shape shape = call[0].shape();
  const Axes over = axes_of(call, axes, shape);
  int64_t count = 1;
  for (int64_t axis : over) count *= shape[static_cast<size_t>(axis)];
  const Var total = graph::sum(call[0], over) / static_cast<double>(count);
  return call.result(keep_dims(total, shape, over, keep));
}

Tensor softmax(At x, int64_t axis) { return along(ops::softmax_op, x, axis); }
Tensor log_softmax(At x, int64_t axis) { return along(ops::log_softmax_op, x, axis); }

Tensor reshape(At x, const Shape& to) {
  const Call call("reshape", {x});
  Shape shape = to;
  const auto rest = std::find(shape.begin(), shape.end(), -1);
  if (rest != shape.end()) {
    *rest = 1;
    const int64_t known = element_count(shape), all = element_count(call[0].shape());
    if (std::find(to.begin() + (rest - shape.begin()) + 1, to.end(), -1) != to.end() || known == 0 || all % known != 0)
      call.fail(fmt::format("cannot reshape {} to {}", to_string(call[0].shape()), to_string(to)));
    *rest = all / known;
  }
  return call.result(graph::reshape(call[0], shape));
}

Tensor transpose(At x, const Axes& perm) {
  const Call call("transpose", {x});
  const auto rank = static_cast<int64_t>(call[0].shape().size());
  Axes order;
  for (int64_t d : perm) order.push_back(axis_of(call, d, rank));
  if (perm.empty()) {
    if (rank < 2) call.fail(fmt::format("expected at least 2 dimensions, got {}", rank));
    for (int64_t d = 0; d < rank; ++d) order.push_back(d);
    std::swap(order[static_cast<size_t>(rank - 2)], order[static_cast<size_t>(rank - 1)]);
  }
  return call.result(graph::transpose(call[0], order));
}

Tensor broadcast_to(At x, const Shape& to) {
  const Call call("broadcast_to", {x});
  if (call[0].shape().size() > to.size())
    call.fail(fmt::format("cannot broadcast {} to {}", to_string(call[0].shape()), to_string(to)));
  return call.result(graph::broadcast_to(call[0], to));
}

Tensor matmul(At a, At b, bool transpose_a, bool transpose_b) {
  const Call call("matmul", {a, b});
  return call.result(graph::matmul(call[0], call[1], transpose_a, transpose_b));
}

std::vector<Tensor> gradients(At scalar, const std::vector<Tensor>& wrt) {
  const Call call("gradients", {scalar});
  std::vector<Var> variables;
  for (const Tensor& t : wrt) {
    dsl::current("gradients", dsl::place_of(scalar.where())).check(t, "gradients", dsl::place_of(scalar.where()));
    variables.push_back({call[0].graph, t.value()});
  }
  std::vector<Tensor> out;
  for (const Var& v : transform::differentiate(call[0], variables)) out.push_back(call.result(v));
  return out;
}

Tensor normal(const std::string& name, const Shape& shape, std::source_location where) {
  return dsl::draw(ops::random_op, "normal", name, shape, where);
}
Tensor uniform(const std::string& name, const Shape& shape, std::source_location where) {
  return dsl::draw(ops::random_op, "uniform", name, shape, where);
}

}  // namespace gmc
