#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <numeric>

namespace gmc::transform {
namespace {

using graph::Var;
using Axes = std::vector<int64_t>;

int64_t length(const Shape& shape, const Axes& axes) {
  return std::accumulate(axes.begin(), axes.end(), int64_t{1},
                         [&](int64_t n, int64_t d) { return n * shape[static_cast<size_t>(d)]; });
}

// The axes from `begin` to before `end`.
Axes run(int64_t begin, int64_t end) {
  Axes out(static_cast<size_t>(end - begin));
  std::iota(out.begin(), out.end(), begin);
  return out;
}

Var canonical(Var x, const std::string& monoid, const Axes& axes) {
  const Shape shape = x.shape();
  const auto rank = static_cast<int64_t>(shape.size()), reduced = static_cast<int64_t>(axes.size());
  if (reduced == 0) return x;
  if (reduced == rank) return reduce(x, monoid, axes);
  Axes kept;
  Shape result;
  for (int64_t d = 0; d < rank; ++d) {
    if (std::count(axes.begin(), axes.end(), d) > 0) continue;
    kept.push_back(d);
    result.push_back(shape[static_cast<size_t>(d)]);
  }
  if (axes == run(0, reduced)) {
    Shape merged(shape.begin(), shape.begin() + reduced);
    merged.push_back(length(shape, kept));
    return reshape(reduce(reshape(x, merged), monoid, axes), result);
  }
  int64_t first = rank;  // of the last axes that are reduced
  while (std::count(axes.begin(), axes.end(), first - 1) > 0) --first;
  const Axes behind = run(first, rank), before(axes.begin(), axes.end() - (rank - first));
  if (!behind.empty()) {
    Shape merged(shape.begin(), shape.begin() + first);
    const int64_t columns = length(shape, behind);
    if (columns == 1) return canonical(reshape(x, merged), monoid, before);
    merged.push_back(columns);
    return canonical(reduce(reshape(x, merged), monoid, {first}), monoid, before);
  }
  Axes perm = kept;
  perm.insert(perm.end(), axes.begin(), axes.end());
  Shape merged = result;
  merged.push_back(length(shape, axes));
  return reduce(reshape(transpose(x, perm), merged), monoid, {static_cast<int64_t>(result.size())});
}

}  // namespace

// Kernels reduce over the columns, over all rows, or over everything. Any other reduction is made of these: the last
// axes, which lie together in memory, are reduced first; the first axes reduce all rows; any others, of what is left,
// are moved to the end.
Graph canonicalise_reductions(Graph from) {
  return rebuild(std::move(from), [](Graph&, const graph::Node& node, std::span<const Var> inputs) {
    if (node.op->category != graph::Category::reduce) return Replacements{};
    return Replacements{canonical(inputs[0], node.text("monoid"), node.integers("axes"))};
  });
}

}  // namespace gmc::transform
