#include "compiler/graph/graph.h"

#include "compiler/graph/op.h"
#include "runtime/base/error.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace gmc::graph {

std::string to_string(const TensorType& t) { return fmt::format("{}[{}]", name_of(t.dtype), fmt::join(t.shape, ",")); }

std::string to_string(const Location& l) { return fmt::format("{}:{}:{}", l.file, l.line, l.column); }

namespace {

template <class T>
const T& attribute(const Node& node, const std::string& key) {
  auto it = node.attributes.find(key);
  if (it == node.attributes.end() || !std::holds_alternative<T>(it->second))
    fail("{}: attribute '{}' is missing or of another kind", node.op->name, key);
  return std::get<T>(it->second);
}

}  // namespace

bool Node::flag(const std::string& key) const {
  auto it = attributes.find(key);
  return it != attributes.end() && std::holds_alternative<bool>(it->second) && std::get<bool>(it->second);
}
int64_t Node::integer(const std::string& key) const { return attribute<int64_t>(*this, key); }
double Node::number(const std::string& key) const { return attribute<double>(*this, key); }
const std::string& Node::text(const std::string& key) const { return attribute<std::string>(*this, key); }
const std::vector<int64_t>& Node::integers(const std::string& key) const {
  return attribute<std::vector<int64_t>>(*this, key);
}
const std::vector<double>& Node::numbers(const std::string& key) const {
  return attribute<std::vector<double>>(*this, key);
}

namespace {

std::string describe(Dtypes dtypes) {
  switch (dtypes) {
  case floating:
    return "a floating dtype";
  case integral:
    return "an integer dtype";
  case numeric:
    return "a numeric dtype";
  default:
    break;
  }
  std::vector<std::string_view> names;
  for (DType d : {f32, f16, bf16, f64, i32, i64, i8, u8, boolean})
    if (dtypes & only(d)) names.push_back(name_of(d));
  return fmt::format("{}", fmt::join(names, " or "));
}

}  // namespace

std::vector<TensorType> infer_types(const OpDef& op, std::span<const TensorType> operands, const Attributes& attributes,
                                    const Regions& regions) {
  if (op.arity >= 0 && operands.size() != static_cast<size_t>(op.arity))
    fail("expected {} operands, got {}", op.arity, operands.size());
  if (const auto typed = static_cast<size_t>(op.typed); typed < operands.size()) {
    const DType dtype = operands[typed].dtype;
    if (!(op.dtypes & only(dtype))) fail("expected {}, got {}", describe(op.dtypes), name_of(dtype));
  }
  if (op.infer_regions) return op.infer_regions(operands, attributes, regions);
  if (!regions.empty()) fail("expected no regions, got {}", regions.size());
  return op.infer(operands, attributes);
}

std::string Graph::unique_name(std::string base) {
  const int before = names_.uses(base)++;
  if (before == 0) return base;
  std::string name = fmt::format("{}.{}", base, before + 1);
  int& uses = names_.uses(name);
  if (uses > 0) return unique_name(std::move(base));
  uses = 1;
  return name;
}

Value Graph::add(const OpDef& op, std::vector<Value> inputs, Attributes attributes, Regions regions) {
  std::vector<TensorType> operands;
  for (Value v : inputs) operands.push_back(type(v));
  Node node;
  try {
    node.types = infer_types(op, operands, attributes, regions);
  } catch (const Error& e) {
    throw Error(diagnose(*this, fmt::format("{}: {}", op.name, e.what()), inputs));
  }
  node.op = &op;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  node.regions = std::move(regions);
  const std::string label = op.category == Category::input ? node.text("name") : std::string(op.name);
  node.name =
      unique_name(context.scope.empty() || op.category == Category::input ? label : context.scope + "/" + label);
  node.location = context.location;
  nodes_.push_back(std::move(node));
  return {static_cast<int32_t>(nodes_.size() - 1), 0};
}

Value Graph::copy(Node node, std::vector<Value> inputs) {
  node.inputs = std::move(inputs);
  node.name = unique_name(std::move(node.name));
  nodes_.push_back(std::move(node));
  return {static_cast<int32_t>(nodes_.size() - 1), 0};
}

Value Graph::find_input(std::string_view name) const {
  for (size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].op->category == Category::input && nodes_[i].text("name") == name)
      return {static_cast<int32_t>(i), 0};
  return {};
}

std::vector<Value> arguments(const Graph& g) {
  std::vector<Value> out;
  for (size_t i = 0; i < g.nodes().size(); ++i)
    if (g.nodes()[i].op->category == Category::input && g.nodes()[i].text("role") == "argument")
      out.push_back({static_cast<int32_t>(i), 0});
  return out;
}

Graph map_regions(Graph from, Graph (*change)(Graph)) {
  if (std::all_of(from.nodes().begin(), from.nodes().end(), [](const Node& n) { return n.regions.empty(); }))
    return from;
  Graph to(from.entry());
  to.set_outputs(from.outputs());
  to.context = from.context;
  for (Node& node : std::move(from).release_nodes()) {
    for (auto& region : node.regions) region = std::make_shared<const Graph>(change(map_regions(*region, change)));
    std::vector<Value> inputs = node.inputs;
    to.copy(std::move(node), std::move(inputs));
  }
  return to;
}

std::vector<std::vector<int>> use_counts(const Graph& graph) {
  std::vector<std::vector<int>> counts;
  for (const Node& node : graph.nodes()) counts.emplace_back(node.types.size(), 0);
  auto use = [&](Value v) { ++counts[static_cast<size_t>(v.node)][static_cast<size_t>(v.result)]; };
  for (const Node& node : graph.nodes()) std::for_each(node.inputs.begin(), node.inputs.end(), use);
  for (const Output& output : graph.outputs()) use(output.value);
  return counts;
}

}  // namespace gmc::graph
