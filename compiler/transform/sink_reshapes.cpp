#include "compiler/graph/core_ops.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <optional>
#include <set>

namespace gmc::transform {
namespace {

using graph::Category;
using graph::Node;
using graph::Value;
using graph::Var;

// Dimensions of two shapes that hold the same elements: [from, from_end) of one and [to, to_end) of the other.
struct Group {
  size_t from, from_end, to, to_end;
};

// The finest groups in row-major order, without extents of 1.
std::vector<Group> groups(const Shape& from, const Shape& to) {
  std::vector<Group> out;
  size_t i = 0, j = 0;
  while (true) {
    while (i < from.size() && from[i] == 1) ++i;
    while (j < to.size() && to[j] == 1) ++j;
    if (i == from.size() || j == to.size()) return out;
    Group g{i, i, j, j};
    int64_t left = from[i++], right = to[j++];
    while (left != right) (left < right ? left *= from[i++] : right *= to[j++]);
    g.from_end = i, g.to_end = j;
    out.push_back(g);
  }
}

// Elementwise ops and reductions after the reshape of a product's result move in front of it, where they can be
// computed with the product; so do those after them. Elementwise ops of nothing else that is whole (a bias, an
// activation) move in front of a transposition as well.
class Sinker {
public:
  explicit Sinker(Graph from) : from_(std::move(from)), uses_(graph::use_counts(from_)) {
    for (const graph::Output& o : from_.outputs()) leaves_.insert(o.value);
  }

  Graph run() {
    int32_t at = -1;
    return rebuild(std::move(from_), [&](Graph& to, const Node& node, std::span<const Var> inputs) {
      const Value old{++at, 0};
      switch (node.op->category) {
      case Category::matmul:
        return Replacements{anchored(to, node, inputs)};
      case Category::reshape:
        return Replacements{reshaped(inputs[0], node.types[0].shape)};
      case Category::elementwise:
        return elementwise(to, node, inputs, old);
      case Category::reduce:
        return reduction(to, node, inputs, old);
      default:
        return Replacements{};
      }
    });
  }

private:
  // A copy of the node, which counts as anchored from now on.
  Var anchored(Graph& to, const Node& node, std::span<const Var> inputs) {
    std::vector<Value> operands;
    for (Var v : inputs) operands.push_back(v.value);
    const Value copy = to.copy(node, std::move(operands));
    anchored_.insert(copy);
    return {&to, copy};
  }

  static const Node& node_of(Var v) { return v.graph->node(v.value); }

  // One reshape in place of two.
  static Var reshaped(Var v, const Shape& to) {
    while (v.shape() != to && node_of(v).op->category == Category::reshape) v = {v.graph, node_of(v).inputs[0]};
    return reshape(v, to);
  }

  bool any_anchored(std::span<const Var> inputs) const {
    return std::any_of(inputs.begin(), inputs.end(), [&](Var v) { return anchored_.count(v.value) > 0; });
  }

  // How v comes from an anchored value by reshapes and transpositions: the last of them first.
  struct Way {
    Var start;
    std::vector<Node> links;
    bool turns = false;  // whether one of them is a transposition
  };
  std::optional<Way> way_to(Var v) const {
    constexpr size_t longest = 3;
    Way way{v, {}};
    while (anchored_.count(way.start.value) == 0) {
      const Node& n = node_of(way.start);
      const bool turns = n.op->category == Category::transpose;
      if ((!turns && n.op->category != Category::reshape) || way.links.size() == longest) return std::nullopt;
      way.links.push_back(n);
      way.turns |= turns;
      way.start.value = n.inputs[0];
    }
    return element_count(way.start.shape()) == 0 ? std::nullopt : std::optional(way);
  }

  // A broadcast in front of a transposition.
  static std::optional<Var> untransposed(Var v, const Shape& perm, const Shape& to) {
    const Node n = node_of(v);
    Shape dims;
    for (int64_t d : n.integers("dims")) dims.push_back(perm[static_cast<size_t>(d)]);
    if (!std::is_sorted(dims.begin(), dims.end())) return std::nullopt;
    return graph::broadcast({v.graph, n.inputs[0]}, to, dims);
  }

  // What v has to be at the start of the way.
  static std::optional<Var> moved(Var v, const Way& way) {
    std::optional<Var> out = v;
    for (const Node& link : way.links) {
      const Category category = node_of(*out).op->category;
      if (way.turns && category != Category::constant && category != Category::broadcast) return std::nullopt;
      const Shape to = v.graph->type(link.inputs[0]).shape;
      const bool any_shape = link.op->category == Category::reshape || category == Category::constant;
      out = any_shape ? moved(*out, to) : untransposed(*out, link.integers("perm"), to);
      if (!out) return std::nullopt;
    }
    return out;
  }

  // v under another shape; nothing where that would be a copy of a broadcast.
  static std::optional<Var> moved(Var v, const Shape& to) {
    const Node n = node_of(v);
    switch (n.op->category) {
    case Category::constant:
      return constant(*v.graph, n.number("value"), {v.type().dtype, to});
    case Category::broadcast:
      return broadcast_moved({v.graph, n.inputs[0]}, n.integers("dims"), v.shape(), to);
    default:
      return reshaped(v, to);
    }
  }

  // A broadcast of `source` to `from`, as one to `to`: it covers all of a group or nothing.
  static std::optional<Var> broadcast_moved(Var source, const Shape& dims, const Shape& from, const Shape& to) {
    const Shape extents = source.shape();
    Shape kept, at;
    for (const Group& g : groups(from, to)) {
      size_t covered = 0, all = 0;
      for (size_t d = g.from; d < g.from_end; ++d) {
        if (from[d] == 1) continue;
        ++all;
        const auto k = std::find(dims.begin(), dims.end(), static_cast<int64_t>(d));
        if (k != dims.end() && extents[static_cast<size_t>(k - dims.begin())] != 1) ++covered;
      }
      if (covered == 0) continue;
      if (covered != all) return std::nullopt;
      for (size_t d = g.to; d < g.to_end; ++d) {
        kept.push_back(to[d]);
        at.push_back(static_cast<int64_t>(d));
      }
    }
    return broadcast(reshaped(source, kept), to, at);
  }

  Replacements elementwise(Graph& to, const Node& node, std::span<const Var> inputs, Value old) {
    if (any_anchored(inputs)) return Replacements{anchored(to, node, inputs)};
    if (leaves_.count(old) > 0) return {};
    for (size_t k = 0; k < inputs.size(); ++k) {
      const std::optional<Way> way = way_to(inputs[k]);
      if (!way) continue;
      std::vector<Var> operands;
      for (Var other : inputs) {
        const std::optional<Var> operand = other.value == inputs[k].value ? way->start : moved(other, *way);
        if (!operand) break;
        operands.push_back(*operand);
      }
      if (operands.size() != inputs.size()) continue;
      // What others read stays: it would be transposed twice.
      const Value read = node.inputs[k];
      if (way->turns && uses_[static_cast<size_t>(read.node)][static_cast<size_t>(read.result)] >
                            std::count(node.inputs.begin(), node.inputs.end(), read))
        continue;
      Var result = apply(*node.op, std::move(operands), node.attributes);
      anchored_.insert(result.value);
      for (size_t i = way->links.size(); i-- > 0;) {
        const Node& link = way->links[i];
        result = link.op->category == Category::reshape ? reshape(result, link.types[0].shape)
                                                        : transpose(result, link.integers("perm"));
      }
      return {result};
    }
    return {};
  }

  Replacements reduction(Graph& to_graph, const Node& node, std::span<const Var> inputs, Value old) {
    if (any_anchored(inputs)) return Replacements{anchored(to_graph, node, inputs)};
    const std::optional<Way> way = way_to(inputs[0]);
    if (!way || way->turns || leaves_.count(old) > 0) return {};
    const Var inner = way->start;
    const Shape from = inputs[0].shape(), to = inner.shape();
    const Shape& axes = node.integers("axes");
    std::vector<int64_t> reduced;
    for (const Group& g : groups(from, to)) {
      size_t gone = 0, all = 0;
      for (size_t d = g.from; d < g.from_end; ++d) {
        if (from[d] == 1) continue;
        ++all;
        gone += static_cast<size_t>(std::count(axes.begin(), axes.end(), static_cast<int64_t>(d)));
      }
      if (gone != 0 && gone != all) return {};
      for (size_t d = g.to; d < g.to_end && gone != 0; ++d) reduced.push_back(static_cast<int64_t>(d));
    }
    // Kernels reduce over the last dimension, all in front of it, or all; extents of 1 are reduced as one likes.
    const auto last = static_cast<int64_t>(to.size()) - 1;
    if (reduced != std::vector<int64_t>{last}) {
      std::vector<int64_t> leading;
      for (int64_t d = 0; d <= last; ++d) {
        const bool gone = std::count(reduced.begin(), reduced.end(), d) > 0;
        if (!gone && to[static_cast<size_t>(d)] != 1 && d != last) return {};
        if (gone || d != last) leading.push_back(d);
      }
      reduced = leading;
    }
    if (reduced.empty()) return {reshape(inner, node.types[0].shape)};
    const Var result = reduce(inner, node.text("monoid"), reduced);
    anchored_.insert(result.value);
    return {reshape(result, node.types[0].shape)};
  }

  Graph from_;
  const std::vector<std::vector<int>> uses_;  // of the old graph
  std::set<Value> leaves_;                    // of the old graph
  std::set<Value> anchored_;                  // of the new one: products and what moved behind them
};

}  // namespace

Graph sink_reshapes(Graph from) { return Sinker(std::move(from)).run(); }

}  // namespace gmc::transform
