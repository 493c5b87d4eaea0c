#include "compiler/graph/op.h"
#include "compiler/graph/text.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace gmc::transform {
namespace {

using graph::Node;

// Numbers by their bits: 0 and -0 differ, and NaN equals itself.
bool same(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }
bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) { return same(x, y); });
}
template <class T>
bool same(const T& a, const T& b) {
  return a == b;
}
bool same_attributes(const graph::Attributes& a, const graph::Attributes& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    if (x.first != y.first || x.second.index() != y.second.index()) return false;
    return std::visit([&](const auto& value) { return same(value, std::get<std::decay_t<decltype(value)>>(y.second)); },
                      x.second);
  });
}

// Draws of two regions are told apart by their streams, so regions of one text compute the same.
bool same_regions(const Node& a, const Node& b) {
  return std::equal(a.regions.begin(), a.regions.end(), b.regions.begin(), b.regions.end(),
                    [](const auto& x, const auto& y) { return print(*x, false) == print(*y, false); });
}

class Hash {
public:
  template <class T>
  void add(const T& value) {
    sum_ = (sum_ ^ std::hash<T>{}(value)) * 0x9e3779b97f4a7c15;
    sum_ ^= sum_ >> 32;
  }
  void add(double value) { add(std::bit_cast<uint64_t>(value)); }
  template <class T>
  void add(const std::vector<T>& values) {
    for (const T& v : values) add(v);
  }
  size_t sum() const { return sum_; }

private:
  uint64_t sum_ = 0;
};

size_t hash_of(const Node& node, std::span<const graph::Var> inputs) {
  Hash hash;
  hash.add(node.op->name);
  for (const graph::Var& v : inputs) {
    hash.add(v.value.node);
    hash.add(v.value.result);
  }
  for (const auto& [name, attribute] : node.attributes)
    std::visit([&](const auto& value) { hash.add(value); }, attribute);
  return hash.sum();
}

}  // namespace

Graph eliminate_common(Graph from) {
  std::unordered_multimap<size_t, int32_t> seen;
  seen.reserve(from.nodes().size());
  return rebuild(std::move(from), [&](Graph& to, const Node& node, std::span<const graph::Var> inputs) {
    const auto is_same = [&](const Node& other) {
      return node.op->name == other.op->name &&
             std::equal(inputs.begin(), inputs.end(), other.inputs.begin(), other.inputs.end(),
                        [](const graph::Var& v, graph::Value w) { return v.value == w; }) &&
             same_attributes(node.attributes, other.attributes) && same_regions(node, other);
    };
    const size_t hash = hash_of(node, inputs);
    const auto [begin, end] = seen.equal_range(hash);
    const auto known = std::find_if(
        begin, end, [&](const auto& before) { return is_same(to.nodes()[static_cast<size_t>(before.second)]); });
    Replacements out;
    if (known == end) {
      seen.emplace(hash, static_cast<int32_t>(to.nodes().size()));  // where it is going to be
      return out;
    }
    for (size_t r = 0; r < node.types.size(); ++r) out.push_back({&to, {known->second, static_cast<int32_t>(r)}});
    return out;
  });
}

}  // namespace gmc::transform
