// Training: gradients, and the steps of optimisers (domain ai.onnx.preview.training).
#include "compiler/transform/differentiate.h"
#include "tools/onnx/build.h"
#include "tools/onnx/importer.h"

#include <cmath>

namespace gmc::onnx {
namespace {

// Operands after rate and step: n parameters, their gradients, then `states` tensors each; the results are the new
// parameters and states.
struct Group {
  Var parameter, gradient;
  std::vector<Var> state;
};
template <class Update>
std::vector<Value> for_each_parameter(Call& c, size_t states, Update update) {
  const size_t each = 2 + states;
  if (c.count() < 2 + each || (c.count() - 2) % each != 0) fail("{} operands", c.count());
  const size_t n = (c.count() - 2) / each;
  std::vector<std::vector<Var>> results(1 + states);
  for (size_t i = 0; i < n; ++i) {
    Group g{c[2 + i], c[2 + n + i], {}};
    for (size_t s = 0; s < states; ++s) g.state.push_back(c[2 + (2 + s) * n + i]);
    g.gradient = g.gradient + c.number("norm_coefficient", 0) * g.parameter;
    const std::vector<Var> next = update(g);
    for (size_t r = 0; r < next.size(); ++r) results[r].push_back(next[r]);
  }
  std::vector<Value> out;
  for (const auto& list : results)
    for (const Var& v : list) out.push_back({v, nullptr});
  return out;
}

Var root(Var x) { return apply_named("sqrt", {x}); }
Var power(double base, Var exponent, DType dtype) {
  const Var x = graph::cast(exponent, dtype);
  return apply_named("pow", {number_like(x, base), x});
}

std::vector<Value> adagrad(Call& c) {
  const double decay = c.number("decay_factor", 0), epsilon = c.number("epsilon", 1e-6f);
  return for_each_parameter(c, 1, [&](const Group& g) -> std::vector<Var> {
    const Var rate = c[0] / (graph::cast(c[1], c[0].type().dtype) * decay + 1.0);
    const Var squares = g.state[0] + g.gradient * g.gradient;
    return {g.parameter - rate * g.gradient / (root(squares) + epsilon), squares};
  });
}

std::vector<Value> adam(Call& c) {
  const double alpha = c.number("alpha", 0.9f), beta = c.number("beta", 0.999f), epsilon = c.number("epsilon", 0);
  const double after = c.number("norm_coefficient_post", 0);
  if (!c.find("epsilon")) unsupported("without 'epsilon': its specified default is not the one of ONNX's own data");
  return for_each_parameter(c, 2, [&](const Group& g) -> std::vector<Var> {
    const DType dtype = c[0].type().dtype;
    const Var v = alpha * g.state[0] + (1 - alpha) * g.gradient;
    const Var h = beta * g.state[1] + (1 - beta) * (g.gradient * g.gradient);
    const Var unit = number_like(c[0], 1);
    // Corrections only from the first step on.
    const Var corrected = c[0] * root(unit - power(beta, c[1], dtype)) / (unit - power(alpha, c[1], dtype));
    const Var rate = graph::select(graph::less(number_like(c[1], 0), c[1]), corrected, c[0]);
    const Var next = g.parameter - rate * v / (root(h) + epsilon);
    return {next * (1 - after), v, h};
  });
}

std::vector<Value> momentum(Call& c) {
  const double alpha = c.number("alpha", 0), beta = c.number("beta", 0);
  const std::string mode = c.text("mode", "");
  if (mode != "standard" && mode != "nesterov") fail("attribute 'mode' is neither standard nor nesterov");
  return for_each_parameter(c, 1, [&](const Group& g) -> std::vector<Var> {
    // The first step takes the whole gradient.
    const Var share =
        graph::select(graph::less(number_like(c[1], 0), c[1]), number_like(c[0], beta), number_like(c[0], 1));
    const Var v = alpha * g.state[0] + share * g.gradient;
    const Var step = mode == "standard" ? v : g.gradient + alpha * v;
    return {g.parameter - c[0] * step, v};
  });
}

// Derivatives of the tensor called `y` with respect to those called `xs`, at their values.
std::vector<Value> gradient(Call& c) {
  const Attribute* names = c.find("xs");
  if (!names || names->kind != Attribute::Kind::texts) fail("attribute 'xs' is missing");
  std::vector<Var> xs;
  for (size_t i = 0; i < names->texts.size(); ++i) {
    const Value v = c.importer().find(names->texts[i]);
    if (!v.var.valid() || v.var.value != c[i].value) unsupported("a gradient at other values than those of the graph");
    xs.push_back(v.var);
  }
  const Value y = c.importer().find(c.text("y", ""));
  if (!y.var.valid()) fail("attribute 'y' is missing");
  std::vector<Value> out;
  for (const Var& v : transform::differentiate(graph::sum(y.var), xs)) out.push_back({v, nullptr});
  return out;
}

constexpr Row rows[] = {
    {"Adagrad", adagrad},
    {"Adam", adam},
    {"Gradient", gradient},
    {"Momentum", momentum},
};

}  // namespace

std::span<const Row> train_rows() { return rows; }

}  // namespace gmc::onnx
