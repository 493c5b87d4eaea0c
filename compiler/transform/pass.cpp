#include "compiler/transform/pass.h"

#include "compiler/graph/text.h"
#include "runtime/base/error.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace gmc::transform {

namespace {

bool has_regions(const Graph& g) {
  return std::any_of(g.nodes().begin(), g.nodes().end(), [](const graph::Node& n) { return !n.regions.empty(); });
}

bool has_halves(const Graph& g) {
  return std::any_of(g.nodes().begin(), g.nodes().end(), [](const graph::Node& n) {
    return std::any_of(n.types.begin(), n.types.end(), [](const graph::TensorType& t) { return is_half(t.dtype); });
  });
}

}  // namespace

const std::vector<Pass>& passes() {
  static const std::vector<Pass> list{
      {"merge-loops", "loops that go through the same carries become one", merge_loops, has_regions},
      {"expand-composites", "composites become primitives", expand_composites},
      {"simplify", "algebraic rewrites, to a fixed point", simplify},
      {"fold-constants", "ops on constants are computed in f64", fold_constants},
      {"legalise-dtypes", "halves are computed in f32 and rounded once", legalise_dtypes, has_halves},
      {"products-to-sums", "products of other dtypes than f32, and of one row, become sums", products_to_sums},
      {"hoist-invariants", "what does not change from trip to trip leaves its loop", hoist_invariants, has_regions},
      {"canonicalise-reductions", "reductions become ones over the last dimension, all but the last, or all",
       canonicalise_reductions},
      {"sink-reshapes", "what follows the reshape of a product's result moves in front of it", sink_reshapes},
      {"eliminate-common", "equal nodes become one", eliminate_common},
      {"eliminate-dead", "nodes that reach no output are removed", eliminate_dead},
  };
  return list;
}

const std::vector<Pass>& optional_passes() {
  static const std::vector<Pass> list{
      {"mixed-precision-bf16", "products and what stands between them in bf16",
       [](Graph g) { return mixed_precision(g, bf16); }},
      {"mixed-precision-f16", "the same in f16", [](Graph g) { return mixed_precision(g, f16); }},
  };
  return list;
}

const Pass& pass_named(const std::string& name) {
  std::vector<std::string> names;
  for (const auto* list : {&passes(), &optional_passes()})
    for (const Pass& pass : *list) {
      if (name == pass.name) return pass;
      names.emplace_back(pass.name);
    }
  fail_usage("unknown pass '{}': expected one of {}", name, fmt::join(names, ", "));
}

Graph run_pipeline(const Graph& input, const std::function<void(const Pass&, const Graph&)>& after) {
  const auto run = [&](bool verify_each) {
    Graph g = input;
    for (const Pass& pass : passes()) {
      g = graph::map_regions(std::move(g), pass.run);
      if (!pass.applies || pass.applies(g)) g = pass.run(std::move(g));
      if (verify_each) graph::verify(g);
      if (after) after(pass, g);
    }
    return g;
  };
  if (after) return run(true);
  // Nodes are checked when they are made: the whole is looked at once, and pass by pass where something is wrong.
  Graph g = run(false);
  try {
    graph::verify(g);
  } catch (const Error&) {
    return run(true);
  }
  return g;
}

Graph rebuild(Graph from,
              const std::function<Replacements(Graph&, const graph::Node&, std::span<const graph::Var>)>& visit) {
  Graph to(from.entry());
  std::vector<graph::Output> outputs = from.outputs();
  std::vector<graph::Node> nodes = std::move(from).release_nodes();
  to.reserve(nodes.size());
  std::vector<graph::Value> now;  // what each result of each node has become
  std::vector<size_t> first;      // per node, of its results
  const auto moved = [&](graph::Value v) {
    return now[first[static_cast<size_t>(v.node)] + static_cast<size_t>(v.result)];
  };
  std::vector<graph::Var> inputs;
  for (graph::Node& node : nodes) {
    inputs.clear();
    for (graph::Value v : node.inputs) inputs.push_back({&to, moved(v)});
    to.context.location = node.location;
    const size_t slash = node.name.rfind('/');
    to.context.scope.assign(node.name, 0, slash == std::string::npos ? 0 : slash);
    first.push_back(now.size());
    const Replacements results = visit(to, node, inputs);
    for (const graph::Var& v : results) now.push_back(v.value);
    if (!results.empty()) continue;
    const auto count = static_cast<int32_t>(node.types.size());
    std::vector<graph::Value> values = std::move(node.inputs);
    for (graph::Value& v : values) v = moved(v);
    const graph::Value kept = to.copy(std::move(node), std::move(values));
    for (int32_t r = 0; r < count; ++r) now.push_back({kept.node, r});
  }
  for (graph::Output& o : outputs) o.value = moved(o.value);
  to.set_outputs(std::move(outputs));
  to.context = {};
  return to;
}

}  // namespace gmc::transform
