// Programs that have gone wrong once, or are at the edge of what a kernel can say.
#include "compiler/dsl/program.h"
#include "ops/elementwise.h"
#include "ops/ops.h"
#include "tests/support/agree.h"
#include "tests/support/fusion.h"

namespace gmc {
namespace {

using namespace graph;

class Corners : public testing::TestWithParam<const char*> {
protected:
  void expect_agreement(const Graph& g) { tests::expect_agreement(g, tests::with_policy(GetParam()), 3); }
};

TEST_P(Corners, ProductsWithOneNumberInEveryElement) {
  Graph g("step");
  const Var w = tests::data(g, "w", {3, 5});
  const Var ones = broadcast_to(constant(g, 1), {4, 3});
  tests::output(matmul(ones, w), "y");
  tests::output(matmul(w, broadcast_to(constant(g, 0.5), {5, 7})), "z");
  expect_agreement(g);
}

TEST_P(Corners, SumsOverRowsOfWhatDoesNotVaryAlongColumns) {
  Graph g("step");
  const Var x = tests::data(g, "x", {6, 1});
  tests::output(sum(broadcast_to(x, {6, 37}), {0}), "rows");
  tests::output(sum(broadcast_to(x, {6, 37}), {1}), "columns");
  tests::output(sum(broadcast_to(x, {6, 37})), "all");
  expect_agreement(g);
}

TEST_P(Corners, ReductionsOverNothing) {
  Graph g("step");
  const Var x = tests::data(g, "x", {0, 3});
  tests::output(sum(x, {0}), "sum");
  tests::output(reduce(x * 2.0, "prod"), "prod");
  expect_agreement(g);
}

TEST_P(Corners, StatesThatChangePlaces) {
  Graph g("step");
  const Var a = input(g, "a", "state", {f32, {5}}), b = input(g, "b", "state", {f32, {5}});
  g.add_output({"a", b.value, true});
  g.add_output({"b", a.value, true});
  g.add_output({"old", a.value, false});
  expect_agreement(g);
}

TEST_P(Corners, AStateReadAfterItsUpdateIsComputed) {
  Graph g("step");
  const Var a = input(g, "a", "state", {f32, {40, 30}}), x = tests::data(g, "x", {30, 30});
  const Var next = a * 0.5 + 1.0;
  g.add_output({"a", next.value, true});
  tests::output(matmul(a, x), "product of the old");
  tests::output(matmul(next, x), "product of the new");
  tests::output(sum(a, {0}), "columns of the old");
  expect_agreement(g);
}

TEST_P(Corners, OneValueUnderSeveralNames) {
  Graph g("step");
  const Var s = input(g, "s", "state", {f32, {3}}), x = tests::data(g, "x", {3});
  const Var y = x + s;
  tests::output(y, "y");
  tests::output(y, "again");
  tests::output(x, "input");
  g.add_output({"s", y.value, true});
  expect_agreement(g);
}

TEST_P(Corners, SoftmaxOfLongRowsInSeveralPasses) {
  Graph g("step");
  tests::output(tests::softmax(tests::data(g, "x", {9, 1030})), "y");
  tests::output(tests::softmax(transpose(tests::data(g, "z", {33, 7}), {1, 0})), "t");
  expect_agreement(g);
}

TEST_P(Corners, DrawsBehindProducts) {
  Graph g("step");
  const Var x = tests::data(g, "x", {20, 30});
  const Var e{&g, g.add(ops::random_op, {},
                        {{"distribution", "normal"},
                         {"dtype", "f32"},
                         {"name", "e"},
                         {"shape", Shape{20, 20}},
                         {"stream", int64_t{7}}})};
  tests::output(matmul(x, x, false, true) + e, "y");
  tests::output(transpose(e, {1, 0}), "t");
  expect_agreement(g);
}

// Two masks meet, of what is inside and of what is left of a row; a register of the vector has no element left.
TEST_P(Corners, NothingIsReadBehindRowsOfWideElements) {
  for (const int64_t columns : {3, 4, 5, 9, 16}) {
    Program p;
    p.entry("e", [&] {
      Tensor x = input("x", f64, {1, 1, columns});
      Tensor y = max_pool(x, {3}, {.step = {2}, .padding = {1}});
      output("g", gradients(sum(sin(stack({y, y}))), {x})[0]);
    });
    expect_agreement(*p.entries()[0].graph);
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, Corners, testing::Values("none", "greedy"),
                         [](const auto& p) { return std::string(p.param); });

}  // namespace
}  // namespace gmc
