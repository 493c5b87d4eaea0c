#include "ops/layers.h"

#include "ops/call.h"
#include "ops/convolution.h"
#include "ops/elementwise.h"
#include "ops/op_list.h"

#include <cmath>

namespace gmc {

using graph::Attributes;
using graph::OpDef;
using graph::Var;
using ops::Call;
using ops::call_op;
using ops::rank_of;
using List = std::vector<int64_t>;

namespace {

// One number stands for all.
List per_dimension(const Call& call, const List& given, size_t spatial, const char* what) {
  if (given.size() == 1) return List(spatial, given[0]);
  if (given.size() != spatial)
    call.fail(fmt::format("expected {} numbers of {}, got {}", spatial, what, to_string(given)));
  return given;
}

size_t spatial_of(const Call& call) {
  const int64_t rank = rank_of(call[0]);
  if (rank < 3) call.fail(fmt::format("expected [n, channels, spatial..], got {}", to_string(call[0].shape())));
  return static_cast<size_t>(rank - 2);
}

Attributes sliding(const Call& call, const ConvOptions& o, const List& kernel) {
  const size_t spatial = spatial_of(call);
  const Shape x = call[0].shape();
  const List step = per_dimension(call, o.step.empty() ? kernel : o.step, spatial, "step"),
             dilation = per_dimension(call, o.dilation, spatial, "dilation");
  List low = per_dimension(call, o.padding, spatial, "padding");
  List high = o.padding_after.empty() ? low : per_dimension(call, o.padding_after, spatial, "padding");
  for (size_t j = 0; o.same && j < spatial; ++j) {
    if (step[j] < 1) call.fail(fmt::format("the step is {}", step[j]));
    const int64_t places = (x[2 + j] + step[j] - 1) / step[j];
    const int64_t all = std::max<int64_t>(0, (places - 1) * step[j] + (kernel[j] - 1) * dilation[j] + 1 - x[2 + j]);
    low[j] = all / 2;
    high[j] = all - all / 2;
  }
  return {{"step", step}, {"low", low}, {"high", high}, {"dilation", dilation}};
}

List kernel_of(const Call& call) {
  const Shape w = call[1].shape();
  if (w.size() != call[0].shape().size())
    call.fail(fmt::format("expected {} dimensions of the weight, got {}", call[0].shape().size(), to_string(w)));
  return {w.begin() + 2, w.end()};
}

Var plus_bias(const Call& call, Var y) {
  if (call.all().size() < 3) return y;
  const Var bias = call[2];
  if (bias.shape() != Shape{y.shape()[1]})
    call.fail(fmt::format("expected a bias of shape [{}], got {}", y.shape()[1], to_string(bias.shape())));
  return y + graph::broadcast(bias, y.shape(), {1});
}

Tensor convolved(const std::vector<At>& operands, const ConvOptions& o) {
  const Call call("conv", operands);
  spatial_of(call);
  const Attributes a = sliding(call, o, kernel_of(call));
  const auto list = [&](const char* key) { return graph::get<List>(a, key); };
  // Checked by the op that is applied, which knows where.
  const ops::Sliding s{list("step"), list("low"), list("high"), list("dilation")};
  return call.result(plus_bias(call, ops::convolve_image(call[0], call[1], s, o.groups)));
}

Tensor convolved_back(const std::vector<At>& operands, const ConvOptions& o, const List& extra) {
  const Call call("conv_transpose", operands);
  const size_t spatial = spatial_of(call);
  if (o.same) call.fail("the option same is of conv");
  Attributes a = sliding(call, o, kernel_of(call));
  a["groups"] = o.groups;
  a["extra"] = per_dimension(call, extra, spatial, "extra elements");
  return call.result(plus_bias(call, graph::apply(ops::transposed_convolution_op, {call[0], call[1]}, std::move(a))));
}

Tensor pooled(const OpDef& op, At x, const List& kernel, const ConvOptions& o, Attributes more = {}) {
  const Call call(op.name, {x});
  const List size = per_dimension(call, kernel, spatial_of(call), "kernel");
  Attributes a = sliding(call, o, size);
  a["kernel"] = size;
  a.merge(more);
  return call.result(graph::apply(op, {call[0]}, std::move(a)));
}

Tensor pooled_to(const OpDef& op, At x, const List& size) {
  const Call call(op.name, {x});
  return call.result(graph::apply(op, {call[0]}, {{"size", per_dimension(call, size, spatial_of(call), "size")}}));
}

Axes spatial_axes(const char* name, const At& x) {
  Axes axes;
  for (int64_t d = 2; d < x.rank(); ++d) axes.push_back(d);
  if (axes.empty())
    Call(name, {x}).fail(fmt::format("expected [n, channels, spatial..], got {}", to_string(x.shape())));
  return axes;
}

}  // namespace

Tensor conv(At x, At weight, const ConvOptions& o) { return convolved({x, weight}, o); }
Tensor conv(At x, At weight, At bias, const ConvOptions& o) { return convolved({x, weight, bias}, o); }
Tensor conv_transpose(At x, At weight, const ConvOptions& o, const List& extra) {
  return convolved_back({x, weight}, o, extra);
}
Tensor conv_transpose(At x, At weight, At bias, const ConvOptions& o, const List& extra) {
  return convolved_back({x, weight, bias}, o, extra);
}

Tensor causal_conv(At x, At weight, int64_t dilation) {
  return convolved({x, weight},
                   {.padding = {(weight.dim(-1) - 1) * dilation}, .dilation = {dilation}, .padding_after = {0}});
}

Tensor causal_mask(At weight, bool strict) {
  const Call call("causal_mask", {weight});
  spatial_of(call);
  const Shape w = call[0].shape(), kernel(w.begin() + 2, w.end());
  const int64_t count = element_count(kernel);
  std::vector<double> mask;
  for (int64_t i = 0; i < count; ++i) mask.push_back(i < count / 2 || (i == count / 2 && !strict) ? 1 : 0);
  const Var table = graph::literal(*call[0].graph, mask, {call[0].type().dtype, kernel});
  return call.result(call[0] * graph::broadcast_to(table, w));
}

Tensor unfold(At x, const List& kernel, const ConvOptions& o) {
  ConvOptions options = o;
  if (options.step.empty()) options.step = {1};
  return pooled(ops::unfold_op, x, kernel, options);
}

Tensor fold(At columns, const List& extents, const List& kernel, const ConvOptions& o) {
  const Call call("fold", {columns});
  if (o.same) call.fail("'same' says nothing of what columns are of: give the padding");
  const size_t spatial = extents.size();
  const List low = per_dimension(call, o.padding, spatial, "padding");
  return call.result(
      graph::apply(ops::fold_op, {call[0]},
                   {{"extents", extents},
                    {"kernel", per_dimension(call, kernel, spatial, "kernel")},
                    {"step", per_dimension(call, o.step, spatial, "step")},
                    {"low", low},
                    {"high", o.padding_after.empty() ? low : per_dimension(call, o.padding_after, spatial, "padding")},
                    {"dilation", per_dimension(call, o.dilation, spatial, "dilation")}}));
}

Tensor max_pool(At x, const List& kernel, const ConvOptions& o) { return pooled(ops::max_pool_op, x, kernel, o); }
Tensor average_pool(At x, const List& kernel, const ConvOptions& o, bool count_padding) {
  return pooled(ops::average_pool_op, x, kernel, o, {{"count_padding", count_padding}});
}
Tensor adaptive_max_pool(At x, const List& size) { return pooled_to(ops::adaptive_max_pool_op, x, size); }
Tensor adaptive_average_pool(At x, const List& size) { return pooled_to(ops::adaptive_average_pool_op, x, size); }
Tensor global_max_pool(At x) { return max(x, spatial_axes("global_max_pool", x)); }
Tensor global_average_pool(At x) { return mean(x, spatial_axes("global_average_pool", x)); }

namespace {

// As many last dimensions as the parameters have.
Tensor normed_last(const OpDef& op, const std::vector<At>& operands, double epsilon) {
  const Call call(op.name, operands);
  const int64_t dimensions = operands.size() > 1 ? rank_of(call[1]) : 1;
  return call.result(graph::apply(op, call.all(), {{"dimensions", dimensions}, {"epsilon", epsilon}}));
}

Tensor normed_groups(const char* name, const std::vector<At>& operands, int64_t groups, double epsilon) {
  const Call call(name, operands);
  if (rank_of(call[0]) < 2) call.fail(fmt::format("expected [n, channels, ..], got {}", to_string(call[0].shape())));
  const int64_t count = groups < 0 ? call[0].shape()[1] : groups;  // negative: one a channel
  return call.result(graph::apply(ops::group_norm_op, call.all(), {{"groups", count}, {"epsilon", epsilon}}));
}

}  // namespace

Tensor layer_norm(At x, double epsilon) { return normed_last(ops::layer_norm_op, {x}, epsilon); }
Tensor layer_norm(At x, At weight, At bias, double epsilon) {
  return normed_last(ops::layer_norm_op, {x, weight, bias}, epsilon);
}
Tensor rms_norm(At x, double epsilon) { return normed_last(ops::rms_norm_op, {x}, epsilon); }
Tensor rms_norm(At x, At weight, double epsilon) { return normed_last(ops::rms_norm_op, {x, weight}, epsilon); }
Tensor group_norm(At x, int64_t groups, double epsilon) {
  return normed_groups("group_norm", {x}, std::max<int64_t>(0, groups), epsilon);
}
Tensor group_norm(At x, int64_t groups, At weight, At bias, double epsilon) {
  return normed_groups("group_norm", {x, weight, bias}, std::max<int64_t>(0, groups), epsilon);
}
Tensor instance_norm(At x, double epsilon) { return normed_groups("instance_norm", {x}, -1, epsilon); }
Tensor instance_norm(At x, At weight, At bias, double epsilon) {
  return normed_groups("instance_norm", {x, weight, bias}, -1, epsilon);
}

BatchNormResult batch_norm_training(At x, At weight, At bias, At running_mean, At running_variance, double momentum,
                                    double epsilon) {
  const Call call("batch_norm_training", {x, weight, bias, running_mean, running_variance});
  const Var y = graph::apply(ops::batch_norm_training_op, call.all(), {{"epsilon", epsilon}, {"momentum", momentum}});
  return {call.result(y), call.result({y.graph, {y.value.node, 1}}), call.result({y.graph, {y.value.node, 2}})};
}

Tensor batch_norm_inference(At x, At weight, At bias, At mean, At variance, double epsilon) {
  return call_op(ops::batch_norm_inference_op, {x, weight, bias, mean, variance}, {{"epsilon", epsilon}});
}

Tensor weight_norm(At v, At g, int64_t axis) {
  const Call call("weight_norm", {v, g});
  return call.result(
      graph::apply(ops::weight_norm_op, call.all(), {{"axis", ops::axis_of(call, axis, rank_of(call[0]))}}));
}

std::pair<Tensor, Tensor> spectral_norm(At weight, At u, int64_t steps, double epsilon) {
  const Call call("spectral_norm", {weight, u});
  const Shape shape = call[0].shape();
  if (shape.size() < 2 || call[1].shape() != Shape{shape[0]})
    call.fail(fmt::format("expected a weight [out, ..] and u [out], got {} and {}", to_string(shape),
                          to_string(call[1].shape())));
  const int64_t out = shape[0], in = out == 0 ? 0 : element_count(shape) / out;
  const Var w = graph::reshape(call[0], {out, in});
  const auto unit = [&](Var x) {
    const Var norm = ops::sqrt(graph::sum(x * x));
    return x / ops::max(norm, graph::constant(*x.graph, epsilon, {x.type().dtype, {}}));
  };
  Var left = graph::reshape(graph::stop_gradient(call[1]), {1, out}), right;
  for (int64_t i = 0; i < std::max<int64_t>(1, steps); ++i) {
    const Var fixed = graph::stop_gradient(w);
    right = graph::stop_gradient(unit(graph::matmul(left, fixed)));               // [1, in]
    left = graph::stop_gradient(unit(graph::matmul(right, fixed, false, true)));  // [1, out]
  }
  const Var sigma = graph::sum(graph::matmul(left, w) * right);
  return {call.result(call[0] / sigma), call.result(graph::reshape(left, {out}))};
}

Tensor local_response_norm(At x, int64_t size, double alpha, double beta, double k) {
  return ops::unary(ops::local_response_norm_op, x, {{"size", size}, {"alpha", alpha}, {"beta", beta}, {"k", k}});
}

namespace {

Tensor attended(const std::vector<At>& operands, const AttentionOptions& o) {
  const Call call("attention", operands);
  if (rank_of(call[0]) != 4)
    call.fail(fmt::format("expected queries [b, heads, places, d], got {}", to_string(call[0].shape())));
  const double scale =
      o.scale != 0 ? o.scale : 1 / std::sqrt(static_cast<double>(std::max<int64_t>(1, call[0].shape()[3])));
  return call.result(graph::apply(ops::attention_op, call.all(), {{"causal", o.causal}, {"scale", scale}}));
}

}  // namespace

Tensor attention(At q, At k, At v, const AttentionOptions& o) { return attended({q, k, v}, o); }
Tensor attention(At q, At k, At v, At mask, const AttentionOptions& o) { return attended({q, k, v, mask}, o); }

Tensor rotary(At x, double base, int64_t first, bool interleaved) {
  const Call call("rotary", {x});
  const Shape shape = call[0].shape();
  if (shape.size() < 2 || shape.back() % 2 != 0)
    call.fail(fmt::format("expected [.., t, an even number], got {}", to_string(shape)));
  const int64_t t = shape[shape.size() - 2], half = shape.back() / 2;
  std::vector<double> cosines, sines;
  for (int64_t i = 0; i < t; ++i)
    for (int64_t j = 0; j < half; ++j) {
      const double angle =
          static_cast<double>(first + i) * std::pow(base, -static_cast<double>(j) / static_cast<double>(half));
      cosines.push_back(std::cos(angle));
      sines.push_back(std::sin(angle));
    }
  const graph::TensorType type{call[0].type().dtype, {t, half}};
  return call.result(graph::apply(
      ops::rotary_op,
      {call[0], graph::literal(*call[0].graph, cosines, type), graph::literal(*call[0].graph, sines, type)},
      {{"interleaved", interleaved}}));
}

Tensor rotary(At x, At cosines, At sines, bool interleaved) {
  return call_op(ops::rotary_op, {x, cosines, sines}, {{"interleaved", interleaved}});
}

Tensor rnn_cell(At x, At h, At w_ih, At w_hh, At b_ih, At b_hh, bool relu) {
  return call_op(ops::rnn_cell_op, {x, h, w_ih, w_hh, b_ih, b_hh}, {{"relu", relu}});
}
Tensor gru_cell(At x, At h, At w_ih, At w_hh, At b_ih, At b_hh) {
  return call_op(ops::gru_cell_op, {x, h, w_ih, w_hh, b_ih, b_hh});
}
std::pair<Tensor, Tensor> lstm_cell(At x, At h, At c, At w_ih, At w_hh, At b_ih, At b_hh) {
  const Call call("lstm_cell", {x, h, c, w_ih, w_hh, b_ih, b_hh});
  const Var next = graph::apply(ops::lstm_cell_op, call.all());
  return {call.result(next), call.result({next.graph, {next.value.node, 1}})};
}

}  // namespace gmc
