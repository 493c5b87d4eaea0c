// Values whose gradient is not that of how they were computed.
#include "ops/call.h"
#include "ops/layers.h"
#include "ops/rules.h"

#include <map>

namespace gmc::ops {
namespace {

// `values` with `seed` replaced by `by`: copies of all nodes between them.
Vars with_seed(Graph& g, const Vars& values, Value seed, Var by) {
  std::vector<bool> wanted(g.nodes().size(), false), depends(g.nodes().size(), false);
  for (const Var& v : values) wanted[static_cast<size_t>(v.value.node)] = true;
  for (size_t i = wanted.size(); i-- > 0;)
    if (wanted[i])
      for (Value v : g.nodes()[i].inputs) wanted[static_cast<size_t>(v.node)] = true;
  std::map<Value, Value> copies{{seed, by.value}};
  const size_t count = wanted.size();
  for (size_t i = static_cast<size_t>(seed.node) + 1; i < count; ++i) {
    if (!wanted[i]) continue;
    const Node node = g.nodes()[i];
    std::vector<Value> inputs = node.inputs;
    for (Value& v : inputs)
      if (auto it = copies.find(v); it != copies.end()) v = it->second, depends[i] = true;
    if (!depends[i]) continue;
    const Value copy = g.add(*node.op, inputs, node.attributes, node.regions);
    for (int32_t r = 0; r < static_cast<int32_t>(node.types.size()); ++r)
      copies[{static_cast<int32_t>(i), r}] = {copy.node, r};
  }
  Vars out;
  for (const Var& v : values) {
    const auto it = copies.find(v.value);
    out.push_back({&g, it == copies.end() ? v.value : it->second});
  }
  return out;
}

}  // namespace

// The first operand; the gradient goes to the second, of the same type.
const OpDef straight_through_op{.name = "straight_through",
                                .category = Category::composite,
                                .arity = 2,
                                .infer = infer_same,
                                .dtypes = any_dtype,
                                .vjp = [](Args a) { return Vars{Var{}, a.gradients[0]}; },
                                .expand = [](Graph&, const Node&, Operands x) { return Vars{x[0]}; },
                                .samples =
                                    [] {
                                      // Integers: by definition the gradient is not the derivative.
                                      return std::vector<Sample>{{{{i32, {4, 7}}, {i32, {4, 7}}}},
                                                                 {{{i32, {}}, {i32, {}}}},
                                                                 {{{i32, {0, 3}}, {i32, {0, 3}}}}};
                                    },
                                .bad_samples = binary_bad_samples};

// y of x1.. with the gradients d1.., written as a function of `seed`, which stands for the gradient of y. Operands: y,
// x1.., seed (of y's type), d1.. (of the types of x1..).
const OpDef custom_gradient_op{
    .name = "custom_gradient",
    .category = Category::composite,
    .arity = -1,
    .infer = [](Types t, const Attributes&) -> Results {
      if (t.size() < 2 || t.size() % 2 != 0) fail("expected y, x.., seed, gradients.., got {} operands", t.size());
      const size_t count = t.size() / 2 - 1;
      if (!(t[count + 1] == t[0])) fail("the seed is {}, y is {}", to_string(t[count + 1]), to_string(t[0]));
      for (size_t i = 1; i <= count; ++i)
        if (!(t[count + 1 + i] == t[i])) fail("the gradient of {} is {}", to_string(t[i]), to_string(t[count + 1 + i]));
      return {t[0]};
    },
    .dtypes = any_dtype,
    .vjp =
        [](Args a) {
          const size_t count = a.inputs.size() / 2 - 1;
          const Vars pieces(a.inputs.begin() + static_cast<ptrdiff_t>(count) + 2, a.inputs.end());
          const Vars gradients = with_seed(a.graph, pieces, a.inputs[count + 1].value, a.gradients[0]);
          Vars out(a.inputs.size());
          for (size_t i = 0; i < count; ++i)
            if (is_float(a.inputs[i + 1].type().dtype)) out[i + 1] = gradients[i];
          return out;
        },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{x[0]}; },
    .samples =
        [] {
          const TensorType y{i32, {4}}, x{i32, {2, 3}};
          return std::vector<Sample>{{{y, x, y, x}}, {{y, y}}, {{y, x, y, y, x, y}}};
        },
    .bad_samples =
        [] {
          const TensorType y{f32, {4}}, x{f32, {2, 3}};
          return std::vector<BadSample>{{{y, x, x, x}, {}, "the seed is f32[2,3], y is f32[4]"},
                                        {{y, x, y, y}, {}, "the gradient of f32[2,3] is f32[4]"},
                                        {{y, x, y}, {}, "expected y, x.., seed, gradients.., got 3 operands"}};
        }};

}  // namespace gmc::ops

namespace gmc {

Tensor straight_through(At value, At gradient_to) { return ops::binary(ops::straight_through_op, value, gradient_to); }

Tensor custom_gradient(At y, const std::vector<Tensor>& x, const Callback<std::vector<Tensor>(Tensor)>& vjp) {
  std::vector<At> operands{y};
  for (const Tensor& t : x) operands.emplace_back(t, y.where());
  const ops::Call call("custom_gradient", operands);
  std::vector<graph::Var> all = call.all();
  graph::Graph& g = *all[0].graph;
  graph::Var seed = graph::broadcast_to(graph::constant(g, 0, {all[0].type().dtype, {}}), all[0].shape());
  all.push_back(seed);
  const std::vector<Tensor> pieces = vjp(call.result(seed));
  if (pieces.size() != x.size()) call.fail(fmt::format("expected {} gradients, got {}", x.size(), pieces.size()));
  for (const Tensor& t : pieces) {
    const graph::Location at = dsl::place_of(y.where());
    all.push_back({&g, dsl::current("custom_gradient", at).adopt(t, "custom_gradient", at).value()});
  }
  return call.result(graph::apply(ops::custom_gradient_op, std::move(all)));
}

}  // namespace gmc
