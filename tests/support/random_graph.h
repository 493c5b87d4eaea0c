// Random graphs for tests: elementwise ops, broadcasts, reductions, products of matrices and of batches of them,
// transposes and reshapes in f32. Every value is finite and of a magnitude below 4 when the inputs lie in [-1, 1], so
// that a backend's error is seen.
#pragma once

#include "compiler/graph/core_ops.h"
#include "ops/elementwise.h"

#include <fmt/format.h>

#include <map>
#include <random>

namespace gmc::tests {

class RandomGraph {
public:
  // `most`: elements of the largest value.
  explicit RandomGraph(uint64_t seed, int64_t most = 1 << 15) : random_(seed), g_("random"), most_(most) {
    static constexpr int64_t extents[] = {1, 2, 3, 5, 8, 17, 32, 40};
    for (int64_t& s : sizes_) s = extents[pick(8)];
  }

  // About `nodes` nodes after the inputs, all of which reach an output.
  graph::Graph make(int nodes) {
    const int64_t a = sizes_[0], b = sizes_[1], c = sizes_[2];
    for (const Shape& shape : {Shape{a, b}, Shape{b, c}, Shape{a, b}, Shape{b}, Shape{a, 1}, Shape{a, c, b}})
      values_.push_back(graph::input(g_, fmt::format("x{}", values_.size()), values_.size() == 1 ? "state" : "data",
                                     {DType::f32, shape}));
    const size_t inputs = g_.nodes().size();
    while (g_.nodes().size() < inputs + static_cast<size_t>(nodes)) add();
    const auto uses = graph::use_counts(g_);
    int outputs = 0;
    for (const graph::Var& v : values_) {
      const auto node = static_cast<size_t>(v.value.node);
      if (node < inputs || (uses[node][0] > 0 && pick(8) != 0)) continue;
      g_.add_output({fmt::format("y{}", outputs++), v.value, false});
    }
    return std::move(g_);
  }

protected:
  using Var = graph::Var;

  size_t pick(size_t n) { return static_cast<size_t>(random_() % n); }
  // Recent values more often, so that chains grow.
  Var any() {
    return values_[pick(3) ? values_.size() - 1 - pick(std::min<size_t>(values_.size(), 6)) : pick(values_.size())];
  }

  void add() {
    const Var x = any();
    switch (pick(8)) {
    case 0:
      return push(unary(x));
    case 1:
      return push(reduction(x));
    case 2:
      return push(product());
    case 3:
      return push(movement(x));
    default:
      return push(binary(x));
    }
  }
  void push(Var v) {
    if (v.valid() && !(v.value == values_.back().value)) values_.push_back(v);
  }

  Var unary(Var x) {
    switch (pick(5)) {
    case 0:
      return graph::apply(ops::tanh_op, {x});
    case 1:
      return ops::sigmoid(x);
    case 2:
      return ops::exp(-(x * x));
    case 3:
      return graph::apply(ops::abs_op, {x}) * -0.5;
    default:
      return graph::apply(ops::rsqrt_op, {x * x + 1.0});
    }
  }

  static bool fit(const Shape& a, const Shape& b) {
    for (size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
      const int64_t x = a[a.size() - i], y = b[b.size() - i];
      if (x != y && x != 1 && y != 1) return false;
    }
    return true;
  }
  Var binary(Var x) {
    Var y = any();
    for (int tries = 0; tries < 8 && !fit(x.shape(), y.shape()); ++tries) y = any();
    if (!fit(x.shape(), y.shape()) || element_count(graph::broadcast_shape(x.shape(), y.shape())) > most_) {
      // A value meets what was reduced from it.
      const auto last = static_cast<int64_t>(x.shape().size()) - 1;
      if (last < 0) return unary(x);
      y = graph::reshape(mean(x, {last}), keep_dims(x.shape(), {last}));
    }
    switch (pick(6)) {
    case 0:
      return (x + y) * 0.5;
    case 1:
      return (x - y) * 0.5;
    case 2:
      return graph::apply(ops::tanh_op, {x * y});
    case 3:
      return x / (y * y + 1.0);
    case 4:
      return ops::max(x, y);
    default:
      return graph::select(graph::less(x, y), x * 0.5, y);
    }
  }

  static Shape keep_dims(Shape shape, const std::vector<int64_t>& axes) {
    for (int64_t d : axes) shape[static_cast<size_t>(d)] = 1;
    return shape;
  }
  static Var mean(Var x, const std::vector<int64_t>& axes) {
    int64_t count = 1;
    for (int64_t d : axes) count *= x.shape()[static_cast<size_t>(d)];
    return graph::sum(x, axes) * (1.0 / static_cast<double>(count));
  }
  Var reduction(Var x) {
    std::vector<int64_t> axes;
    for (size_t d = 0; d < x.shape().size(); ++d)
      if (pick(2)) axes.push_back(static_cast<int64_t>(d));
    if (axes.empty()) return unary(x);
    const Var r = pick(3) ? mean(x, axes) : graph::reduce(x, pick(2) ? "max" : "min", axes);
    return pick(2) ? graph::reshape(r, keep_dims(x.shape(), axes)) : r;
  }

  Var product() {
    for (int tries = 0; tries < 16; ++tries) {
      const Var x = any(), y = any();
      const bool ta = pick(2), tb = pick(2);
      const Shape a = x.shape(), b = y.shape();
      if (a.size() < 2 || b.size() < 2) continue;
      const int64_t k = a.end()[ta ? -2 : -1], m = a.end()[ta ? -1 : -2], n = b.end()[tb ? -2 : -1];
      if (k != b.end()[tb ? -1 : -2]) continue;
      // An operand without the other's batch is shared by it.
      Shape batch(a.begin(), a.end() - 2), other(b.begin(), b.end() - 2);
      if (!fit(batch, other)) continue;
      batch = graph::broadcast_shape(batch, other);
      if (element_count(batch) * std::max({m * n, m * k, k * n}) > most_) continue;
      const Var product = graph::matmul(batched(x, batch), batched(y, batch), ta, tb);
      return graph::apply(ops::tanh_op, {product * (1.0 / static_cast<double>(k))});
    }
    return unary(any());
  }
  static Var batched(Var x, Shape batch) {
    const Shape shape = x.shape();
    batch.insert(batch.end(), shape.end() - 2, shape.end());
    return batch == shape ? x : graph::broadcast_to(x, batch);
  }

  Var movement(Var x) {
    const Shape& shape = x.shape();
    if (shape.size() >= 2 && pick(2)) {
      std::vector<int64_t> perm;
      for (size_t d = 0; d < shape.size(); ++d)
        perm.insert(perm.begin() + static_cast<std::ptrdiff_t>(pick(d + 1)), static_cast<int64_t>(d));
      return graph::transpose(x, perm);
    }
    switch (pick(4)) {
    case 0:
      return graph::reshape(x, {element_count(shape)});
    case 1: {
      Shape wider = shape;
      wider.insert(wider.begin() + static_cast<std::ptrdiff_t>(pick(shape.size() + 1)), 1);
      return wider.size() > 3 ? unary(x) : graph::reshape(x, wider);
    }
    case 2:
      return element_count(shape) % 2 ? unary(x) : graph::reshape(x, {element_count(shape) / 2, 2});
    default: {
      Shape wider = shape;
      wider.insert(wider.begin(), sizes_[pick(3)]);
      return wider.size() > 3 || element_count(wider) > most_ ? unary(x) : graph::broadcast_to(x, wider);
    }
    }
  }

  std::mt19937_64 random_;
  graph::Graph g_;
  int64_t most_;
  int64_t sizes_[3];
  std::vector<Var> values_;
};

inline graph::Graph random_graph(uint64_t seed, int nodes) { return RandomGraph(seed).make(nodes); }

// Values in [-1, 1] for every input of a graph, rounded to f32.
inline std::map<std::string, graph::Reference> random_inputs(const graph::Graph& g, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::map<std::string, graph::Reference> out;
  for (const graph::Node& n : g.nodes()) {
    if (n.op->category != graph::Category::input) continue;
    graph::Reference r{n.types[0].shape, std::vector<double>(static_cast<size_t>(element_count(n.types[0].shape)))};
    for (double& v : r.values) v = static_cast<float>(static_cast<double>(random() >> 11) * 0x1p-52 - 1);
    out.emplace(n.text("name"), std::move(r));
  }
  return out;
}

}  // namespace gmc::tests
