#include "compiler/fusion/reading.h"

#include <algorithm>
#include <numeric>

namespace gmc::fusion {
namespace {

using graph::Node;

bool moves(const Node& n) {
  const Category c = n.op->category;
  return c == Category::broadcast || c == Category::reshape || c == Category::transpose || c == Category::affine;
}

// The operand's index that a movement shows at `at`; nothing for a movement that is not understood.
std::optional<Shape> behind(const Node& movement, const Shape& operand, const Shape& at) {
  Shape from(operand.size(), 0);
  switch (movement.op->category) {
  case Category::broadcast:
    for (size_t i = 0; i < from.size(); ++i)
      if (operand[i] != 1) from[i] = at[static_cast<size_t>(movement.integers("dims")[i])];
    return from;
  case Category::transpose:
    for (size_t i = 0; i < from.size(); ++i) from[static_cast<size_t>(movement.integers("perm")[i])] = at[i];
    return from;
  case Category::reshape: {
    const Shape steps = row_major_steps(movement.types[0].shape), into = row_major_steps(operand);
    int64_t left = std::inner_product(at.begin(), at.end(), steps.begin(), int64_t{0});
    for (size_t i = 0; i < from.size(); left %= into[i++]) from[i] = left / into[i];
    return from;
  }
  case Category::affine: {
    const graph::AffineMap map = movement.op->affine(movement, operand);
    const Shape& shown = movement.types[0].shape;
    for (size_t i = 0; i < from.size(); ++i) {
      from[i] = std::inner_product(at.begin(), at.end(), map.steps[i].begin(), map.base[i]);
      // Where some index leaves the operand, it shows a value that the operand does not have.
      int64_t low = map.base[i], high = map.base[i];
      for (size_t d = 0; d < shown.size(); ++d) (map.steps[i][d] < 0 ? low : high) += map.steps[i][d] * (shown[d] - 1);
      if (low < 0 || high >= operand[i]) return std::nullopt;
    }
    return from;
  }
  default:
    return std::nullopt;
  }
}

}  // namespace

Shape row_major_steps(const Shape& shape) {
  Shape steps(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) steps[d - 1] = steps[d] * shape[d];
  return steps;
}

Reading read_operand(const View& view, int op, size_t k) {
  const graph::Graph& graph = view.graph();
  std::vector<std::pair<const Node*, const Shape*>> walk;
  Reading r{view.node(op).inputs[k], graph.type(view.node(op).inputs[k]).shape, {}, true};
  auto through = [&](const Node& n) { walk.emplace_back(&n, &graph.type(n.inputs[0]).shape); };
  if (moves(view.node(op))) {
    r.space = view.type(op).shape;
    through(view.node(op));
  }
  for (; moves(graph.node(r.source)) && view.op_of(r.source) < 0; r.source = graph.node(r.source).inputs[0])
    through(graph.node(r.source));
  // A gather reads its first operand wherever the others say.
  r.affine = view.node(op).op->category != Category::gather || k > 0;
  const Shape steps = row_major_steps(graph.type(r.source).shape);
  auto element = [&](Shape at) {
    for (const auto& [movement, from] : walk) {
      auto next = behind(*movement, *from, at);
      r.affine &= next.has_value();
      at = next ? *next : Shape(from->size(), 0);
    }
    return std::inner_product(at.begin(), at.end(), steps.begin(), int64_t{0});
  };
  r.strides.assign(r.space.size(), 0);
  const int64_t count = element_count(r.space);
  if (count == 0) return r;
  if (walk.empty()) {
    for (size_t d = 0; d < r.space.size(); ++d)
      if (r.space[d] > 1) r.strides[d] = steps[d];
    return r;
  }
  for (size_t d = 0; d < r.space.size(); ++d) {
    Shape unit(r.space.size(), 0);
    unit[d] = 1;
    if (r.space[d] > 1) r.strides[d] = element(unit);
  }
  // Broadcasts and transposes are linear. A reshape can carry from one dimension into another, and an affine map need
  // not begin with the first element.
  const auto is_linear = [](const auto& w) {
    return w.first->op->category == Category::broadcast || w.first->op->category == Category::transpose;
  };
  if (std::all_of(walk.begin(), walk.end(), is_linear)) return r;
  const Shape grid = row_major_steps(r.space);
  const int64_t samples = std::min<int64_t>(count, 256);
  for (int64_t s = 0; s < samples && r.affine; ++s) {
    int64_t left = count <= 256 ? s : s == 0 ? count - 1 : s * 2654435761 % count;
    Shape at(r.space.size());
    for (size_t d = 0; d < at.size(); left %= grid[d++]) at[d] = left / grid[d];
    r.affine &= element(at) == std::inner_product(at.begin(), at.end(), r.strides.begin(), int64_t{0});
  }
  return r;
}

}  // namespace gmc::fusion
