#include "compiler/transform/trim.h"

#include "compiler/graph/core_loop.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <numeric>

namespace gmc::transform {
namespace {

using graph::Category;
using graph::Node;
using graph::Value;
using Flags = std::vector<bool>;

// Which arguments the chosen outputs depend on.
Flags needed_arguments(const Graph& body, const Flags& outputs) {
  Flags live(body.nodes().size(), false);
  for (size_t k = 0; k < outputs.size(); ++k)
    if (outputs[k]) live[static_cast<size_t>(body.outputs()[k].value.node)] = true;
  for (size_t i = body.nodes().size(); i-- > 0;)
    if (live[i])
      for (Value v : body.nodes()[i].inputs) live[static_cast<size_t>(v.node)] = true;
  Flags out;
  for (Value v : arguments(body)) out.push_back(live[static_cast<size_t>(v.node)]);
  return out;
}

graph::Region reduced(const Graph& body, const Flags& outputs, const Flags& kept_arguments) {
  Graph to = body;
  std::vector<graph::Output> kept;
  for (size_t k = 0; k < outputs.size(); ++k)
    if (outputs[k]) kept.push_back(body.outputs()[k]);
  to.set_outputs(std::move(kept));
  to = eliminate_dead(to);
  std::vector<Value> order;
  const std::vector<Value> all = arguments(to);
  for (size_t i = 0; i < all.size(); ++i)
    if (kept_arguments[i]) order.push_back(all[i]);
  return std::make_shared<const Graph>(with_arguments(to, order));
}

void keep_results(Trimmed& out, const Flags& kept) {
  std::vector<graph::TensorType> types;
  for (size_t r = 0; r < kept.size(); ++r) {
    out.result_of[r] = kept[r] ? static_cast<int32_t>(types.size()) : -1;
    if (kept[r]) types.push_back(out.node.types[r]);
  }
  out.node.types = std::move(types);
}

// Carries feed each other, so what is needed is looked for until nothing is added.
void trim_loop(Trimmed& out, const Flags& used) {
  const Node node = out.node;
  const graph::LoopParts parts = loop_parts(node);
  const Graph& body = *node.regions.back();
  Flags results = used, needed;
  while (true) {
    needed = needed_arguments(body, results);
    if (node.regions.size() > 1) {
      const Flags asked = needed_arguments(*node.regions[0], {true});
      for (size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || asked[i];
    }
    const Flags before = results;
    for (size_t k = 0; k < parts.carries; ++k) results[k] = results[k] || needed[k + 1];
    if (results == before) break;
  }
  needed[0] = true;
  for (size_t k = 0; k < parts.carries; ++k) needed[k + 1] = results[k];
  const bool all = std::find(needed.begin(), needed.end(), false) == needed.end() &&
                   std::find(results.begin(), results.end(), false) == results.end();
  if (all) return;
  out.node.inputs.clear();
  int64_t carries = 0, inputs = 0;
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    if (!needed[k + 1]) continue;
    out.node.inputs.push_back(node.inputs[k]);
    if (k < parts.carries)
      ++carries;
    else if (k < parts.carries + parts.inputs)
      ++inputs;
  }
  out.node.attributes["carries"] = carries;
  out.node.attributes["inputs"] = inputs;
  if (node.regions.size() > 1) out.node.regions[0] = reduced(*node.regions[0], {true}, needed);
  out.node.regions.back() = reduced(body, results, needed);
  keep_results(out, results);
}

void trim_cond(Trimmed& out, const Flags& used) {
  const Node node = out.node;
  Flags needed(node.inputs.size() - 1, false);
  for (const auto& region : node.regions) {
    const Flags here = needed_arguments(*region, used);
    for (size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] || here[i];
  }
  out.node.inputs = {node.inputs[0]};
  for (size_t i = 0; i < needed.size(); ++i)
    if (needed[i]) out.node.inputs.push_back(node.inputs[i + 1]);
  for (auto& region : out.node.regions) region = reduced(*region, used, needed);
  keep_results(out, used);
}

}  // namespace

Trimmed trim(Node whole, const Flags& used) {
  Trimmed out{std::move(whole), {}};
  const Node& node = out.node;
  out.result_of.resize(node.types.size());
  std::iota(out.result_of.begin(), out.result_of.end(), 0);
  if (node.op->category == Category::loop || node.op->category == Category::while_loop) trim_loop(out, used);
  if (node.op->category == Category::cond) trim_cond(out, used);
  return out;
}

}  // namespace gmc::transform
