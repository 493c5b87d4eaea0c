// Shorthand for tests of fusion.
#pragma once

#include "compiler/fusion/policy.h"
#include "compiler/graph/core_ops.h"
#include "ops/elementwise.h"
#include "runtime/base/error.h"

#include <map>
#include <random>
#include <set>

namespace gmc::tests {

// The plan of a policy that merges pairs as they fall. `seen`, if given, counts what was tried: merges, and refusals by
// their rule.
inline fusion::Plan random_plan(const fusion::View& view, uint64_t seed, std::map<std::string, int>* seen = nullptr) {
  std::mt19937_64 random(seed);
  fusion::PlanBuilder builder(view);
  const size_t ops = view.ops().size();
  for (size_t tries = 20 + random() % (40 + ops * ops); tries > 0; --tries) {
    const std::vector<int> all = builder.kernels();
    if (all.size() < 2) break;
    const int a = all[random() % all.size()], b = all[random() % all.size()];
    if (a == b) continue;
    const bool horizontal = random() % 4 == 0;
    const auto verdict = builder.try_merge(a, b, horizontal);
    const auto* merge = std::get_if<fusion::Merge>(&verdict);
    if (seen)
      ++(*seen)[merge ? horizontal ? "side by side" : "in one region" : std::get<fusion::Refusal>(verdict).rule];
    if (merge) builder.merge(*merge, "as it fell");
  }
  return builder.finish("random");
}

// What `call` throws, or nothing.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

inline graph::Var data(graph::Graph& g, const std::string& name, const Shape& shape) {
  return graph::input(g, name, "data", {DType::f32, shape});
}
inline graph::Var tanh(graph::Var x) { return graph::apply(ops::tanh_op, {x}); }
inline void output(graph::Var v, const std::string& name = "y") { v.graph->add_output({name, v.value, false}); }

// Rows of a value as a column: [r, c] -> [r, 1].
inline graph::Var row_reduce(graph::Var x, const std::string& monoid = "sum") {
  const auto last = static_cast<int64_t>(x.shape().size()) - 1;
  Shape shape = x.shape();
  shape.back() = 1;
  return graph::reshape(graph::reduce(x, monoid, {last}), shape);
}
inline graph::Var softmax(graph::Var x) {
  const graph::Var e = ops::exp(x - row_reduce(x, "max"));
  return e / row_reduce(e);
}
inline graph::Var layer_norm(graph::Var x, graph::Var scale, graph::Var shift) {
  const auto n = static_cast<double>(x.shape().back());
  const graph::Var d = x - row_reduce(x) / n;
  return d * graph::apply(ops::rsqrt_op, {row_reduce(d * d) / n + 1e-5}) * scale + shift;
}

}  // namespace gmc::tests
