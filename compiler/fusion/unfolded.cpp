#include "compiler/fusion/unfolded.h"

#include "compiler/graph/indexing.h"

#include <algorithm>

namespace gmc::fusion {
namespace {

using Dimensions = std::vector<Axes>;

Axes one(int64_t extent, int64_t stride) { return {{extent}, {stride}}; }

// The same axes in the same order under another shape; an axis is split where that is needed.
std::optional<Dimensions> reshaped(const Dimensions& from, const Shape& to) {
  Axes all;
  for (const Axes& a : from) {
    all.extents.insert(all.extents.end(), a.extents.begin(), a.extents.end());
    all.strides.insert(all.strides.end(), a.strides.begin(), a.strides.end());
  }
  all = merged(all);
  Dimensions out(to.size());
  for (size_t d = to.size(); d-- > 0;) {
    for (int64_t left = to[d]; left > 1;) {
      int64_t &extent = all.extents.back(), &stride = all.strides.back();
      const int64_t taken = std::min(left, extent);
      if (extent % taken != 0 || left % taken != 0) return std::nullopt;
      out[d].extents.insert(out[d].extents.begin(), taken);
      out[d].strides.insert(out[d].strides.begin(), stride);
      left /= taken, extent /= taken, stride *= taken;
      if (extent > 1) continue;
      all.extents.pop_back();
      all.strides.pop_back();
    }
    if (out[d].extents.empty()) out[d] = one(1, 0);
  }
  return out;
}

std::optional<Dimensions> behind(const graph::Node& n, const Shape& from, const Dimensions& x, int64_t& base) {
  const Shape& to = n.types[0].shape;
  Dimensions out;
  switch (n.op->category) {
  case Category::reshape:
    return reshaped(x, to);
  case Category::broadcast:
    for (int64_t extent : to) out.push_back(one(extent, 0));
    for (size_t i = 0; i < from.size(); ++i)
      if (from[i] != 1) out[static_cast<size_t>(n.integers("dims")[i])] = x[i];
    return out;
  case Category::transpose:
    for (int64_t d : n.integers("perm")) out.push_back(x[static_cast<size_t>(d)]);
    return out;
  case Category::affine:
    break;
  default:
    return std::nullopt;
  }
  if (!guards_of(n, from).empty()) return std::nullopt;
  const graph::AffineMap map = n.op->affine(n, from);
  for (int64_t extent : to) out.push_back(one(extent, 0));
  for (size_t d = 0; d < from.size(); ++d) {
    if (x[d].extents.size() == 1) {
      base += x[d].strides[0] * map.base[d];
      for (size_t i = 0; i < to.size(); ++i) {
        if (map.steps[d][i] == 0) continue;
        if (out[i].extents.size() != 1) return std::nullopt;
        out[i].strides[0] += x[d].strides[0] * map.steps[d][i];
      }
      continue;
    }
    // Several axes stay what they are, or nothing can be said.
    size_t at = to.size();
    for (size_t i = 0; i < to.size(); ++i) {
      if (map.steps[d][i] == 0) continue;
      if (at != to.size() || map.steps[d][i] != 1) return std::nullopt;
      at = i;
    }
    if (at == to.size() || map.base[d] != 0 || to[at] != from[d] || out[at].strides != Shape{0}) return std::nullopt;
    out[at] = x[d];
  }
  return out;
}

}  // namespace

Axes merged(const Axes& a) {
  Axes out;
  for (size_t i = 0; i < a.extents.size(); ++i) {
    if (a.extents[i] == 1) continue;
    if (!out.extents.empty() && out.strides.back() == a.strides[i] * a.extents[i]) {
      out.extents.back() *= a.extents[i];
      out.strides.back() = a.strides[i];
      continue;
    }
    out.extents.push_back(a.extents[i]);
    out.strides.push_back(a.strides[i]);
  }
  return out;
}

std::vector<Guard> guards_of(const graph::Node& movement, const Shape& from) {
  std::vector<Guard> guards;
  if (movement.op->category != Category::affine) return guards;
  const Shape& to = movement.types[0].shape;
  const graph::AffineMap map = movement.op->affine(movement, from);
  for (size_t d = 0; d < from.size(); ++d) {
    int64_t low = map.base[d], high = map.base[d];
    for (size_t i = 0; i < to.size(); ++i)
      (map.steps[d][i] < 0 ? low : high) += map.steps[d][i] * std::max<int64_t>(0, to[i] - 1);
    if (low < 0 || high >= from[d]) guards.push_back({map.base[d], map.steps[d], from[d]});
  }
  return guards;
}

std::optional<Access> unfolded_access(const Graph& g, Value v, const std::function<bool(Value)>& is_source) {
  if (element_count(g.type(v).shape) == 0) return std::nullopt;
  if (is_source(v)) {
    Access a{v, 0, {}, {}, false};
    const Shape &shape = g.type(v).shape, strides = graph::dense_strides(shape);
    for (size_t d = 0; d < shape.size(); ++d) a.axes.push_back(one(shape[d], strides[d]));
    return a;
  }
  const graph::Node& n = g.node(v);
  auto a = unfolded_access(g, n.inputs[0], is_source);
  if (!a) return a;
  const auto dimensions = behind(n, g.type(n.inputs[0]).shape, a->axes, a->base);
  if (!dimensions) return std::nullopt;
  a->axes = *dimensions;
  return a;
}

}  // namespace gmc::fusion
