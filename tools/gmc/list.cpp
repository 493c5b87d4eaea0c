// gmc list: what there is.
#include "compiler/codegen/target.h"
#include "compiler/fusion/policy.h"
#include "compiler/graph/op.h"
#include "compiler/transform/pass.h"
#include "models/builtin.h"
#include "ops/registry.h"
#include "runtime/base/error.h"
#include "runtime/data/dataset.h"
#include "tools/gmc/command.h"

namespace gmc::tool {
namespace {

using json = nlohmann::ordered_json;

const char* category_name(graph::Category c) {
  using graph::Category;
  switch (c) {
  case Category::input:
    return "input";
  case Category::constant:
  case Category::literal:
  case Category::index:
    return "constant";
  case Category::elementwise:
    return "elementwise";
  case Category::broadcast:
  case Category::reshape:
  case Category::transpose:
  case Category::affine:
    return "movement";
  case Category::gather:
    return "gather";
  case Category::routine:
    return "routine";
  case Category::reduce:
    return "reduction";
  case Category::matmul:
    return "product";
  case Category::random:
    return "random";
  case Category::loop:
  case Category::while_loop:
  case Category::cond:
    return "control";
  case Category::composite:
    return "composite";
  }
  return "";
}

json rows(const std::string& what) {
  json out = json::array();
  if (what == "models") {
    for (auto definition : builtin_models()) {
      const ModelDefinition* m = definition();
      json sizes = json::object();
      for (const std::string& size : m->sizes)
        for (const auto& [field, value] : m->values(size)) sizes[size][field] = value;
      out.push_back({{"name", m->name}, {"sizes", sizes}});
    }
  } else if (what == "ops") {
    for (const graph::OpDef* op : ops::registry())
      out.push_back({{"name", op->name},
                     {"category", category_name(op->category)},
                     {"operands", op->arity},
                     {"differentiable", op->differentiable()},
                     {"samples", op->samples ? op->samples().size() : 0},
                     {"bad_samples", op->bad_samples ? op->bad_samples().size() : 0}});
  } else if (what == "passes") {
    for (const auto& pass : transform::passes()) out.push_back({{"name", pass.name}, {"help", pass.help}});
  } else if (what == "policies") {
    for (const auto& policy : fusion::policies()) out.push_back({{"name", policy.name}, {"help", policy.help}});
  } else if (what == "targets") {
    for (const std::string& name : codegen::target_names()) {
      const codegen::Target t = codegen::target_named(name);
      out.push_back({{"name", name}, {"cpu", t.cpu}, {"lanes", t.lanes}, {"registers", t.registers}});
    }
  } else if (what == "data") {
    for (const auto& kind : data::dataset_kinds()) out.push_back({{"name", kind.name}, {"help", kind.help}});
  } else {
    check_choice("list", what, {"models", "ops", "passes", "policies", "targets", "data"});
  }
  return out;
}

void print(const json& table) {
  for (const auto& row : table) {
    std::string line = fmt::format("{:<24}", row.at("name").get<std::string>());
    for (const auto& [key, value] : row.items()) {
      if (key == "name") continue;
      if (key == "help")
        line += value.get<std::string>();
      else if (value.is_object()) {
        for (const auto& [name, fields] : value.items()) {
          line += fmt::format("\n  {:<8}", name);
          for (const auto& [field, v] : fields.items()) line += fmt::format(" {}={}", field, v.get<std::string>());
        }
      } else
        line += fmt::format("{} {}  ", key, value.is_string() ? value.get<std::string>() : value.dump());
    }
    fmt::print("{}\n", line);
  }
}

}  // namespace

void add_list(CLI::App& app, int&) {
  struct Options {
    std::string what;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("list", "list models, ops, passes, policies, targets or data");
  verb->add_option("what", o->what, "models, ops, passes, policies, targets or data")->required();
  verb->add_flag("--json", o->json, "as JSON");
  verb->footer("\nExample: gmc list ops --json");
  verb->callback([o] {
    const json table = rows(o->what);
    if (o->json)
      fmt::print("{}\n", table.dump(2));
    else
      print(table);
  });
}

}  // namespace gmc::tool
