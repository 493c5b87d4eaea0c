// Policies by the number of kernels they reach; the plan as a file; the report by hand.
#include "compiler/lower/lower.h"
#include "compiler/transform/pass.h"
#include "tests/support/fusion.h"

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc {
namespace {

using fusion::Plan;
using fusion::View;
using graph::Graph;
using graph::Var;
using nlohmann::json;
using ::testing::HasSubstr;

size_t greedy_kernels(const Graph& g) {
  const View view(g);
  const Plan plan = fusion::policy_greedy(view);
  fusion::check_plan(view, plan);
  lower::lower(view, plan);
  return plan.kernels.size();
}

TEST(Greedy, SoftmaxIsOneKernel) {
  Graph g("step");
  tests::output(tests::softmax(tests::data(g, "x", {64, 100})));
  EXPECT_EQ(greedy_kernels(g), 1u);
}

TEST(Greedy, LayerNormIsOneKernel) {
  Graph g("step");
  const Var x = tests::data(g, "x", {64, 100}), scale = tests::data(g, "scale", {100});
  tests::output(tests::layer_norm(x, scale, tests::data(g, "shift", {100})));
  EXPECT_EQ(greedy_kernels(g), 1u);
}

TEST(Greedy, TwentyUpdatesAreOneKernel) {
  Graph g("step");
  for (int i = 0; i < 20; ++i) {
    const Shape shape = i % 2 ? Shape{i + 3} : Shape{16, i + 5};
    auto state = [&](const char* name) {
      return graph::input(g, fmt::format("{}{}", name, i), "state", {DType::f32, shape});
    };
    const Var p = state("p"), m = state("m"), v = state("v"), d = tests::data(g, fmt::format("d{}", i), shape);
    const Var m2 = m * 0.9 + d * 0.1, v2 = v * 0.999 + d * d * 0.001;
    const Var p2 = p - m2 / (graph::apply(ops::sqrt_op, {v2}) + 1e-8) * 1e-3;
    g.add_output({fmt::format("p{}", i), p2.value, true});
    g.add_output({fmt::format("m{}", i), m2.value, true});
    g.add_output({fmt::format("v{}", i), v2.value, true});
  }
  EXPECT_EQ(greedy_kernels(g), 1u);
}

TEST(Greedy, ProductWithBiasAndReluIsOneKernel) {
  Graph g("step");
  const Var x = tests::data(g, "x", {64, 32}), w = tests::data(g, "w", {32, 48}), b = tests::data(g, "b", {48});
  tests::output(ops::max(graph::matmul(x, w) + b, graph::constant(g, 0)));
  EXPECT_EQ(greedy_kernels(g), 1u);
}

// The example of docs/fusion.md.
Plan policy_epilogues(const View& view, const std::string& library = {}) {
  fusion::PlanBuilder builder(view, library);
  auto score = [&](const fusion::Merge& m) {
    return builder.has_product(m.a) || builder.has_product(m.b) ? static_cast<double>(m.bytes_saved) : 0;
  };
  builder.merge_best(score, [](const fusion::Merge&) { return "epilogue"; });
  return builder.finish("epilogues");
}

TEST(Policies, AreAFewLines) {
  Graph g("step");
  const Var x = tests::data(g, "x", {8, 8}), b = tests::data(g, "b", {8});
  tests::output(tests::tanh(graph::matmul(x, x) + b));
  tests::output(tests::softmax(tests::data(g, "z", {9, 8})), "s");
  const View view(g);
  const Plan plan = policy_epilogues(view);
  fusion::check_plan(view, plan);
  EXPECT_EQ(plan.kernels.size(), 6u);
}

TEST(Policies, AreFoundByName) {
  EXPECT_STREQ(fusion::policy_named("greedy").name, "greedy");
  EXPECT_THAT(tests::error_of([] { fusion::policy_named("best"); }),
              HasSubstr("unknown policy 'best': expected one of"));
}

TEST(Libraries, TakeTheProductAlone) {
  Graph g("step");
  const Var x = tests::data(g, "x", {8, 8}), b = tests::data(g, "b", {8});
  tests::output(tests::tanh(graph::matmul(x, x) + b));
  const View view(g);
  EXPECT_EQ(fusion::policy_greedy(view).kernels.size(), 1u);
  const Plan plan = fusion::policy_greedy(view, "onednn");
  fusion::check_plan(view, plan);
  ASSERT_EQ(plan.kernels.size(), 2u);
  EXPECT_EQ(plan.kernels[0].library, "onednn");
  EXPECT_EQ(plan.kernels[1].library, "");
  EXPECT_EQ(fusion::report(view, plan).library_calls, 1);
  EXPECT_THAT(tests::error_of([&] { fusion::policy_none(view, "mkl"); }), HasSubstr("unknown library 'mkl'"));
}

// With products in a library, what follows each of them shares one launch.
TEST(Libraries, LeaveUpdatesToOneLaunch) {
  Graph g("step");
  for (int i = 0; i < 5; ++i) {
    const Var x = tests::data(g, fmt::format("x{}", i), {6, 4 + i}),
              w = tests::data(g, fmt::format("w{}", i), {4 + i, 4 + i});
    tests::output(w - 0.1 * graph::matmul(x, x, true, false), fmt::format("new{}", i));
  }
  const View view(g);
  const fusion::PlanReport r = fusion::report(view, fusion::policy_greedy(view, "onednn"));
  EXPECT_EQ(r.library_calls, 5);
  EXPECT_EQ(r.generated, 1);
}

TEST(Report, CountsBytesByHand) {
  Graph g("step");
  const Var x = tests::data(g, "x", {8, 16}), w = tests::data(g, "w", {16, 4}), b = tests::data(g, "b", {4});
  const Var h = graph::matmul(x, w);  // 512 + 256 read, 128 written
  tests::output(tests::tanh(h + b));  // add: 128 + 16 read, 128 written; tanh: 128 read, 128 written
  const View view(g);
  const fusion::PlanReport apart = fusion::report(view, fusion::policy_none(view));
  EXPECT_EQ(apart.products, 1);
  EXPECT_EQ(apart.generated, 2);
  EXPECT_EQ(apart.bytes_total, 768 + 128 + 144 + 128 + 128 + 128);
  EXPECT_EQ(apart.bytes_between, 4 * 128);
  EXPECT_EQ(apart.bytes_compulsory, 512 + 256 + 16 + 128);
  EXPECT_EQ(apart.flops, 2 * 8 * 4 * 16 + 32 * graph::add_op.cost + 32 * ops::tanh_op.cost);
  const fusion::PlanReport fused = fusion::report(view, fusion::policy_greedy(view));
  EXPECT_EQ(fused.bytes_total, fused.bytes_compulsory);
  EXPECT_EQ(fused.bytes_between, 0);
  EXPECT_EQ(fused.generated + fused.products, 1);
}

class PlanFile : public ::testing::Test {
protected:
  PlanFile() : graph_(make()), view_(graph_) {}
  static Graph make() {
    Graph g("step");
    const Var x = tests::data(g, "x", {8, 16});
    tests::output(tests::softmax(x));
    tests::output(graph::matmul(x, x, true, false), "gram");
    return g;
  }
  std::string read_error(const std::string& text) const {
    return tests::error_of([&] { fusion::plan_from_json(view_, json::parse(text, nullptr, true, true)); });
  }
  Graph graph_;
  View view_;
};

TEST_F(PlanFile, ReadsBackWhatItWrote) {
  const Plan plan = fusion::policy_greedy(view_);
  const std::string text = fusion::to_json(view_, plan).dump();
  EXPECT_EQ(fusion::to_json(view_, fusion::plan_from_json(view_, json::parse(text))).dump(), text);
}

TEST_F(PlanFile, AdmitsCommentsAndSplitsByHand) {
  const std::string text = R"({"fuseplan": 1, "policy": "by hand", // numerator apart
    "kernels": [{"id": "a", "ops": ["exp", "reduce", "sub"]}, {"ops": ["reduce.2", "div"]},
                {"id": "gram", "regions": [["matmul"]], "library": "onednn"}]})";
  const Plan plan = fusion::plan_from_json(view_, json::parse(text, nullptr, true, true));
  EXPECT_NO_THROW(fusion::check_plan(view_, plan));
  EXPECT_EQ(plan.kernels[1].id, "k1");
  EXPECT_EQ(plan.kernels[2].library, "onednn");
  EXPECT_EQ(lower::lower(view_, plan).size(), 3u);
}

TEST_F(PlanFile, RefusesAnotherGraph) {
  EXPECT_THAT(read_error(R"({"fuseplan": 1, "graph": "0123456789abcdef", "kernels": []})"),
              HasSubstr("plan of entry 'step' was made for another graph: 0123456789abcdef in the plan"));
}

TEST_F(PlanFile, SaysWhatIsMalformed) {
  const std::pair<const char*, const char*> cases[] = {
      {"[]", "expected an object with \"fuseplan\": 1"},
      {R"({"fuseplan": 2, "kernels": []})", "expected an object with \"fuseplan\": 1"},
      {R"({"fuseplan": 1})", "expected an array \"kernels\""},
      {R"({"fuseplan": 1, "policy": 3, "kernels": []})", "'policy' must be a string"},
      {R"({"fuseplan": 1, "kernels": [3]})", "a kernel must be an object"},
      {R"({"fuseplan": 1, "kernels": [{"id": "a"}]})", "kernel 'a': expected either \"ops\" or \"regions\""},
      {R"({"fuseplan": 1, "kernels": [{"ops": ["exp"], "regions": []}]})", "expected either \"ops\" or \"regions\""},
      {R"({"fuseplan": 1, "kernels": [{"regions": 3}]})", "\"regions\" must be an array"},
      {R"({"fuseplan": 1, "kernels": [{"ops": "exp"}]})", "a region must be an array of op names"},
      {R"({"fuseplan": 1, "kernels": [{"ops": [3]}]})", "an op must be named by a string"},
      {R"({"fuseplan": 1, "kernels": [{"ops": ["exq"]}]})", "kernel 'k0': the graph has no op 'exq'"},
      {R"({"fuseplan": 1, "kernels": [{"id": "a", "ops": ["exp"], "bodies": []}]})",
       "kernel 'a': \"bodies\" are of a kernel that holds one loop or cond"},
      {R"({"fuseplan": 1, "kernels": [], "decisions": 3})", "a decision must be an object"},
  };
  for (const auto& [text, message] : cases) EXPECT_THAT(read_error(text), HasSubstr(message)) << text;
}

TEST_F(PlanFile, HashIgnoresLocationsOnly) {
  Graph elsewhere = make();
  EXPECT_EQ(fusion::graph_hash(elsewhere), fusion::graph_hash(graph_));
  Graph located("step");
  located.context.location = {"model.cpp", 3, 4};
  const Var x = tests::data(located, "x", {8, 16});
  tests::output(tests::softmax(x));
  tests::output(graph::matmul(x, x, true, false), "gram");
  EXPECT_EQ(fusion::graph_hash(located), fusion::graph_hash(graph_));
  tests::output(tests::tanh(x), "more");
  EXPECT_NE(fusion::graph_hash(located), fusion::graph_hash(graph_));
}

}  // namespace
}  // namespace gmc
