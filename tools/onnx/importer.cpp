#include "tools/onnx/importer.h"

#include "compiler/graph/interpret.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace gmc::onnx {
namespace {

constexpr int64_t max_result_bytes = int64_t{1} << 36, max_evaluated = int64_t{1} << 22;
constexpr int max_calls = 32;  // of functions and graphs inside each other

// `node 'n' (Op)`, with what a terminal cannot take replaced.
std::string title(const Node& n) {
  std::string name;
  for (const char c : n.name.substr(0, 60)) name += static_cast<unsigned char>(c) < 32 ? '?' : c;
  return fmt::format("node '{}' ({})", name, n.op);
}

// The graph's own errors come with lines that point into a source file; there is none here.
std::string first_line(const std::string& text) {
  const std::string line = text.substr(0, text.find('\n'));
  return line.starts_with("error: ") ? line.substr(7) : line;
}

}  // namespace

std::string plain_name(const std::string& given) {
  std::string name;
  for (const char c : given.substr(0, 200))
    name += isalnum(static_cast<unsigned char>(c)) || c == '.' || c == ':' || c == '-' ? c : '_';
  if (name.empty() || name[0] == '.' || name[0] == '-') name = "_" + name;
  return name;
}

Importer::Importer(const Model& model, const Request& request)
    : model_(model), request_(request), opsets_(&model.opsets) {
  scopes_.emplace_back();
  if (auto it = model.opsets.find(""); it != model.opsets.end()) out_.opset = it->second;
}

std::string Importer::unique(const std::string& given) {
  const std::string name = plain_name(given);
  if (names_.insert(name).second) return name;
  for (int i = 2;; ++i)
    if (std::string other = fmt::format("{}.{}", name, i); names_.insert(other).second) return other;
}

graph::TensorType Importer::type_of(const ValueInfo& v) const {
  if (const auto it = request_.types.find(v.name); it != request_.types.end()) return it->second;
  if (v.kind != ValueInfo::Kind::tensor) unsupported("input '{}' is no tensor", plain_name(v.name));
  graph::TensorType type{need_dtype(v.element), {}};
  if (!v.has_shape) unsupported("input '{}' has no shape", plain_name(v.name));
  for (size_t i = 0; i < v.dims.size(); ++i) {
    int64_t extent = v.dims[i].extent;
    if (extent < 0)
      if (const auto it = request_.extents.find(v.dims[i].parameter); it != request_.extents.end()) extent = it->second;
    if (extent < 0 && v.dims[i].parameter.empty())
      unsupported("input '{}': the extent of dimension {} is not said", plain_name(v.name), i);
    if (extent < 0)
      unsupported("input '{}': dimension {} is '{}': give it with --set {}=NUMBER", plain_name(v.name), i,
                  plain_name(v.dims[i].parameter), plain_name(v.dims[i].parameter));
    type.shape.push_back(extent);
  }
  byte_size(type.dtype, type.shape);
  return type;
}

Value Importer::declare(const ValueInfo& v) {
  if (const auto bound = request_.bound.find(v.name); bound != request_.bound.end())
    return {constant(bound->second), nullptr};
  if (request_.absent.count(v.name)) return {};
  const auto make = [&](const std::string& given, graph::TensorType type, int64_t item) -> Value {
    const std::string name = unique(given);
    const Var x = graph::input(graph(), name, "data", std::move(type));
    out_.inputs.push_back({name, v.name, item});
    given_[name] = v.name;
    return {x, nullptr};
  };
  const auto sequence = request_.sequences.find(v.name);
  if (sequence == request_.sequences.end()) return make(v.name, type_of(v), -1);
  std::vector<Value> items;
  for (const graph::TensorType& type : sequence->second)
    items.push_back(make(fmt::format("{}.{}", v.name, items.size()), type, std::ssize(items)));
  return {Var{}, std::make_shared<const std::vector<Value>>(std::move(items))};
}

void Importer::declare_inputs() {
  std::set<std::string> initial;
  for (const TensorData& t : model_.graph.initializers) initial.insert(t.name);
  for (const ValueInfo& v : model_.graph.inputs) {
    if (initial.count(v.name)) continue;  // a default value, which stays
    if (v.name.empty()) fail("an input has no name");
    const Value value = declare(v);
    if (!scopes_[0].emplace(v.name, value).second) fail("input '{}' is given twice", plain_name(v.name));
  }
}

Var Importer::constant(const HostTensor& t) {
  bool beyond_exact = false;
  const std::vector<double> values = numbers_of(t, &beyond_exact);
  const bool splat = !values.empty() && std::all_of(values.begin(), values.end(), [&](double v) {
    return v == values[0] && std::signbit(v) == std::signbit(values[0]);
  });
  const Var made = values.empty() || splat
                       ? graph::constant(graph(), values.empty() ? 0 : values[0], {t.dtype, t.shape})
                       : graph::literal(graph(), values, {t.dtype, t.shape});
  if (beyond_exact) beyond_exact_.insert(made.value.node);
  return made;
}

Var Importer::weight(const TensorData& t, int64_t least) {
  if (!t.missing.empty()) unsupported("tensor '{}': {}", plain_name(t.name), t.missing);
  if (!is_float(need_dtype(t.element)) || element_count(t.dims) < std::max<int64_t>(1, least))
    return constant(host_tensor(t));
  const std::string name = unique(t.name.empty() ? "constant" : t.name);
  HostTensor host = host_tensor(t);
  const Var state = graph::input(graph(), name, "state", {host.dtype, host.shape});
  out_.weights.emplace(name, std::move(host));
  return state;
}

void Importer::take_initializers(const Graph& g) {
  for (const TensorData& t : g.initializers) {
    if (t.name.empty()) fail("an initializer has no name");
    auto [known, is_new] = taken_.try_emplace(&t);
    if (is_new) known->second = {weight(t, t.dims.empty() ? 2 : 1), nullptr};
    scopes_.back()[t.name] = known->second;
  }
}

Value Importer::find(const std::string& name) const {
  if (name.empty()) return {};
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
    if (const auto it = scope->find(name); it != scope->end()) return it->second;
  fail("input '{}' is the output of no node before it", plain_name(name));
}

void Importer::check_size(const Value& v) const {
  if (v.items)
    for (const Value& item : *v.items) check_size(item);
  if (!v.var.valid()) return;
  const graph::TensorType type = v.var.type();
  if (byte_size(type.dtype, type.shape) > max_result_bytes)
    fail("a result {} has more than {} bytes", to_string(type), max_result_bytes);
}

void Importer::run_node(const Node& n) {
  if (++nodes_ > max_nodes || graph().nodes().size() > size_t{4} * max_nodes)
    fail("the model makes more than {} nodes", max_nodes);
  const auto context = graph().context;
  const auto say = [&](const Error& e) { return fmt::format("{}: {}", title(n), first_line(e.what())); };
  try {
    std::vector<Value> inputs;
    for (const std::string& name : n.inputs) inputs.push_back(find(name));
    graph().context.scope = plain_name(n.name.empty() ? n.op : n.name);
    std::vector<Value> results = dispatch(n, std::move(inputs));
    for (const Value& v : results) check_size(v);
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (n.outputs[i].empty()) continue;
      if (i >= results.size()) unsupported("output {} is not supported", i);
      if (scopes_.back().count(n.outputs[i])) fail("output '{}' is given twice", plain_name(n.outputs[i]));
      scopes_.back()[n.outputs[i]] = results[i];
    }
  } catch (const Unsupported& e) {
    throw Unsupported(say(e));
  } catch (const NeedsConstant& e) {
    throw NeedsConstant(say(e), e.inputs);
  } catch (const Error& e) {
    // What the graph refuses is beyond gmc's ops: their dtypes, their shapes.
    if (std::string_view(e.what()).starts_with("error: ")) throw Unsupported(say(e));
    throw Error(say(e));
  }
  graph().context = context;
}

void Importer::run_nodes(const std::vector<Node>& nodes) {
  for (const Node& n : nodes) run_node(n);
}

std::vector<Attribute> Importer::resolved(const std::vector<Attribute>& attributes) const {
  std::vector<Attribute> out;
  for (const Attribute& a : attributes) {
    if (a.reference.empty()) {
      out.push_back(a);
      continue;
    }
    const auto take = [&](const std::vector<Attribute>& list) {
      const auto it = std::find_if(list.begin(), list.end(), [&](const Attribute& x) { return x.name == a.reference; });
      if (it == list.end()) return false;
      out.push_back(*it);
      out.back().name = a.name;
      return true;
    };
    if (!take(call_->attributes)) take(function_->defaults);
  }
  return out;
}

std::vector<Value> Importer::dispatch(const Node& n, std::vector<Value> inputs) {
  for (const Function& f : model_.functions)
    if (f.name == n.op && f.domain == n.domain && f.overload == n.overload) return inline_call(f, n, inputs);
  const auto opset = opsets_->find(n.domain);
  if (opset == opsets_->end()) fail("the model imports no opset of domain '{}'", plain_name(n.domain));
  const Handler handler = handler_of(n.domain, n.op);
  if (!handler) unsupported("there is no operator of this name");
  Node here = n;
  if (function_) here.attributes = resolved(n.attributes);
  Call call(*this, here, std::move(inputs), opset->second);
  return handler(call);
}

std::vector<Value> Importer::inline_call(const Function& f, const Node& n, const std::vector<Value>& inputs) {
  if (depth_ >= max_calls) fail("functions call each other more than {} deep", max_calls);
  if (inputs.size() > f.inputs.size()) fail("the function has {} inputs, got {}", f.inputs.size(), inputs.size());
  Scope scope;
  for (size_t i = 0; i < f.inputs.size(); ++i) scope[f.inputs[i]] = i < inputs.size() ? inputs[i] : Value{};
  // Attributes that the call takes from the function around it are resolved before that is left.
  Node call = n;
  if (function_) call.attributes = resolved(n.attributes);
  std::vector<Scope> outside{std::move(scope)};
  std::swap(scopes_, outside);
  const auto saved = std::tuple(opsets_, call_, function_);
  if (!f.opsets.empty()) opsets_ = &f.opsets;
  call_ = &call;
  function_ = &f;
  ++depth_;
  run_nodes(f.nodes);
  std::vector<Value> results;
  for (const std::string& name : f.outputs) results.push_back(find(name));
  --depth_;
  std::tie(opsets_, call_, function_) = saved;
  std::swap(scopes_, outside);
  return results;
}

std::vector<Value> Importer::run(const Graph& g, const std::vector<Value>& inputs) {
  if (depth_ >= max_calls) fail("graphs lie inside each other more than {} deep", max_calls);
  if (inputs.size() != g.inputs.size()) fail("the graph has {} inputs, got {}", g.inputs.size(), inputs.size());
  scopes_.emplace_back();
  ++depth_;
  take_initializers(g);
  for (size_t i = 0; i < inputs.size(); ++i) scopes_.back()[g.inputs[i].name] = inputs[i];
  run_nodes(g.nodes);
  std::vector<Value> results;
  for (const ValueInfo& v : g.outputs) results.push_back(find(v.name));
  --depth_;
  scopes_.pop_back();
  return results;
}

Importer::Needed Importer::needed(Var v) const {
  Needed out;
  std::vector<int32_t> open{v.value.node};
  while (!open.empty()) {
    const int32_t at = open.back();
    open.pop_back();
    if (!out.nodes.insert(at).second) continue;
    const graph::Node& n = out_.graph.nodes()[static_cast<size_t>(at)];
    if (n.op->category == graph::Category::input && n.text("role") == "data")
      out.inputs.push_back(given_.at(n.text("name")));
    if (n.op->category == graph::Category::random) out.inputs.push_back(n.name);
    for (const graph::Value input : n.inputs)
      if (!evaluated_.count(input)) open.push_back(input.node);
  }
  return out;
}

bool Importer::is_known(Var v) const { return needed(v).inputs.empty(); }

void Importer::refuse_inexact(const std::set<int32_t>& nodes) {
  if (beyond_exact_.empty()) return;
  for (const int32_t at : nodes) {
    const graph::Node& n = out_.graph.nodes()[static_cast<size_t>(at)];
    const bool reads = std::any_of(n.inputs.begin(), n.inputs.end(),
                                   [&](graph::Value input) { return beyond_exact_.count(input.node) > 0; });
    if (!reads) continue;
    using graph::Category;
    const Category c = n.op->category;
    const bool hands_on = c == Category::reshape || c == Category::broadcast || c == Category::transpose ||
                          c == Category::affine || c == Category::gather || n.op->name == std::string_view("concat") ||
                          (n.op->name == std::string_view("select") && !beyond_exact_.count(n.inputs[0].node));
    if (!hands_on) unsupported("'{}' computes with an integer beyond 2^53", n.name);
    beyond_exact_.insert(at);
  }
}

std::vector<double> Importer::evaluate(Var v) {
  if (const auto it = evaluated_.find(v.value); it != evaluated_.end()) return it->second.values;
  const Needed need = needed(v);
  if (!need.inputs.empty())
    throw NeedsConstant(fmt::format("a number that must be known beforehand depends on {}: give a constant",
                                    fmt::join(need.inputs, ", ")),
                        need.inputs);
  refuse_inexact(need.nodes);
  // As the program would compute them: every float rounded to its dtype.
  std::map<graph::Value, graph::Reference> values;
  for (const int32_t at : need.nodes) {
    const graph::Node& n = graph().nodes()[static_cast<size_t>(at)];
    for (const graph::TensorType& type : n.types)
      if (element_count(type.shape) > max_evaluated)
        unsupported("a number that must be known beforehand depends on {}, more than {} elements", to_string(type),
                    max_evaluated);
    if (n.op->category == graph::Category::input) {
      const HostTensor& host = out_.weights.at(n.text("name"));
      values[{at, 0}] = {host.shape, numbers_of(host)};
      continue;
    }
    std::vector<const graph::Reference*> operands;
    std::vector<graph::TensorType> types;
    for (const graph::Value input : n.inputs) {
      const auto it = evaluated_.find(input);
      operands.push_back(it != evaluated_.end() ? &it->second : &values.at(input));
      types.push_back(graph().type(input));
    }
    std::vector<graph::Reference> results = graph::interpret_node({n, operands, types, 0, 0});
    for (size_t r = 0; r < results.size(); ++r) {
      if (is_float(n.types[r].dtype))
        for (double& x : results[r].values) x = rounded_to(n.types[r].dtype, x);
      values[{at, static_cast<int32_t>(r)}] = std::move(results[r]);
    }
  }
  return (evaluated_[v.value] = values.at(v.value)).values;
}

Imported Importer::finish() {
  take_initializers(model_.graph);
  declare_inputs();
  run_nodes(model_.graph.nodes);
  std::set<std::string> results;
  const auto put = [&](const std::string& given, const Value& value, const std::string& wanted, int64_t item) {
    if (!value.var.valid()) unsupported("output '{}' holds no tensor", plain_name(given));
    std::string name = plain_name(wanted);
    while (!results.insert(name).second) name += "_";
    graph().add_output({name, value.var.value, false});
    out_.outputs.push_back({name, given, item});
  };
  for (const ValueInfo& v : model_.graph.outputs) {
    const Value value = find(v.name);
    if (!value.items) {
      put(v.name, value, v.name, -1);
      continue;
    }
    for (size_t i = 0; i < value.items->size(); ++i)
      put(v.name, (*value.items)[i], fmt::format("{}.{}", v.name, i), static_cast<int64_t>(i));
  }
  if (model_.graph.outputs.empty()) fail("the model has no output");
  std::set<int32_t> live;
  std::vector<int32_t> open;
  for (const graph::Output& o : graph().outputs()) open.push_back(o.value.node);
  while (!open.empty()) {
    const int32_t at = open.back();
    open.pop_back();
    if (!live.insert(at).second) continue;
    for (const graph::Value input : graph().nodes()[static_cast<size_t>(at)].inputs) open.push_back(input.node);
  }
  // What the program itself holds, its outputs too, must be exact.
  for (const int32_t at : live)
    if (beyond_exact_.count(at))
      unsupported("'{}' holds an integer beyond 2^53", graph().nodes()[static_cast<size_t>(at)].name);
  graph().context = {};
  out_.nodes = nodes_;
  return std::move(out_);
}

Imported import_model(const Model& model, const Request& request) { return Importer(model, request).finish(); }

}  // namespace gmc::onnx
