// The functions on Tensor that are calls of the runtime: scans, order, scatter, factorisations.
#include "ops/call.h"
#include "ops/op_list.h"

namespace gmc {

using dsl::Call;
using graph::Attributes;
using graph::OpDef;
using graph::Var;

namespace {

std::vector<Tensor> results_of(const Call& call, const OpDef& op, std::vector<Var> x, Attributes attributes = {}) {
  const Var first = graph::apply(op, std::move(x), std::move(attributes));
  std::vector<Tensor> out;
  const size_t count = first.graph->node(first.value).types.size();
  for (size_t r = 0; r < count; ++r)
    out.push_back(call.result({first.graph, {first.value.node, static_cast<int32_t>(r)}}));
  return out;
}

// The results of an op with the attribute `axis` and others.
std::vector<Tensor> results_along(const OpDef& op, At x, int64_t axis, Attributes attributes) {
  const Call call(op.name, {x});
  attributes["axis"] = ops::axis_of(call, axis, ops::rank_of(call[0]));
  return results_of(call, op, {call[0]}, std::move(attributes));
}

Tensor cumulated(At x, const char* monoid, int64_t axis, bool exclusive, bool reverse) {
  return results_along(ops::cumulate_op, x, axis,
                       {{"exclusive", exclusive}, {"monoid", monoid}, {"reverse", reverse}})[0];
}

Tensor scattered(At x, At indices, At updates, int64_t axis, const char* mode) {
  const Call call("scatter", {x, indices, updates});
  const int64_t rank = ops::rank_of(call[0]), at = ops::axis_of(call, axis, rank);
  Axes dims;
  for (int64_t d = 0; d < rank; ++d) dims.push_back(d == at ? -1 : d);
  return call.result(graph::scatter(call[0], call[2], {call[1]}, {at}, dims, mode));
}

std::vector<Tensor> factored(const OpDef& op, At x) {
  const Call call(op.name, {x});
  return results_of(call, op, {call[0]});
}

}  // namespace

Tensor cumsum(At x, int64_t axis, bool exclusive, bool reverse) {
  return cumulated(x, "sum", axis, exclusive, reverse);
}
Tensor cumprod(At x, int64_t axis, bool exclusive, bool reverse) {
  return cumulated(x, "prod", axis, exclusive, reverse);
}
Tensor cummax(At x, int64_t axis, bool reverse) { return cumulated(x, "max", axis, false, reverse); }
Tensor cummin(At x, int64_t axis, bool reverse) { return cumulated(x, "min", axis, false, reverse); }
Tensor logcumsumexp(At x, int64_t axis, bool reverse) {
  return results_along(ops::logcumsumexp_op, x, axis, {{"reverse", reverse}})[0];
}
Tensor linear_scan(At a, At b, int64_t axis, bool reverse) {
  const Call call("linear_scan", {a, b});
  const int64_t at = ops::axis_of(call, axis, ops::rank_of(call[1]));
  return results_of(call, ops::linear_scan_op, {call[0], call[1]}, {{"axis", at}, {"reverse", reverse}})[0];
}

Ordered sort(At x, int64_t axis, bool descending) {
  const std::vector<Tensor> r = results_along(ops::sort_op, x, axis, {{"descending", descending}});
  return {r[0], r[1]};
}
Tensor argsort(At x, int64_t axis, bool descending) {
  return results_along(ops::argsort_op, x, axis, {{"descending", descending}})[0];
}
Ordered top_k(At x, int64_t k, int64_t axis, bool smallest) {
  const std::vector<Tensor> r = results_along(ops::top_k_op, x, axis, {{"k", k}, {"smallest", smallest}});
  return {r[0], r[1]};
}

Tensor scatter(At x, At i, At updates, int64_t axis) { return scattered(x, i, updates, axis, "set"); }
Tensor scatter_add(At x, At i, At updates, int64_t axis) { return scattered(x, i, updates, axis, "add"); }
Tensor scatter_mul(At x, At i, At updates, int64_t axis) { return scattered(x, i, updates, axis, "mul"); }
Tensor scatter_max(At x, At i, At updates, int64_t axis) { return scattered(x, i, updates, axis, "max"); }
Tensor scatter_min(At x, At i, At updates, int64_t axis) { return scattered(x, i, updates, axis, "min"); }

Tensor solve_triangular(At a, At b, bool upper, bool transposed, bool unit) {
  return ops::call_op(ops::triangular_solve_op, {a, b}, {{"transposed", transposed}, {"unit", unit}, {"upper", upper}});
}
Tensor solve(At a, At b) { return ops::call_op(ops::solve_op, {a, b}); }
Tensor inverse(At x) { return ops::unary(ops::inverse_op, x); }
Tensor cholesky(At x) { return ops::unary(ops::cholesky_op, x); }
LuFactors lu(At x) {
  const std::vector<Tensor> r = factored(ops::lu_op, x);
  return {r[0], r[1], r[2]};
}
QrFactors qr(At x) {
  const std::vector<Tensor> r = factored(ops::qr_op, x);
  return {r[0], r[1]};
}
SignLogDet slogdet(At x) {
  const std::vector<Tensor> r = factored(ops::log_det_op, x);
  return {r[1], r[0]};
}

}  // namespace gmc
