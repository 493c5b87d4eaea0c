#include "compiler/fusion/plan.h"

#include "compiler/fusion/policy.h"
#include "compiler/graph/core_loop.h"
#include "tests/fuzz/fuzz.h"

#include <nlohmann/json.hpp>

namespace gmc::fuzz {
namespace {

struct Model {
  graph::Graph graph;
  fusion::View view;
  Model() : graph(make()), view(graph) {}
  static graph::Graph make() {
    graph::Graph g("step");
    const graph::Var x = graph::input(g, "x", "data", {DType::f32, {8, 16}});
    const graph::Var sums = graph::reduce(x * x, "sum", {1});
    g.add_output({"y", (x / graph::broadcast(sums, {8, 16}, {0}) + 1.0).value, false});
    g.add_output({"gram", graph::matmul(x, x, true, false).value, false});
    auto body = std::make_shared<graph::Graph>("body");
    graph::argument(*body, "trip", {DType::i64, {}});
    const graph::Var carried = graph::argument(*body, "carried", {DType::f32, {8, 16}});
    body->add_output({"next", (carried * 2.0).value, false});
    g.add_output({"last", graph::scan(g, body, 3, {x}, {}, {})[0].value, false});
    return g;
  }
};

const fusion::View& view() {
  static const Model model;
  return model.view;
}

}  // namespace

std::vector<Seed> seeds() {
  std::vector<Seed> result;
  for (const fusion::Policy& policy : fusion::policies())
    for (const bool plain : {false, true}) {
      auto json = fusion::to_json(view(), policy.make(view(), ""));
      for (auto& kernel : json["kernels"])
        if (kernel.contains("library")) kernel["bodies"] = nlohmann::json::parse(R"([{"fuseplan": 1, "kernels": []}])");
      if (plain)
        for (const char* key : {"graph", "report", "decisions"}) json.erase(key);
      result.push_back(seed_of(json.dump()));
    }
  return result;
}

void read(files::Bytes bytes) {
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text_of(bytes), nullptr, true, true);
  } catch (const nlohmann::json::exception&) {
    return;
  }
  fusion::Plan plan = fusion::plan_from_json(view(), json);
  if (const nlohmann::json* body = fusion::body_plan(json, "scan", 0)) require(body != &json, "a plan is its own body");
  fusion::check_plan(view(), plan);
  fusion::order_kernels(view(), plan);
  const std::string text = fusion::to_json(view(), plan).dump();
  const fusion::Plan again = fusion::plan_from_json(view(), nlohmann::json::parse(text));
  require(fusion::to_json(view(), again).dump() == text, "a plan changes when printed: " + text);
}

}  // namespace gmc::fuzz
