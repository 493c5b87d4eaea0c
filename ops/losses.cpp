// Losses on Tensor: the ops of loss.cpp, reduced.
#include "ops/call.h"
#include "ops/elementwise.h"
#include "ops/layers.h"

namespace gmc {

using graph::Attributes;
using graph::OpDef;
using graph::Var;
using ops::Call;

namespace {

Var reduced(Var loss, Reduction reduction) {
  if (reduction == Reduction::none) return loss;
  std::vector<int64_t> axes;
  for (int64_t d = 0; d < ops::rank_of(loss); ++d) axes.push_back(d);
  if (reduction == Reduction::mean) return graph::apply(ops::mean_op, {loss}, {{"axes", axes}});
  return axes.empty() ? loss : graph::sum(loss, axes);
}

Tensor loss_of(const char* name, const OpDef& op, const std::vector<At>& operands, Reduction reduction,
               Attributes attributes = {}) {
  const Call call(name, operands);
  return call.result(reduced(graph::apply_elementwise(op, call.all(), std::move(attributes)), reduction));
}

Tensor class_loss(const char* name, const OpDef& op, const std::vector<At>& operands, const ClassOptions& o) {
  const Call call(name, operands);
  const Var loss =
      graph::apply(op, call.all(), {{"ignore_index", o.ignore_index}, {"label_smoothing", o.label_smoothing}});
  if (o.reduction != Reduction::mean) return call.result(reduced(loss, o.reduction));
  const Var weight{loss.graph, {loss.value.node, 1}};
  return call.result(reduced(loss, Reduction::sum) / reduced(weight, Reduction::sum));
}

}  // namespace

Tensor mse_loss(At a, At b, Reduction r) { return loss_of("mse_loss", ops::squared_error_op, {a, b}, r); }
Tensor l1_loss(At a, At b, Reduction r) { return loss_of("l1_loss", ops::absolute_error_op, {a, b}, r); }
Tensor huber_loss(At a, At b, double delta, Reduction r) {
  return loss_of("huber_loss", ops::huber_op, {a, b}, r, {{"delta", delta}});
}
Tensor smooth_l1_loss(At a, At b, double beta, Reduction r) {
  const Call call("smooth_l1_loss", {a, b});
  return call.result(reduced(graph::apply_elementwise(ops::huber_op, call.all(), {{"delta", beta}}) / beta, r));
}
Tensor bce_loss(At p, At t, Reduction r) { return loss_of("bce_loss", ops::binary_cross_entropy_op, {p, t}, r); }
Tensor bce_with_logits_loss(At x, At t, Reduction r) {
  return loss_of("bce_with_logits_loss", ops::bce_with_logits_op, {x, t}, r);
}
Tensor hinge_loss(At x, At t, Reduction r) { return loss_of("hinge_loss", ops::hinge_op, {x, t}, r); }
Tensor gaussian_nll_loss(At mean, At t, At variance, double epsilon, Reduction r) {
  return loss_of("gaussian_nll_loss", ops::gaussian_nll_op, {mean, t, variance}, r, {{"epsilon", epsilon}});
}
Tensor kl_divergence_loss(At x, At t, Reduction r) {
  return loss_of("kl_divergence_loss", ops::kl_divergence_op, {x, t}, r);
}
Tensor kl_standard_normal(At m, At v) {
  return loss_of("kl_standard_normal", ops::kl_standard_normal_op, {m, v}, Reduction::none);
}
Tensor kl_normal(At m, At v, At n, At w) {
  return loss_of("kl_normal", ops::kl_normal_op, {m, v, n, w}, Reduction::none);
}
Tensor cross_entropy(At x, At t, const ClassOptions& o) {
  return class_loss("cross_entropy", ops::cross_entropy_op, {x, t}, o);
}
Tensor cross_entropy(At x, At t, At w, const ClassOptions& o) {
  return class_loss("cross_entropy", ops::cross_entropy_op, {x, t, w}, o);
}
Tensor nll_loss(At x, At t, const ClassOptions& o) { return class_loss("nll_loss", ops::nll_op, {x, t}, o); }

}  // namespace gmc
