#include "tools/gmc/blame.h"

#include "compiler/graph/core_ops.h"
#include "compiler/graph/op.h"
#include "compiler/package/program_source.h"
#include "ops/registry.h"
#include "runtime/base/error.h"

#include <algorithm>

namespace gmc::tool {
namespace {

const graph::OpDef& op_named(std::string_view name) {
  for (const graph::OpDef* op : ops::registry())
    if (op->name == name) return *op;
  fail("no op is called '{}'", name);
}

std::string flag_name(const char* what, graph::Value v) { return fmt::format("{}/{}/{}", what, v.node, v.result); }

std::vector<graph::Value> floating_values(const graph::Graph& g) {
  std::vector<graph::Value> out;
  for (size_t n = 0; n < g.nodes().size(); ++n) {
    const graph::Category category = g.nodes()[n].op->category;
    // An infinity that the model writes down, such as a mask's, is meant.
    if (category == graph::Category::constant || category == graph::Category::literal) continue;
    for (size_t r = 0; r < g.nodes()[n].types.size(); ++r)
      if (is_float(g.nodes()[n].types[r].dtype)) out.push_back({static_cast<int32_t>(n), static_cast<int32_t>(r)});
  }
  return out;
}

// The entry with two outputs more for each value: whether any element is NaN, and whether any is infinite.
graph::Graph with_flags(const graph::Graph& entry) {
  graph::Graph g = entry;
  std::vector<graph::Output> outputs;
  const auto& any = op_named("any");
  for (const graph::Value v : floating_values(entry))
    for (const auto& [what, test] : {std::pair("nan", "is_nan"), std::pair("inf", "is_inf")}) {
      const graph::Value flags = g.add(op_named(test), {v});
      std::vector<int64_t> axes;
      for (size_t a = 0; a < g.type(v).shape.size(); ++a) axes.push_back(static_cast<int64_t>(a));
      const graph::Value flag = axes.empty() ? flags : g.add(any, {flags}, {{"axes", axes}});
      outputs.push_back({flag_name(what, v), flag, false});
    }
  g.set_outputs(std::move(outputs));
  return g;
}

std::string describe(const graph::Graph& g, graph::Value v, const char* what, const std::string& entry, uint64_t step) {
  const graph::Node& node = g.node(v);
  const bool given = node.op->category == graph::Category::input;
  const std::string name = given ? fmt::format("'{}' of entry '{}'", node.text("name"), entry)
                                 : fmt::format("op {} ({}) of entry '{}'", node.op->name, node.name, entry);
  std::string operands;
  for (const graph::Value x : node.inputs)
    operands += fmt::format("{}{} {}", operands.empty() ? "" : ", ", g.node(x).name, graph::to_string(g.type(x)));
  const std::string message = fmt::format("{} {} {} at step {}{}", name, given ? "holds" : "makes", what, step,
                                          operands.empty() ? "" : ", of finite operands: " + operands);
  return node.location.line > 0 ? graph::diagnose(node.location, message) : message;
}

}  // namespace

std::string blame(const Model& model, const std::string& entry, const TensorMap& state, const TensorMap& inputs,
                  const CompileOptions& options, const RunOptions& run, uint64_t step) {
  package::Source source = source_of(model, {entry});
  const graph::Graph& g = *model.program->entry_named(entry).graph;
  source.entries = {with_flags(g)};
  CompileOptions plain = options;
  plain.plan_file.clear();
  package::Session session(package::compile(source, compile_options(plain)), session_options(run));
  session.set_state(state, true);
  const TensorMap flags = session.run(entry, inputs, run.seed, step);
  const auto is_set = [&](const char* key, graph::Value v) {
    const auto it = flags.find(flag_name(key, v));
    return it != flags.end() && it->second.as<uint8_t>()[0] != 0;
  };
  for (const auto& [key, what] : {std::pair("nan", "NaN"), std::pair("inf", "an infinity")})
    for (const graph::Value v : floating_values(g)) {
      if (!is_set(key, v)) continue;
      const auto& from = g.node(v).inputs;
      const auto odd = [&](graph::Value x) { return is_set("nan", x) || is_set("inf", x); };
      if (std::none_of(from.begin(), from.end(), odd)) return describe(g, v, what, entry, step);
    }
  return "";
}

}  // namespace gmc::tool
