#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <map>

namespace gmc::transform {

Graph feed_draws(const Graph& from, const std::vector<std::string>& names) {
  std::map<std::string, int> count;
  for (const graph::Node& node : from.nodes())
    if (node.op->category == graph::Category::random) ++count[node.text("name")];
  std::vector<std::string> found;
  Graph g = rebuild(from, [&](Graph& to, const graph::Node& node, std::span<const graph::Var>) {
    if (node.op->category != graph::Category::random) return Replacements{};
    std::string name = node.text("name");
    // Draws of one name in several scopes are told apart by their scope.
    if (count[name] > 1 && !to.context.scope.empty()) name = to.context.scope + "/" + name;
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) return Replacements{};
    found.push_back(name);
    return Replacements{graph::input(to, name, "draw", node.types[0])};
  });
  for (const std::string& name : names)
    if (std::find(found.begin(), found.end(), name) == found.end())
      fail("entry '{}' has no draw '{}'", from.entry(), name);
  return g;
}

}  // namespace gmc::transform
