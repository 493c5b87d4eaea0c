#include "ops/ops.h"

#include "compiler/transform/differentiate.h"
#include "ops/call.h"
#include "ops/elementwise.h"

#include <tuple>

namespace gmc {

using dsl::Call;
using graph::Var;
using ops::along;
using ops::axis_of;
using ops::binary;
using ops::unary;

namespace {

Tensor reduced(const char* name, const char* monoid, At x, const Axes& axes, bool keep) {
  const Call call(name, {x});
  const Shape shape = call[0].shape();
  const Axes over = ops::axes_of(call, axes, shape);
  const Var y = over.empty() ? call[0] : graph::reduce(call[0], monoid, over);
  return call.result(ops::keep_dims(y, shape, over, keep));
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
Tensor sin(At x) { return unary(ops::sin_op, x); }
Tensor cos(At x) { return unary(ops::cos_op, x); }
Tensor tan(At x) { return unary(ops::tan_op, x); }
Tensor asin(At x) { return unary(ops::asin_op, x); }
Tensor acos(At x) { return unary(ops::acos_op, x); }
Tensor atan(At x) { return unary(ops::atan_op, x); }
Tensor sinh(At x) { return unary(ops::sinh_op, x); }
Tensor cosh(At x) { return unary(ops::cosh_op, x); }
Tensor asinh(At x) { return unary(ops::asinh_op, x); }
Tensor acosh(At x) { return unary(ops::acosh_op, x); }
Tensor atanh(At x) { return unary(ops::atanh_op, x); }
Tensor exp2(At x) { return unary(ops::exp2_op, x); }
Tensor log2(At x) { return unary(ops::log2_op, x); }
Tensor log10(At x) { return unary(ops::log10_op, x); }
Tensor erfinv(At x) { return unary(ops::erfinv_op, x); }
Tensor floor(At x) { return unary(ops::floor_op, x); }
Tensor ceil(At x) { return unary(ops::ceil_op, x); }
Tensor trunc(At x) { return unary(ops::trunc_op, x); }
Tensor round(At x) { return unary(ops::round_op, x); }
Tensor is_nan(At x) { return unary(ops::is_nan_op, x); }
Tensor is_inf(At x) { return unary(ops::is_inf_op, x); }
Tensor logical_not(At x) { return unary(ops::logical_not_op, x); }
Tensor square(At x) { return unary(ops::square_op, x); }
Tensor reciprocal(At x) { return unary(ops::reciprocal_op, x); }
Tensor erfc(At x) { return unary(ops::erfc_op, x); }
Tensor log_sigmoid(At x) { return unary(ops::log_sigmoid_op, x); }
Tensor mish(At x) { return unary(ops::mish_op, x); }
Tensor softsign(At x) { return unary(ops::softsign_op, x); }
Tensor atan2(At a, At b) { return binary(ops::atan2_op, a, b); }
Tensor pow(At a, At b) { return binary(ops::pow_op, a, b); }
Tensor fmod(At a, At b) { return binary(ops::fmod_op, a, b); }
Tensor mod(At a, At b) { return binary(ops::mod_op, a, b); }
Tensor bit_and(At a, At b) { return binary(ops::bit_and_op, a, b); }
Tensor bit_or(At a, At b) { return binary(ops::bit_or_op, a, b); }
Tensor bit_xor(At a, At b) { return binary(ops::bit_xor_op, a, b); }
Tensor shift_left(At a, At b) { return binary(ops::shift_left_op, a, b); }
Tensor shift_right(At a, At b) { return binary(ops::shift_right_op, a, b); }
Tensor less_equal(At a, At b) { return binary(ops::less_equal_op, a, b); }
Tensor greater(At a, At b) { return binary(ops::greater_op, a, b); }
Tensor greater_equal(At a, At b) { return binary(ops::greater_equal_op, a, b); }
Tensor not_equal(At a, At b) { return binary(ops::not_equal_op, a, b); }
Tensor logical_and(At a, At b) { return binary(ops::logical_and_op, a, b); }
Tensor logical_or(At a, At b) { return binary(ops::logical_or_op, a, b); }
Tensor logical_xor(At a, At b) { return binary(ops::logical_xor_op, a, b); }
Tensor floor_divide(At a, At b) { return binary(ops::floor_divide_op, a, b); }
Tensor log_add_exp(At a, At b) { return binary(ops::log_add_exp_op, a, b); }
Tensor maximum(At a, At b) { return binary(ops::max_op, a, b); }
Tensor minimum(At a, At b) { return binary(ops::min_op, a, b); }
Tensor relu(At x) { return unary(ops::relu_op, x); }
Tensor softplus(At x) { return unary(ops::softplus_op, x); }
Tensor silu(At x) { return unary(ops::silu_op, x); }
Tensor gelu(At x) { return unary(ops::gelu_op, x); }
Tensor gelu_tanh(At x) { return unary(ops::gelu_tanh_op, x); }
Tensor bce_with_logits(At logits, At targets) { return binary(ops::bce_with_logits_op, logits, targets); }
Tensor less(At a, At b) { return binary(graph::less_op, a, b); }
Tensor equal(At a, At b) { return binary(graph::equal_op, a, b); }
Tensor stop_gradient(At x) { return unary(graph::stop_gradient_op, x); }
Tensor where(At condition, At a, At b) { return select(condition, a, b); }

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

namespace {

Shape batch_of(const Shape& s) { return {s.begin(), s.end() - 2}; }

// [.., m, k] and [.., k, n] with equal leading dimensions, broadcast as NumPy does.
std::pair<Var, Var> with_equal_batches(Var a, Var b) {
  const Shape batch = graph::broadcast_shape(batch_of(a.shape()), batch_of(b.shape()));
  const auto widened = [&](Var v) {
    const Shape from = v.shape();
    Shape to = batch;
    to.insert(to.end(), from.end() - 2, from.end());
    return graph::broadcast_to(v, to);
  };
  return {widened(a), widened(b)};
}

}  // namespace

Tensor matmul(At a, At b, bool transpose_a, bool transpose_b) {
  const Call call("matmul", {a, b});
  Var x = call[0], y = call[1];
  const bool row = x.shape().size() == 1, column = y.shape().size() == 1;
  if (row) x = graph::reshape(x, transpose_a ? Shape{x.shape()[0], 1} : Shape{1, x.shape()[0]});
  if (column) y = graph::reshape(y, transpose_b ? Shape{1, y.shape()[0]} : Shape{y.shape()[0], 1});
  if (x.shape().size() < 2 || y.shape().size() < 2) return call.result(graph::matmul(x, y, transpose_a, transpose_b));
  Var product;
  if (y.shape().size() == 2 && x.shape().size() > 2 && !transpose_a) {  // one product of all rows
    const Shape from = x.shape();
    const Shape rows(from.begin(), from.end() - 1);
    product = graph::matmul(graph::reshape(x, {element_count(rows), from.back()}), y, false, transpose_b);
    Shape to = rows;
    to.push_back(product.shape()[1]);
    product = graph::reshape(product, to);
  } else {
    if (batch_of(x.shape()) != batch_of(y.shape())) {
      try {
        std::tie(x, y) = with_equal_batches(x, y);
      } catch (const Error&) {
        call.fail(fmt::format("batches differ: {} x {}", to_string(x.shape()), to_string(y.shape())));
      }
    }
    product = graph::matmul(x, y, transpose_a, transpose_b);
  }
  Shape shape = product.shape();
  if (column) shape.pop_back();
  if (row) shape.erase(shape.end() - (column ? 1 : 2));
  return call.result(graph::reshape(product, shape));
}

std::vector<Tensor> gradients(At scalar, const std::vector<Tensor>& wrt) {
  const Call call("gradients", {scalar});
  std::vector<Var> variables;
  for (const Tensor& t : wrt) {
    const graph::Location at = dsl::place_of(scalar.where());
    variables.push_back({call[0].graph, dsl::current("gradients", at).adopt(t, "gradients", at).value()});
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
