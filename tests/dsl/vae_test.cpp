#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/graph/text.h"
#include "compiler/transform/pass.h"
#include "models/builtin.h"
#include "models/load.h"
#include "ops/registry.h"
#include "runtime/execute/random.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

Program& vae() {
  static Program* program = [] {
    auto* p = new Program;
    load_model("vae-mlp").build(*p, "tiny");
    return p;
  }();
  return *program;
}

TEST(Vae, names_shapes_and_states_in_order) {
  std::vector<std::string> names, shapes;
  for (const State& s : vae().states()) {
    names.push_back(s.name);
    shapes.push_back(to_string(s.shape));
  }
  ASSERT_EQ(names.size(), 31u);
  const std::vector<std::string> first(names.begin(), names.begin() + 14);
  EXPECT_EQ(first, (std::vector<std::string>{"fc1.weight", "fc1.bias", "mu.weight", "mu.bias", "logvar.weight",
                                             "logvar.bias", "fc3.weight", "fc3.bias", "fc4.weight", "fc4.bias",
                                             "adam.t", "adam.m.fc1.weight", "adam.v.fc1.weight", "adam.m.fc1.bias"}));
  EXPECT_EQ(shapes[0], "[400, 784]");
  EXPECT_EQ(shapes[9], "[784]");
  EXPECT_EQ(vae().state_named("fc1.weight").kind, StateKind::parameter);
  EXPECT_EQ(vae().state_named("adam.t").kind, StateKind::optimizer);
}

TEST(Vae, entries_have_named_outputs_updates_and_gradients) {
  std::vector<std::string> entries;
  for (const Entry& e : vae().entries()) entries.push_back(e.name);
  EXPECT_EQ(entries,
            (std::vector<std::string>{"step", "eval", "log_weight", "encode", "decode", "reconstruct", "sample"}));
  const Entry& step = vae().entry_named("step");
  ASSERT_EQ(step.gradients.size(), 10u);
  EXPECT_EQ(step.gradients[0].first, "fc1.weight");
  EXPECT_EQ(step.graph->type(step.gradients[0].second).shape, (Shape{400, 784}));
  int updates = 0;
  for (const graph::Output& o : step.graph->outputs()) updates += o.is_state;
  EXPECT_EQ(updates, 31);
  EXPECT_EQ(vae().entry_named("eval").graph->outputs().size(), 1u);
}

TEST(Vae, ops_are_named_after_their_layer_and_placed_in_the_model) {
  const graph::Graph& g = *vae().entry_named("step").graph;
  bool found = false;
  for (const graph::Node& n : g.nodes()) {
    EXPECT_NE(n.location.file.find("vae-mlp.cpp"), std::string::npos) << n.name << " " << to_string(n.location);
    found |= n.name == "fc1/matmul";
  }
  EXPECT_TRUE(found);
}

TEST(Vae, draws_are_keyed_by_entry_and_name) {
  const graph::Graph& g = *vae().entry_named("sample").graph;
  for (const graph::Node& n : g.nodes())
    if (n.op->category == graph::Category::random) {
      EXPECT_EQ(static_cast<uint64_t>(n.integer("stream")), execute::stream_of("sample/z"));
      EXPECT_EQ(n.types[0].shape, (Shape{64, 20}));
    }
}

TEST(Vae, every_entry_prints_and_parses_back_before_and_after_the_pipeline) {
  for (const Entry& e : vae().entries()) {
    graph::verify(*e.graph);
    const std::string text = graph::print(*e.graph);
    EXPECT_EQ(graph::print(graph::parse(text, ops::registry())), text);
    const std::string after = graph::print(transform::run_pipeline(*e.graph));
    EXPECT_EQ(graph::print(graph::parse(after, ops::registry())), after);
  }
}

TEST(Vae, capturing_twice_gives_the_same_text) {
  Program again;
  load_model("vae-mlp").build(again, "tiny");
  EXPECT_EQ(graph::print(*again.entry_named("step").graph), graph::print(*vae().entry_named("step").graph));
}

}  // namespace
}  // namespace gmc
