#include "compiler/transform/differentiate.h"

#include "compiler/graph/core_ops.h"
#include "compiler/transform/pull_back.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <map>

namespace gmc::transform {

using namespace graph;

namespace {

std::string scope_of(const std::string& name) {
  const size_t slash = name.rfind('/');
  const std::string scope = slash == std::string::npos ? "" : name.substr(0, slash);
  if (scope == "grad" || scope.rfind("grad/", 0) == 0) return scope;
  return scope.empty() ? "grad" : "grad/" + scope;
}

std::vector<Var> vjp_of(Graph& g, int32_t id, const std::vector<Var>& gradients) {
  const Node node = g.nodes()[static_cast<size_t>(id)];
  std::vector<Var> inputs, results;
  for (Value v : node.inputs) inputs.push_back({&g, v});
  for (int32_t r = 0; r < static_cast<int32_t>(node.types.size()); ++r) results.push_back({&g, {id, r}});
  g.context.location = node.location;
  g.context.scope = scope_of(node.name);
  if (node.op->category == Category::loop) return pull_back_scan(g, node, inputs, gradients);
  if (node.op->category == Category::cond) return pull_back_cond(g, node, inputs, gradients);
  if (node.op->vjp) return node.op->vjp({g, {id, 0}, node, inputs, results, gradients});
  // A composite without a rule: the gradient of its expansion. CSE merges the recomputed values with the forward ones.
  if (node.op->expand) return pull_back(g, node.op->expand(g, node, inputs), gradients, inputs);
  throw Error(diagnose(g, fmt::format("{} has no gradient", node.op->name), node.inputs));
}

}  // namespace

std::vector<Var> pull_back(Graph& g, const std::vector<Var>& results, const std::vector<Var>& seeds,
                           const std::vector<Var>& wrt, std::vector<bool>* reached, Through through) {
  const auto count = static_cast<int32_t>(g.nodes().size());
  std::vector<bool> needed(static_cast<size_t>(count), false);  // depends on one of wrt
  for (const Var& v : wrt) needed[static_cast<size_t>(v.value.node)] = true;
  for (int32_t i = 0; i < count; ++i)
    for (Value v : g.nodes()[static_cast<size_t>(i)].inputs)
      if (needed[static_cast<size_t>(v.node)]) needed[static_cast<size_t>(i)] = true;

  std::map<Value, Var> gradients;
  auto accumulate = [&](Value v, Var gradient) {
    Var& sum = gradients[v];
    sum = sum.valid() ? sum + gradient : gradient;
  };
  for (size_t i = 0; i < results.size(); ++i)
    if (seeds[i].valid()) accumulate(results[i].value, seeds[i]);
  std::vector<bool> is_wrt(static_cast<size_t>(count), false);
  for (const Var& v : wrt) is_wrt[static_cast<size_t>(v.value.node)] = true;
  for (int32_t i = count - 1; i >= 0; --i) {
    const auto n = static_cast<size_t>(i);
    if (!needed[n]) continue;
    const auto leads_on = [&](Value v) { return needed[static_cast<size_t>(v.node)]; };
    const std::vector<Value>& sources = g.nodes()[n].inputs;
    if (is_wrt[n] && (through == Through::none || std::none_of(sources.begin(), sources.end(), leads_on))) continue;
    std::vector<Var> flowing(g.nodes()[n].types.size());
    bool any = false;
    for (size_t r = 0; r < flowing.size(); ++r)
      if (auto it = gradients.find({i, static_cast<int32_t>(r)}); it != gradients.end())
        flowing[r] = it->second, any = true;
    if (!any) continue;
    const std::vector<Value> inputs = g.nodes()[n].inputs;
    const std::vector<Var> pulled = vjp_of(g, i, flowing);
    for (size_t k = 0; k < inputs.size(); ++k)
      if (pulled[k].valid() && needed[static_cast<size_t>(inputs[k].node)]) accumulate(inputs[k], pulled[k]);
  }
  std::vector<Var> out;
  for (const Var& v : wrt) {
    auto it = gradients.find(v.value);
    if (reached) reached->push_back(it != gradients.end());
    out.push_back(it != gradients.end() ? it->second : broadcast_to(constant(g, 0, {v.type().dtype, {}}), v.shape()));
  }
  return out;
}

std::vector<Var> differentiate(Var y, const std::vector<Var>& wrt, std::vector<bool>* reached) {
  Graph& g = *y.graph;
  if (element_count(y.shape()) != 1 || !y.shape().empty())
    throw Error(diagnose(
        g, fmt::format("the gradient of a value of shape {} is asked for: expected a scalar", to_string(y.shape())),
        {y.value}, "reduce it first, for example with sum or mean"));
  const Graph::Context saved = g.context;
  g.context.scope = "grad";
  std::vector<Var> out = pull_back(g, {y}, {constant(g, 1, y.type())}, wrt, reached, Through::wrt);
  g.context = saved;
  return out;
}

std::vector<Var> push_forward(const std::vector<Var>& y, const std::vector<Var>& x, const std::vector<Var>& tangents) {
  if (y.empty()) return {};
  Graph& g = *y[0].graph;
  const Graph::Context saved = g.context;
  g.context.scope = "tangent";
  std::vector<Var> results, along;  // the pullback is linear in `along`, so its value does not matter
  for (const Var& v : y) {
    if (!is_float(v.type().dtype)) continue;
    results.push_back(v);
    along.push_back(broadcast_to(constant(g, 0, {v.type().dtype, {}}), v.shape()));
  }
  const std::vector<Var> moved = pull_back(g, pull_back(g, results, along, x), tangents, along);
  std::vector<Var> out;
  size_t next = 0;
  for (const Var& v : y)
    out.push_back(is_float(v.type().dtype) ? moved[next++]
                                           : broadcast_to(constant(g, 0, {v.type().dtype, {}}), v.shape()));
  g.context = saved;
  return out;
}

}  // namespace gmc::transform
