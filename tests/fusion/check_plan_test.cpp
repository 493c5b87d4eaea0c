// Damaged plans of real graphs: the checker names rule, kernel and ops.
#include "tests/support/fusion.h"

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace gmc {
namespace {

using fusion::Plan;
using fusion::View;
using graph::Graph;
using graph::Var;
using ::testing::AllOf;
using ::testing::HasSubstr;

// One entry with a product, its epilogue, a softmax over it, a sum over rows and a reader of that sum.
class CheckPlan : public ::testing::Test {
protected:
  CheckPlan() : graph_(make()), view_(graph_), plan_(fusion::policy_none(view_)) {}

  static Graph make() {
    Graph g("step");
    const Var x = tests::data(g, "x", {8, 6}), w = tests::data(g, "w", {6, 6}), b = tests::data(g, "b", {6});
    const Var h = tests::tanh(graph::matmul(x, w) + b);
    tests::output(tests::softmax(h));
    tests::output(h - graph::sum(h, {0}), "centred");
    tests::output(graph::matmul(w, w), "square");
    return g;
  }

  int op(const std::string& name) const { return view_.find(name); }
  // The plan with one kernel of these regions, its ops taken out of wherever they were.
  Plan with(const std::vector<std::vector<std::string>>& regions) const {
    Plan plan = plan_;
    fusion::PlanKernel kernel{"edited", {}, "", ""};
    for (const auto& names : regions) {
      std::vector<int> ops;
      for (const std::string& name : names) ops.push_back(op(name));
      std::sort(ops.begin(), ops.end());
      for (int o : ops) remove(plan, o);
      kernel.regions.push_back(ops);
    }
    plan.kernels.push_back(kernel);
    return plan;
  }
  static void remove(Plan& plan, int op) {
    std::erase_if(plan.kernels, [&](const auto& k) { return k.regions == std::vector<std::vector<int>>{{op}}; });
  }
  std::string check(const Plan& plan) const {
    return tests::error_of([&] { fusion::check_plan(view_, plan); });
  }
  std::string edit(const std::vector<std::vector<std::string>>& regions) const { return check(with(regions)); }

  Graph graph_;
  View view_;
  Plan plan_;
};

TEST_F(CheckPlan, AdmitsPoliciesAndLegalEdits) {
  for (const fusion::Policy& policy : fusion::policies()) EXPECT_EQ(check(policy.make(view_, "")), "") << policy.name;
  EXPECT_EQ(edit({{"matmul", "add", "tanh"}}), "");
  EXPECT_EQ(edit({{"tanh", "reduce", "sub", "exp"}}), "");
  EXPECT_EQ(edit({{"exp", "reduce.2", "div"}, {"sub.2"}}), "");
}

TEST_F(CheckPlan, NamesTheOpThatIsMissingOrTwice) {
  Plan missing = plan_;
  remove(missing, op("tanh"));
  EXPECT_EQ(check(missing), "plan of entry 'step': op 'tanh' is in no kernel");
  Plan twice = plan_;
  twice.kernels.push_back({"again", {{op("tanh")}}, "", ""});
  EXPECT_THAT(check(twice), AllOf(HasSubstr("op 'tanh' is in kernel"), HasSubstr("again in kernel 'again'")));
}

TEST_F(CheckPlan, RefusesEmptyAndDoubledKernels) {
  Plan empty = plan_, hollow = plan_, same = plan_, strange = plan_, mixed = with({{"add", "tanh"}});
  empty.kernels.push_back({"e", {}, "", ""});
  EXPECT_EQ(check(empty), "plan of entry 'step': kernel 'e' has no ops");
  hollow.kernels.push_back({"h", {{}}, "", ""});
  EXPECT_EQ(check(hollow), "plan of entry 'step': kernel 'h' has a region without ops");
  same.kernels[1].id = same.kernels[0].id;
  EXPECT_EQ(check(same), "plan of entry 'step': two kernels are called 'k0'");
  strange.kernels[0].regions[0][0] = 99;
  EXPECT_THAT(check(strange), HasSubstr("names op 99"));
  std::swap(mixed.kernels.back().regions[0][0], mixed.kernels.back().regions[0][1]);
  EXPECT_EQ(check(mixed), "plan of entry 'step': kernel 'edited' lists its ops out of order");
}

TEST_F(CheckPlan, L1NamesTheCycle) {
  EXPECT_THAT(edit({{"add"}, {"exp"}}),
              AllOf(HasSubstr("breaks L1 (convex)"), HasSubstr("tanh reads add"), HasSubstr("waits for edited")));
}

TEST_F(CheckPlan, L2RefusesWhatIsReadElsewhere) {
  Graph g("step");
  const Var a = tests::tanh(tests::data(g, "x", {6, 6})), b = -graph::transpose(a, {1, 0});
  tests::output(a * b);
  tests::output(graph::reshape(a, {4, 9}) * 2.0, "flat");
  const View view(g);
  auto check_region = [&](std::vector<int> ops) {
    Plan plan = fusion::policy_none(view);
    for (int o : ops) remove(plan, o);
    plan.kernels.push_back({"edited", {ops}, "", ""});
    return tests::error_of([&] { fusion::check_plan(view, plan); });
  };
  const int neg = view.find("neg"), mul = view.find("mul"), flat = view.find("mul.2");
  EXPECT_EQ(check_region({0, neg}), "");
  EXPECT_THAT(check_region({0, neg, mul}), HasSubstr("breaks L2 (aligned)"));
  EXPECT_EQ(
      check_region({0, flat}),
      "plan of entry 'step', kernel 'edited' breaks L2 (aligned): mul.2 [4, 9] reads tanh [6, 6] at another point");
}

TEST_F(CheckPlan, L4RefusesReadersOfASumOverRows) {
  EXPECT_EQ(edit({{"reduce.3", "sub.2"}}),
            "plan of entry 'step', kernel 'edited' breaks L4 (cross-row reduction): sub.2 reads reduce.3, which is "
            "complete only after the last row");
}

TEST_F(CheckPlan, L5RefusesToWriteAcrossRows) {
  Graph g("step");
  const Var b = tests::tanh(tests::data(g, "b", {6}));
  tests::output(b, "b");
  tests::output(tests::data(g, "x", {4, 6}) + b);
  const View view(g);
  EXPECT_EQ(tests::error_of([&] { fusion::check_plan(view, {"step", "", "", {{"k", {{0, 1}}, "", ""}}, {}}); }),
            "plan of entry 'step', kernel 'k' breaks L5 (written once): tanh [6] would be written once for every index "
            "of axis 0 of [4, 6]");
}

TEST_F(CheckPlan, L6RefusesDependantsAndProductsSideBySide) {
  EXPECT_THAT(edit({{"add"}, {"tanh"}}), HasSubstr("breaks L6 (side by side): tanh reads add of another region"));
  EXPECT_THAT(edit({{"matmul.2"}, {"tanh"}}), HasSubstr("breaks L6 (side by side): the product matmul.2"));
}

TEST_F(CheckPlan, L7RefusesMoreThanAnEpilogue) {
  EXPECT_THAT(edit({{"matmul", "matmul.2"}}), HasSubstr("breaks L7 (one product): matmul and matmul.2"));
  EXPECT_THAT(edit({{"matmul", "add", "tanh", "reduce.3"}}),
              HasSubstr("breaks L7 (one product): the reduction reduce.3 beside matmul"));
  Graph g("step");
  const Var x = tests::data(g, "x", {6, 6});
  tests::output(graph::matmul(tests::tanh(x), x));
  const View view(g);
  EXPECT_THAT(tests::error_of([&] { fusion::check_plan(view, {"step", "", "", {{"k", {{0, 1}}, "", ""}}, {}}); }),
              HasSubstr("breaks L7 (one product): tanh feeds matmul"));
}

TEST_F(CheckPlan, L7KnowsWhatALibraryTakes) {
  auto library = [&](Plan plan, const char* name) {
    plan.kernels.back().library = name;
    return check(plan);
  };
  EXPECT_EQ(library(with({{"matmul"}}), "onednn"), "");
  EXPECT_THAT(library(with({{"matmul"}}), "mkl"), HasSubstr("breaks L7 (library product): unknown library 'mkl'"));
  EXPECT_THAT(library(with({{"tanh"}}), "onednn"), HasSubstr("one matmul and nothing else"));
  EXPECT_THAT(library(with({{"matmul", "add"}}), "onednn"), HasSubstr("one matmul and nothing else"));
}

TEST_F(CheckPlan, L9CapsARegion) {
  Graph g("step");
  Var sum = tests::data(g, "x", {4});
  for (int i = 0; i < 64; ++i) sum = sum + tests::data(g, fmt::format("x{}", i), {4});
  tests::output(sum);
  const View view(g);
  std::vector<int> all;
  for (int i = 0; i < 64; ++i) all.push_back(i);
  EXPECT_THAT(tests::error_of([&] { fusion::check_plan(view, {"step", "", "", {{"k", {all}, "", ""}}, {}}); }),
              HasSubstr("breaks L9 (size): 66 buffers in a region, at most 64"));
}

// Ops that are calls of the runtime: alone, marked, on operands that are dense where they lie.
TEST(CheckPlanOfCalls, StandAlone) {
  Graph g("step");
  const Var x = tests::data(g, "x", {4, 4}), at = graph::input(g, "at", "data", {DType::i64, {4, 4}});
  const Var y = graph::scatter(graph::transpose(x, {1, 0}), tests::tanh(x), {at}, {0}, {-1, 1}, "add");
  tests::output(tests::tanh(y));
  const View view(g);
  Plan plan = fusion::policy_none(view);
  auto check = [&] { return tests::error_of([&] { fusion::check_plan(view, plan); }); };
  EXPECT_EQ(check(), "");
  ASSERT_EQ(plan.kernels.size(), 4u);  // the transpose, copied; tanh; the call; tanh
  auto call = std::find_if(plan.kernels.begin(), plan.kernels.end(), [](auto& k) { return k.library == "runtime"; });
  ASSERT_NE(call, plan.kernels.end());
  EXPECT_EQ(view.node(call->regions[0][0]).name, "scatter");
  call->library.clear();
  EXPECT_THAT(check(), HasSubstr("breaks L7 (call): scatter is a call of the library 'runtime'"));
  call->library = "onednn";
  EXPECT_THAT(check(), HasSubstr("it must hold one matmul and nothing else, it has scatter"));
  call->library = "runtime";
  std::swap(call->regions, plan.kernels.back().regions);
  EXPECT_THAT(check(), HasSubstr("breaks L7 (call): it must hold one call and nothing else"));
}

// One region for an op and one that reads it through a slice, a flip or padding.
TEST(CheckPlanThroughAffineMaps, NothingElsewhereIsReadInTheRegion) {
  const auto error = [](const std::function<Var(const Var&)>& move) {
    Graph g("step");
    tests::output(tests::tanh(move(tests::tanh(tests::data(g, "x", {300, 4})))));
    const View view(g);
    Plan plan = fusion::policy_none(view);
    plan.kernels[0].regions[0].push_back(plan.kernels.back().regions[0][0]);
    plan.kernels.pop_back();
    return tests::error_of([&] { fusion::check_plan(view, plan); });
  };
  const auto elsewhere = HasSubstr("breaks L2 (aligned): tanh.2 ");
  EXPECT_EQ(error([](const Var& x) { return x; }), "");
  EXPECT_EQ(error([](const Var& x) { return flip(flip(x, {0}), {0}); }), "");
  EXPECT_THAT(error([](const Var& x) { return flip(x, {0}); }), elsewhere);
  EXPECT_THAT(error([](const Var& x) { return flip(x, {1}); }), elsewhere);
  EXPECT_THAT(error([](const Var& x) { return slice(x, 0, 0, 200); }), elsewhere);
  EXPECT_THAT(error([](const Var& x) { return slice(x, 0, 1, 300); }), elsewhere);
  EXPECT_THAT(error([](const Var& x) { return slice(x, 0, 0, 300, 2); }), elsewhere);
  EXPECT_THAT(error([](const Var& x) { return pad(x, {0, 0}, {1, 0}); }), elsewhere);
  EXPECT_THAT(error([](const Var& x) { return pad(x, {0, 1}, {0, 1}); }), elsewhere);
}

TEST(CheckPlanThroughAffineMaps, ALibraryTakesTheFirstRows) {
  const auto error = [](int64_t begin, int64_t step, int64_t axis) {
    Graph g("step");
    const Var w = tests::data(g, "w", {8, 8});
    tests::output(matmul(tests::data(g, "a", {2, axis == 0 ? 4 : 8}), slice(w, axis, begin, begin + 4 * step, step)));
    const View view(g);
    Plan plan = fusion::policy_none(view);
    plan.kernels.back().library = "onednn";
    return tests::error_of([&] { fusion::check_plan(view, plan); });
  };
  const auto not_dense = HasSubstr("breaks L7 (library product): matmul reads w, which is not dense");
  EXPECT_EQ(error(0, 1, 0), "");
  EXPECT_THAT(error(2, 1, 0), not_dense);
  EXPECT_THAT(error(0, 2, 0), not_dense);
  EXPECT_THAT(error(0, 1, 1), not_dense);
}

}  // namespace
}  // namespace gmc
