#include "compiler/graph/core_loop.h"
#include "compiler/transform/pass.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <map>
#include <set>

namespace gmc::transform {
namespace {

using graph::Category;
using graph::Node;
using graph::TensorType;
using graph::Value;
using graph::Var;

std::string scoped(const std::string& scope, const std::string& name) {
  return scope.empty() ? name : scope + "/" + name;
}

class Feeder {
public:
  Feeder(const Graph& from, const std::vector<std::string>& names) : names_(names) { count(from); }

  // Draws of a graph that were replaced, as they stand in it.
  struct Fed {
    std::string name;
    TensorType type;
    Var value;
  };
  Graph run(const Graph& from, bool is_region, std::vector<Fed>& fed) {
    return rebuild(from, [&](Graph& to, const Node& node, std::span<const Var> inputs) {
      if (node.op->category == Category::random && !below_.count(node.integer("stream")))
        return draw(to, node, node.text("name"), is_region, fed);
      if (node.attributes.count("draw")) return draw(to, node, node.text("draw"), is_region, fed);
      if (node.op->category == Category::cond) return through_cond(to, node, inputs, is_region, fed);
      if (!node.regions.empty()) return through_loop(to, node, inputs, is_region, fed);
      return Replacements{};
    });
  }
  const std::set<std::string>& found() const { return found_; }

private:
  void count(const Graph& g) {
    for (const Node& n : g.nodes()) {
      if (n.op->category == Category::random) streams_[n.text("name")].insert(n.integer("stream"));
      if (n.attributes.count("draw")) below_.insert(g.node(n.inputs[0]).integer("stream"));
      for (const auto& region : n.regions) count(*region);
    }
  }

  static Var supply(Graph& to, const std::string& name, const TensorType& type, bool is_region, std::vector<Fed>& fed) {
    for (const Fed& f : fed)
      if (f.name == name) return f.value;
    const Var v = is_region ? argument(to, "draw " + name, type) : input(to, name, "draw", type);
    fed.push_back({name, type, v});
    return v;
  }

  Replacements draw(Graph& to, const Node& node, std::string name, bool is_region, std::vector<Fed>& fed) {
    // Draws of one name in several scopes are told apart by their scope.
    if (streams_[name].size() > 1) name = scoped(to.context.scope, name);
    if (!names_.empty() && std::find(names_.begin(), names_.end(), name) == names_.end()) return {};
    found_.insert(name);
    return {supply(to, name, node.types[0], is_region, fed)};
  }

  // The node's regions with all their draws as arguments at position `at`; the draws in order.
  std::vector<Fed> feed_regions(Node& node, size_t at) {
    std::vector<Fed> all;
    std::vector<Graph> regions;
    std::vector<std::vector<Fed>> fed(node.regions.size());
    for (size_t r = 0; r < node.regions.size(); ++r) {
      regions.push_back(run(*node.regions[r], true, fed[r]));
      for (const Fed& f : fed[r])
        if (std::none_of(all.begin(), all.end(), [&](const Fed& a) { return a.name == f.name; })) all.push_back(f);
    }
    for (size_t r = 0; r < regions.size(); ++r) {
      std::vector<Value> order = graph::arguments(*node.regions[r]), mine;
      for (const Fed& f : all) supply(regions[r], f.name, f.type, true, fed[r]);
      for (const Fed& f : all)
        for (const Fed& own : fed[r])
          if (own.name == f.name) mine.push_back(own.value.value);
      // Arguments of the region before are those that are not draws, in the same order.
      order.clear();
      for (Value v : graph::arguments(regions[r]))
        if (std::find(mine.begin(), mine.end(), v) == mine.end()) order.push_back(v);
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(at), mine.begin(), mine.end());
      node.regions[r] = std::make_shared<const Graph>(with_arguments(regions[r], order));
    }
    return all;
  }

  Replacements through_loop(Graph& to, Node node, std::span<const Var> inputs, bool is_region, std::vector<Fed>& fed) {
    const graph::LoopParts parts = loop_parts(node);
    const size_t at = parts.carries + parts.inputs;
    const std::vector<Fed> inside = feed_regions(node, at + 1);
    if (inside.empty()) return {};
    if (parts.trips < 0) fail("draw '{}' is inside a while without a limit: it cannot be fed", inside[0].name);
    std::vector<Value> operands;
    for (const Var& v : inputs) operands.push_back(v.value);
    std::vector<Value> stacked;
    for (const Fed& f : inside) {
      TensorType type = f.type;
      type.shape.insert(type.shape.begin(), parts.trips);
      stacked.push_back(supply(to, f.name, type, is_region, fed).value);
    }
    operands.insert(operands.begin() + static_cast<std::ptrdiff_t>(at), stacked.begin(), stacked.end());
    node.attributes["inputs"] = static_cast<int64_t>(parts.inputs + inside.size());
    if (node.op == &graph::loop_op) node.op = &graph::scan_op;
    return results(to, node, std::move(operands));
  }

  Replacements through_cond(Graph& to, Node node, std::span<const Var> inputs, bool is_region, std::vector<Fed>& fed) {
    const std::vector<Fed> inside = feed_regions(node, node.inputs.size() - 1);
    if (inside.empty()) return {};
    std::vector<Value> operands;
    for (const Var& v : inputs) operands.push_back(v.value);
    for (const Fed& f : inside) operands.push_back(supply(to, f.name, f.type, is_region, fed).value);
    return results(to, node, std::move(operands));
  }

  static Replacements results(Graph& to, const Node& node, std::vector<Value> operands) {
    const Value first = to.copy(node, std::move(operands));
    Replacements out;
    for (size_t r = 0; r < node.types.size(); ++r) out.push_back({&to, {first.node, static_cast<int32_t>(r)}});
    return out;
  }

  const std::vector<std::string>& names_;
  std::map<std::string, std::set<int64_t>> streams_;
  std::set<int64_t> below_;  // streams of draws that others are made of, which are fed instead (randint)
  std::set<std::string> found_;
};

}  // namespace

Graph feed_draws(const Graph& from, const std::vector<std::string>& names) {
  Feeder feeder(from, names);
  std::vector<Feeder::Fed> fed;
  Graph g = feeder.run(from, false, fed);
  for (const std::string& name : names)
    if (!feeder.found().count(name)) fail("entry '{}' has no draw '{}'", from.entry(), name);
  return g;
}

}  // namespace gmc::transform
