// Operators that carry a state from call to call: caches, causal convolutions, linear attention.
#include "tools/onnx/build.h"

#include "compiler/graph/core_loop.h"

#include <cmath>

namespace gmc::onnx {
namespace {

using graph::cast;
using graph::reshape;

// A cache with the rows of a sequence written behind those that each sample has.
std::vector<Value> tensor_scatter(Call& c) {
  const Shape cache = c[0].shape(), update = c[1].shape();
  const int64_t rank = c.rank(0), axis = c.axis_in(c.integer("axis", -2), rank);
  const auto d = static_cast<size_t>(axis);
  if (axis == 0) fail("axis 0 is that of the batch");
  Shape rest = update;
  if (update.size() == cache.size()) rest[d] = cache[d];
  if (rest != cache || update[d] > cache[d]) fail("an update {} of {}", to_string(update), to_string(cache));
  const std::string mode = c.text("mode", "linear");
  if (mode != "linear" && mode != "circular") fail("attribute 'mode' is neither linear nor circular");
  Var at = graph::index(c.graph(), axis, {DType::i64, update});
  if (c.has(2)) {
    if (c[2].shape() != Shape{cache[0]}) fail("places {} for {}", to_string(c[2].shape()), to_string(cache));
    at = at + graph::broadcast(cast(c[2], DType::i64), update, {0});
  }
  if (mode == "circular") at = apply_named("mod", {at, number_like(at, static_cast<double>(cache[d]))});
  std::vector<int64_t> dims;
  for (int64_t i = 0; i < rank; ++i) dims.push_back(i == axis ? -1 : i);
  return one(graph::scatter(c[0], c[1], {at}, {axis}, dims, "set"));
}

// A filter per channel over this place and those before it; what lies before the first comes from the last call.
std::vector<Value> causal_convolution(Call& c) {
  const Shape xs = c[0].shape(), ws = c[1].shape();
  if (xs.size() != 3 || ws.size() != 3 || ws[0] != xs[1] || ws[1] != 1 || ws[2] < 1)
    fail("weights {} for {}", to_string(ws), to_string(xs));
  const std::string activation = c.text("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    fail("attribute 'activation': there is no '{}'", plain_name(activation));
  const DType dtype = c[0].type().dtype, wide = dtype == DType::f64 ? dtype : DType::f32;
  const int64_t before = ws[2] - 1;
  if (c.has(3) && c[3].shape() != Shape{xs[0], xs[1], before})
    fail("a state {} for {} and weights {}", to_string(c[3].shape()), to_string(xs), to_string(ws));
  const Var all = c.has(3) ? concat({c[3], c[0]}, 2) : graph::pad(c[0], {0, 0, before}, {0, 0, 0});
  const Var windows = graph::windows(cast(all, wide), {2}, {ws[2]}, {1}, {0}, {0}, {1});
  Var y = graph::sum(windows * cast(c[1], wide), {3});
  if (c.has(2)) {
    if (c[2].shape() != Shape{xs[1]}) fail("a bias {} for {}", to_string(c[2].shape()), to_string(xs));
    y = y + cast(along(c[2], 0, 2), wide);
  }
  y = cast(y, dtype);
  if (activation != "none") y = apply_named("silu", {y});
  return {{y, nullptr}, {graph::slice(all, 2, xs[2], xs[2] + before), nullptr}};
}

// [b, t, heads * d] -> [t, b, heads, d] in f32 or f64
Var by_step(Var x, int64_t heads, DType dtype) {
  const Shape s = x.shape();
  return cast(graph::transpose(reshape(x, {s[0], s[1], heads, s[2] / heads}), {1, 0, 2, 3}), dtype);
}

struct Rule {
  bool gated = false, delta = false;
};
Rule rule_of(Call& c) {
  const std::string name = c.text("update_rule", "gated_delta");
  if (name != "linear" && name != "gated" && name != "delta" && name != "gated_delta")
    fail("attribute 'update_rule': there is no '{}'", plain_name(name));
  const Rule rule{name.starts_with("gated"), name.ends_with("delta")};
  if (c.has(4) != rule.gated) fail("rule '{}' {} a decay", name, rule.gated ? "needs" : "does not take");
  if (c.has(5) != rule.delta) fail("rule '{}' {} a rate", name, rule.delta ? "needs" : "does not take");
  return rule;
}

// One step of the recurrence: S becomes exp(g) S + k (x) v', where v' is v, or beta (v - S^T k) of the decayed S; what
// is read is q^T S. Slices: q [b, h, d], k [b, g, d], v [b, g, e], decay [b, g, d or 1], beta [b, g or 1, 1].
graph::Region step_of(Rule rule, const std::vector<graph::TensorType>& types, double scale) {
  graph::Graph g("step");
  graph::argument(g, "i", {DType::i64, {}});
  std::vector<Var> x;
  for (const graph::TensorType& type : types) x.push_back(graph::argument(g, "x", type));
  Var state = x[0];  // [b, g, d, e]
  const Var q = x[1], k = unsqueezed(x[2], 3);
  Var v = unsqueezed(x[3], 2);
  const Shape qs = q.shape(), ss = state.shape();
  if (rule.gated) state = state * unsqueezed(apply_named("exp", {x[4]}), 3);
  if (rule.delta) v = unsqueezed(x[rule.gated ? 5 : 4], 3) * (v - graph::matmul(k, state, true));
  state = state + k * v;
  const Var read = graph::matmul(reshape(q, {ss[0], ss[1], qs[1] / ss[1], qs[2]}), state) * scale;
  g.add_output({"state", state.value, false});
  g.add_output({"read", reshape(read, {ss[0], qs[1], ss[3]}).value, false});
  return std::make_shared<const graph::Graph>(std::move(g));
}

std::vector<Value> linear_attention(Call& c) {
  const int64_t heads = c.integer("q_num_heads"), groups = c.integer("kv_num_heads");
  if (heads < 1 || groups < 1 || heads % groups != 0) fail("{} heads of keys for {} of queries", groups, heads);
  const Rule rule = rule_of(c);
  const DType dtype = c[0].type().dtype, wide = dtype == DType::f64 ? dtype : DType::f32;
  const Shape qs = c[0].shape();
  const auto check = [&](size_t i, bool fits) {
    if (!fits) fail("input {} is {} for queries {}", i, to_string(c[i].shape()), to_string(qs));
  };
  check(0, qs.size() == 3 && qs[2] % heads == 0);
  const int64_t d = qs[2] / heads;
  const auto last = [&](size_t i) {
    check(i, c.rank(i) == 3 && c[i].shape()[0] == qs[0] && c[i].shape()[1] == qs[1]);
    return c[i].shape()[2];
  };
  check(1, last(1) == groups * d);
  check(2, last(2) % groups == 0);
  std::vector<Var> inputs{by_step(c[0], heads, wide), by_step(c[1], groups, wide), by_step(c[2], groups, wide)};
  if (rule.gated) {
    check(4, last(4) == groups || last(4) == groups * d);
    inputs.push_back(by_step(c[4], groups, wide));
  }
  if (rule.delta) {
    check(5, last(5) == groups || last(5) == 1);
    inputs.push_back(by_step(c[5], last(5), wide));
  }
  const Shape state{qs[0], groups, d, c[2].shape()[2] / groups};
  if (c.has(3)) check(3, c[3].shape() == state);
  const Var first = c.has(3) ? cast(c[3], wide) : graph::constant(c.graph(), 0, {wide, state});
  const double given = c.number("scale", 0), scale = given == 0 ? 1 / std::sqrt(static_cast<double>(d)) : given;
  std::vector<graph::TensorType> types{first.type()};
  for (const Var& x : inputs) types.push_back(x.type());
  const auto results = graph::scan(c.graph(), step_of(rule, graph::slice_types(types, 1, inputs.size()), scale), qs[1],
                                   {first}, inputs, {});
  // [t, b, h, e] -> [b, t, h * e]
  const Var y = reshape(graph::transpose(results[1], {1, 0, 2, 3}), {qs[0], qs[1], heads * state[3]});
  return {{cast(y, dtype), nullptr}, {cast(results[0], c.has(3) ? c[3].type().dtype : dtype), nullptr}};
}

constexpr Row rows[] = {
    {"CausalConvWithState", causal_convolution},
    {"LinearAttention", linear_attention},
    {"TensorScatter", tensor_scatter},
};

}  // namespace

std::span<const Row> state_rows() { return rows; }

}  // namespace gmc::onnx
