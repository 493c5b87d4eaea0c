// Softmax and its logarithm along one axis (attribute `axis`, from 0).
#include "compiler/graph/core_ops.h"
#include "ops/elementwise.h"
#include "runtime/base/error.h"

namespace gmc::ops {

using namespace graph;
using Vars = std::vector<Var>;
using Operands = std::span<const Var>;
using Args = const VjpArguments&;

namespace {

std::vector<TensorType> infer_along(std::span<const TensorType> t, const Attributes& a) {
  infer_same(t, a);
  const auto it = a.find("axis");
  if (it == a.end() || !std::holds_alternative<int64_t>(it->second)) fail("attribute 'axis' is missing");
  const auto axis = std::get<int64_t>(it->second), rank = static_cast<int64_t>(t[0].shape.size());
  if (axis < 0 || axis >= rank) fail("axis {} is out of range for {} dimensions", axis, rank);
  return {t[0]};
}

// The reduction over `axis`, spread over x's shape again.
Var spread(Var x, const char* monoid, int64_t axis) {
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < static_cast<int64_t>(x.shape().size()); ++d)
    if (d != axis) dims.push_back(d);
  return broadcast(reduce(x, monoid, {axis}), x.shape(), dims);
}

Var shifted(Var x, int64_t axis) { return x - stop_gradient(spread(x, "max", axis)); }

std::vector<Sample> samples_along() {
  return {{{{f32, {4, 7}}}, {{"axis", int64_t{1}}}},
          {{{f32, {4, 7}}}, {{"axis", int64_t{0}}}},
          {{{f32, {2, 3, 17}}}, {{"axis", int64_t{2}}}},
          {{{f32, {1}}}, {{"axis", int64_t{0}}}}};
}

std::vector<BadSample> bad_samples_along() {
  return {{{{f32, {4, 7}}}, {{"axis", int64_t{2}}}, "axis 2 is out of range for 2 dimensions"},
          {{{f32, {4, 7}}}, {}, "attribute 'axis' is missing"},
          {{{i32, {4}}}, {{"axis", int64_t{0}}}, "expected a floating dtype, got i32"}};
}

}  // namespace

// e^(x - max) / sum e^(x - max).
const OpDef softmax_op{.name = "softmax",
                       .category = Category::composite,
                       .arity = 1,
                       .infer = infer_along,
                       .vjp =
                           [](Args a) {
                             const Var gy = a.gradients[0] * a.results[0];
                             return Vars{gy - a.results[0] * spread(gy, "sum", a.node.integer("axis"))};
                           },
                       .expand =
                           [](Graph&, const Node& n, Operands x) {
                             const int64_t axis = n.integer("axis");
                             const Var e = exp(shifted(x[0], axis));
                             return Vars{e / spread(e, "sum", axis)};
                           },
                       .samples = samples_along,
                       .bad_samples = bad_samples_along};

// x - max - log sum e^(x - max).
const OpDef log_softmax_op{.name = "log_softmax",
                           .category = Category::composite,
                           .arity = 1,
                           .infer = infer_along,
                           .vjp =
                               [](Args a) {
                                 const Var g = a.gradients[0];
                                 return Vars{g - exp(a.results[0]) * spread(g, "sum", a.node.integer("axis"))};
                               },
                           .expand =
                               [](Graph&, const Node& n, Operands x) {
                                 const int64_t axis = n.integer("axis");
                                 const Var z = shifted(x[0], axis);
                                 return Vars{z - apply(log_op, {spread(exp(z), "sum", axis)})};
                               },
                           .samples = samples_along,
                           .bad_samples = bad_samples_along};

}  // namespace gmc::ops
