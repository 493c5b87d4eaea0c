#include "compiler/graph/op.h"
#include "compiler/graph/text.h"
#include "compiler/transform/pass.h"

#include <bit>
#include <map>
#include <tuple>

namespace gmc::transform {
namespace {

// Numbers by their bits: 0 and -0 differ, and NaN equals itself.
graph::Attributes exact(graph::Attributes attributes) {
  for (auto& [name, value] : attributes) {
    if (const double* number = std::get_if<double>(&value)) value = std::bit_cast<int64_t>(*number);
    if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
      std::vector<int64_t> bits;
      for (double v : *numbers) bits.push_back(std::bit_cast<int64_t>(v));
      value = std::move(bits);
    }
  }
  return attributes;
}

}  // namespace

Graph eliminate_common(Graph from) {
  // Draws of two regions are told apart by their streams, so regions of one text compute the same.
  using Key = std::tuple<std::string, std::vector<graph::Value>, graph::Attributes, std::vector<std::string>>;
  std::map<Key, graph::Value> seen;
  return rebuild(std::move(from), [&](Graph& to, const graph::Node& node, std::span<const graph::Var> inputs) {
    Key key{node.op->name, {}, exact(node.attributes), {}};
    for (const auto& region : node.regions) std::get<3>(key).push_back(graph::print(*region, false));
    for (const graph::Var& v : inputs) std::get<1>(key).push_back(v.value);
    auto [it, inserted] = seen.try_emplace(std::move(key));
    if (inserted) it->second = to.copy(node, std::get<1>(it->first));
    Replacements out;
    for (size_t r = 0; r < node.types.size(); ++r) out.push_back({&to, {it->second.node, static_cast<int32_t>(r)}});
    return out;
  });
}

}  // namespace gmc::transform
