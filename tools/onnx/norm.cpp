// Normalisations and losses.
#include "tools/onnx/build.h"

#include <algorithm>
#include <numeric>

namespace gmc::onnx {
namespace {

using graph::reshape;
using List = std::vector<int64_t>;

List axes_from(int64_t first, int64_t rank) {
  List axes(static_cast<size_t>(std::max<int64_t>(rank - first, 0)));
  std::iota(axes.begin(), axes.end(), first);
  return axes;
}

Var mean_kept(Var x, const List& axes) {
  int64_t count = 1;
  for (const int64_t a : axes) count *= x.shape()[static_cast<size_t>(a)];
  return reduce_kept(x, "sum", axes) / static_cast<double>(count);
}

struct Standard {
  Var mean, variance, centred;
};
// Population statistics over `axes`.
Standard statistics(Var x, const List& axes) {
  const Var mean = mean_kept(x, axes), centred = x - mean;
  return {mean, mean_kept(centred * centred, axes), centred};
}

Var inverse_root(Var variance, double epsilon) {
  return number_like(variance, 1) / apply_named("sqrt", {variance + epsilon});
}

Var per_channel(Var v, Var like) {
  if (like.shape().size() == 1 && v.shape() == Shape{1}) return v;  // [N]: one channel
  if (v.shape().size() != 1 || like.shape().size() < 2 || v.shape()[0] != like.shape()[1])
    fail("{} for the channels of {}", to_string(v.shape()), to_string(like.shape()));
  return along(v, 1, std::ssize(like.shape()));
}

std::vector<Value> batch_norm(Call& c) {
  const Var x = c[0];
  const double epsilon = c.number("epsilon", 1e-5f), momentum = c.number("momentum", 0.9f);
  if (c.version < 9 && c.integer("spatial", 1) == 0) unsupported("statistics per element");
  const bool given_outputs =
      std::count_if(c.node.outputs.begin(), c.node.outputs.end(), [](const std::string& o) { return !o.empty(); }) > 1;
  const bool training = c.version >= 14 ? c.integer("training_mode", 0) != 0 : given_outputs;
  if (training && c.version < 14) unsupported("training before version 14");
  // Statistics may be of another dtype than x.
  const DType dtype = x.type().dtype;
  const auto channel = [&](size_t i) { return per_channel(graph::cast(c[i], dtype), x); };
  const Var scale = channel(1), bias = channel(2);
  if (!training) return one((x - channel(3)) * inverse_root(channel(4), epsilon) * scale + bias);
  List axes = axes_from(2, c.rank(0));
  axes.insert(axes.begin(), 0);
  const Standard s = statistics(x, axes);
  const auto running = [&](size_t i, Var now) {
    const Var flat = graph::cast(reshape(now, c[i].shape()), c[i].type().dtype);
    return c[i] * momentum + flat * (1 - momentum);
  };
  return {{s.centred * inverse_root(s.variance, epsilon) * scale + bias, nullptr},
          {running(3, s.mean), nullptr},
          {running(4, s.variance), nullptr}};
}

std::vector<Value> instance_norm(Call& c) {
  const Standard s = statistics(c[0], axes_from(2, c.rank(0)));
  return one(s.centred * inverse_root(s.variance, c.number("epsilon", 1e-5f)) * per_channel(c[1], c[0]) +
             per_channel(c[2], c[0]));
}

std::vector<Value> group_norm(Call& c) {
  const Shape shape = c[0].shape();
  const int64_t groups = c.integer("num_groups");
  if (shape.size() < 2 || groups < 1 || shape[1] % groups != 0) fail("{} groups of {}", groups, to_string(shape));
  Shape apart = shape;
  apart[1] /= groups;
  apart.insert(apart.begin() + 1, groups);
  const Var x = reshape(c[0], apart);
  const DType dtype = x.type().dtype;
  const Standard s = statistics(c.integer("stash_type", 1) == 1 && dtype != DType::f64 ? graph::cast(x, DType::f32) : x,
                                axes_from(2, std::ssize(apart)));
  const Var normal = graph::cast(s.centred * inverse_root(s.variance, c.number("epsilon", 1e-5f)), dtype);
  if (c.version >= 21) return one(reshape(normal, shape) * per_channel(c[1], c[0]) + per_channel(c[2], c[0]));
  return one(reshape(normal * per_channel(c[1], x) + per_channel(c[2], x), shape));
}

std::vector<Value> layer_norm(Call& c) {
  const List axes = axes_from(c.axis_in(c.integer("axis", -1), c.rank(0)), c.rank(0));
  const DType dtype = c[0].type().dtype;
  const Var x = c.integer("stash_type", 1) == 1 ? graph::cast(c[0], DType::f32) : c[0];
  const Standard s = statistics(x, axes);
  const Var scale = inverse_root(s.variance, c.number("epsilon", 1e-5f));
  Var out = graph::cast(s.centred * scale, dtype) * c[1];
  if (c.has(2)) out = out + c[2];
  return {{out, nullptr}, {s.mean, nullptr}, {scale, nullptr}};
}

std::vector<Value> rms_norm(Call& c) {
  const List axes = axes_from(c.axis_in(c.integer("axis", -1), c.rank(0)), c.rank(0));
  const DType dtype = c[0].type().dtype;
  const Var x = c.integer("stash_type", 1) == 1 ? graph::cast(c[0], DType::f32) : c[0];
  const Var scale = inverse_root(mean_kept(x * x, axes), c.number("epsilon", 1e-5f));
  return one(graph::cast(x * scale, dtype) * c[1]);
}

std::vector<Value> mean_variance(Call& c) {
  const List axes = c.axes_in(c.integers("axes", {0, 2, 3}), c.rank(0));
  const Standard s = statistics(c[0], axes);
  return one(s.centred / (apply_named("sqrt", {s.variance}) + 1e-9));
}

// x / (bias + alpha / size * sum of the squares of the channels around)^beta
std::vector<Value> local_response(Call& c) {
  const Var x = c[0];
  const int64_t size = c.integer("size");
  if (size < 1 || size > 100000 || c.rank(0) < 2) fail("{} channels of {}", size, to_string(x.shape()));
  const Var all = graph::windows(x * x, {1}, {size}, {1}, {(size - 1) / 2}, {size / 2}, {1}, 0);
  const Var sum = graph::reduce(all, "sum", {c.rank(0)});
  const Var base = sum * (c.number("alpha", 1e-4f) / static_cast<double>(size)) + c.number("bias", 1);
  return one(x / apply_named("pow", {base, number_like(x, c.number("beta", 0.75))}));
}

// ---- losses --------------------------------------------------------------------------------------------------------

// -weight[t] * x[.., t, ..] for targets t along axis 1; those that are ignored count nothing.
Var negative_log_likelihood(Call& c, Var x, Var target, Var weight) {
  const Shape shape = x.shape();
  if (shape.size() < 2 || target.shape().size() + 1 != shape.size())
    fail("targets {} for {}", to_string(target.shape()), to_string(shape));
  if (target.type().dtype != DType::i32 && target.type().dtype != DType::i64)
    unsupported("targets of {}", name_of(target.type().dtype));
  List dims(shape.size());
  std::iota(dims.begin(), dims.end(), 0);
  dims[1] = -1;
  Shape grid = shape;
  grid[1] = 1;
  const Var at = reshape(target, grid);
  Var loss = -reshape(graph::gather(x, {at}, {1}, dims), target.shape());
  Var counted;  // the weight of each element
  if (weight.valid()) counted = graph::gather(weight, {target}, {0}, {-1});
  if (c.find("ignore_index")) {
    const Var ignored = graph::equal(target, number_like(target, static_cast<double>(c.integer("ignore_index"))));
    const Var zero = number_like(loss, 0), unit = number_like(loss, 1);
    counted = counted.valid() ? graph::select(ignored, zero, counted)
                              : graph::select(graph::broadcast_to(ignored, loss.shape()), zero, unit);
    loss = graph::select(ignored, zero, loss);
  }
  if (counted.valid()) loss = loss * counted;
  const std::string reduction = c.text("reduction", "mean");
  if (reduction == "none") return loss;
  if (reduction == "sum") return graph::sum(loss);
  if (reduction != "mean") fail("attribute 'reduction': there is no '{}'", plain_name(reduction));
  if (counted.valid()) return graph::sum(loss) / graph::sum(counted);
  return graph::sum(loss) / static_cast<double>(element_count(loss.shape()));
}

std::vector<Value> nll_loss(Call& c) { return one(negative_log_likelihood(c, c[0], c[1], c.has(2) ? c[2] : Var{})); }

std::vector<Value> softmax_loss(Call& c) {
  if (c.rank(0) < 2) fail("scores {}", to_string(c[0].shape()));
  const Var scores = log_softmax(c[0], 1);
  return {{negative_log_likelihood(c, scores, c[1], c.has(2) ? c[2] : Var{}), nullptr}, {scores, nullptr}};
}

constexpr Row rows[] = {
    {"BatchNormalization", batch_norm},        {"GroupNormalization", group_norm},
    {"InstanceNormalization", instance_norm},  {"LRN", local_response},
    {"LayerNormalization", layer_norm},        {"MeanVarianceNormalization", mean_variance},
    {"NegativeLogLikelihoodLoss", nll_loss},   {"RMSNormalization", rms_norm},
    {"SoftmaxCrossEntropyLoss", softmax_loss},
};

}  // namespace

std::span<const Row> norm_rows() { return rows; }

}  // namespace gmc::onnx
