#include "compiler/package/program_source.h"

#include "compiler/transform/pass.h"

#include <algorithm>

namespace gmc::package {

Source source_of(const Program& program, const std::string& model, const std::vector<std::string>& entries,
                 bool feed_draws) {
  Source source;
  source.name = model;
  for (const State& s : program.states())
    source.states.push_back(
        {s.name, {s.dtype, s.shape}, s.kind != StateKind::optimizer, s.kind == StateKind::optimizer});
  for (const std::string& name : entries) program.entry_named(name);
  for (const Entry& e : program.entries()) {
    if (!entries.empty() && std::find(entries.begin(), entries.end(), e.name) == entries.end()) continue;
    source.entries.push_back(feed_draws ? transform::feed_draws(*e.graph) : *e.graph);
  }
  return source;
}

graph::Graph gradients_of(const Entry& entry) {
  graph::Graph g = *entry.graph;
  std::vector<graph::Output> outputs;
  for (const auto& [name, value] : entry.gradients) outputs.push_back({name, value, false});
  g.set_outputs(std::move(outputs));
  graph::Graph renamed(entry.name + "_gradients");
  for (const graph::Node& node : g.nodes()) renamed.copy(node, node.inputs);
  renamed.set_outputs(g.outputs());
  return renamed;
}

TensorMap initial_state(const Program& program, uint64_t seed) {
  TensorMap out;
  for (const State& s : program.states()) out[s.name] = initial_value(s.initialiser, s.name, s.dtype, s.shape, seed);
  return out;
}

}  // namespace gmc::package
