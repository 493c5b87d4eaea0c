#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <numeric>

namespace gmc::transform {

// Kernels reduce over the columns, over all rows, or over everything. Any other reduction becomes one over the last
// dimension: the reduced axes move to the end (a transpose, if they are not there) and are merged.
Graph canonicalise_reductions(const Graph& from) {
  return rebuild(from, [](Graph&, const graph::Node& node, std::span<const graph::Var> inputs) {
    if (node.op->category != graph::Category::reduce) return Replacements{};
    const Shape& axes = node.integers("axes");
    const Shape shape = inputs[0].shape();
    if (axes.empty()) return Replacements{inputs[0]};
    const auto rank = static_cast<int64_t>(shape.size()), reduced = static_cast<int64_t>(axes.size());
    const bool leading = axes.front() == 0 && axes.back() == reduced - 1;
    if (reduced == rank || (reduced == 1 && axes[0] == rank - 1) || (leading && reduced == rank - 1))
      return Replacements{};
    std::vector<int64_t> perm;
    Shape merged;
    for (int64_t d = 0; d < rank; ++d) {
      if (std::count(axes.begin(), axes.end(), d) > 0) continue;
      perm.push_back(d);
      merged.push_back(shape[static_cast<size_t>(d)]);
    }
    int64_t length = 1;
    for (int64_t d : axes) {
      perm.push_back(d);
      length *= shape[static_cast<size_t>(d)];
    }
    const bool in_order = std::is_sorted(perm.begin(), perm.end());
    const graph::Var moved = in_order ? inputs[0] : transpose(inputs[0], perm);
    merged.push_back(length);
    const auto last = static_cast<int64_t>(merged.size()) - 1;
    return Replacements{reduce(reshape(moved, merged), node.text("monoid"), {last})};
  });
}

}  // namespace gmc::transform
