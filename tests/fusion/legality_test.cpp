// Each rule of legality refuses the smallest region that breaks it, and names its ops.
#include "compiler/fusion/legality.h"
#include "tests/support/fusion.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc {
namespace {

using fusion::View;
using graph::Graph;
using graph::Var;
using ::testing::HasSubstr;

// `L4: the witness` of the region of these ops, or `legal [extents]`.
std::string verdict(const Graph& g, const std::vector<std::string>& names) {
  const View view(g);
  std::vector<int> ops;
  for (const std::string& name : names) ops.push_back(view.find(name));
  std::sort(ops.begin(), ops.end());
  const auto bound = fusion::bind_region(view, ops, fusion::stored_ops(view, ops));
  if (const auto* refusal = std::get_if<fusion::Refusal>(&bound)) return refusal->rule + ": " + refusal->witness;
  return "legal " + to_string(std::get<fusion::Binding>(bound).domain);
}
std::string whole(const Graph& g) {
  std::vector<std::string> names;
  const View view(g);
  for (size_t i = 0; i < view.ops().size(); ++i) names.push_back(view.node(static_cast<int>(i)).name);
  return verdict(g, names);
}

TEST(Legality, L1RefusesToWaitForOneself) {
  Graph g("step");
  const Var x = tests::data(g, "x", {8, 8}), a = tests::tanh(x), p = graph::matmul(a, x);
  tests::output(a + p);
  const View view(g);
  fusion::PlanBuilder builder(view);
  const auto verdict = builder.try_merge(view.find("tanh"), view.find("add"), false);
  ASSERT_TRUE(std::holds_alternative<fusion::Refusal>(verdict));
  EXPECT_EQ(std::get<fusion::Refusal>(verdict).rule, "L1");
}

TEST(Legality, L2RefusesAnotherAxis) {
  Graph g("step");
  const Var x = tests::data(g, "x", {8, 8}), a = tests::tanh(x);
  tests::output(a + graph::transpose(a, {1, 0}));
  EXPECT_EQ(whole(g), "L2: add reads tanh along another axis");
}

TEST(Legality, L2RefusesReshapes) {
  Graph g("step");
  const Var x = tests::data(g, "x", {4, 6});
  tests::output(-graph::reshape(tests::tanh(x), {8, 3}));
  EXPECT_EQ(whole(g), "L2: neg over [8, 3] does not lie in [4, 6]");
  Graph square("step");
  const Var z = tests::data(square, "z", {6, 6});
  tests::output(-graph::reshape(graph::reshape(tests::tanh(z), {36}), {6, 6}));
  EXPECT_EQ(whole(square), "L2: neg reads tanh at another point");
}

TEST(Legality, L2RefusesForeignShapes) {
  Graph g("step");
  tests::output(tests::tanh(tests::data(g, "x", {4, 6})));
  tests::output(-tests::data(g, "z", {5, 2}), "z");
  EXPECT_EQ(whole(g), "L2: neg over [5, 2] does not lie in [4, 6]");
}

TEST(Legality, L2AllowsTransposedAndSqueezedReaders) {
  Graph g("step");
  const Var x = tests::data(g, "x", {4, 6}), a = tests::tanh(x);
  tests::output(-graph::transpose(a, {1, 0}));
  tests::output(graph::reshape(a, {4, 1, 6}) * 2.0, "squeezed");
  EXPECT_EQ(whole(g), "legal [4, 6]");
}

TEST(Legality, L3AllowsWhatFollowsARow) {
  Graph g("step");
  tests::output(tests::softmax(tests::data(g, "x", {4, 6})));
  EXPECT_EQ(whole(g), "legal [4, 6]");
}

TEST(Legality, L4RefusesToReadASumOverRows) {
  Graph g("step");
  const Var x = tests::data(g, "x", {4, 6});
  tests::output(x - graph::sum(x, {0}));
  EXPECT_EQ(whole(g), "L4: sub reads reduce, which is complete only after the last row");
}

TEST(Legality, L4RefusesASumOverSomeRows) {
  Graph g("step");
  const Var x = tests::data(g, "x", {3, 4, 6}), a = tests::data(g, "a", {4, 6});
  tests::output(x + graph::sum(a, {0}));
  tests::output(x * a, "wide");
  EXPECT_THAT(verdict(g, {"reduce", "mul"}), HasSubstr("L4: reduce reduces some of the row axes of [3, 4, 6]"));
}

TEST(Legality, L4AllowsASumOverRowsThatOthersRead) {
  Graph g("step");
  const Var a = tests::tanh(tests::data(g, "x", {4, 6}));
  tests::output(a);
  tests::output(-graph::sum(a, {0}), "s");
  EXPECT_EQ(verdict(g, {"tanh", "reduce"}), "legal [4, 6]");
}

TEST(Legality, L5RefusesToStoreAcrossRows) {
  Graph g("step");
  const Var b = tests::tanh(tests::data(g, "b", {6}));
  tests::output(b, "b");
  tests::output(tests::data(g, "x", {4, 6}) + b);
  EXPECT_EQ(whole(g), "L5: tanh [6] would be written once for every index of axis 0 of [4, 6]");
}

TEST(Legality, L5AllowsToStoreARowsValue) {
  Graph g("step");
  const Var x = tests::data(g, "x", {4, 6}), s = tests::row_reduce(x, "max");
  tests::output(graph::reshape(s, {4}) * 2.0, "s");
  tests::output(x - s);
  EXPECT_EQ(whole(g), "legal [4, 6]");
}

TEST(Legality, L6RefusesProductsAndDependantsSideBySide) {
  Graph g("step");
  const Var x = tests::data(g, "x", {8, 8}), a = tests::tanh(x);
  tests::output(-a);
  tests::output(graph::matmul(x, x), "p");
  const View view(g);
  fusion::PlanBuilder builder(view);
  const auto rule = [&](const char* p, const char* q) {
    const auto v = builder.try_merge(view.find(p), view.find(q), true);
    const auto* refusal = std::get_if<fusion::Refusal>(&v);
    return refusal ? refusal->rule + ": " + refusal->witness : "legal";
  };
  EXPECT_EQ(rule("tanh", "neg"), "L6: one depends on the other");
  EXPECT_EQ(rule("tanh", "matmul"), "L6: a product does not share a launch");
}

TEST(Legality, L7AllowsAnEpilogueAndNothingElse) {
  Graph g("step");
  const Var x = tests::data(g, "x", {8, 8}), a = tests::tanh(x), p = graph::matmul(a, x);
  const Var b = tests::data(g, "b", {8}), q = ops::max(p + b, b);
  tests::output(q);
  tests::output(tests::row_reduce(q), "s");
  tests::output(graph::matmul(q, x), "r");
  EXPECT_EQ(verdict(g, {"matmul", "add", "max"}), "legal [8, 8]");
  EXPECT_EQ(verdict(g, {"tanh", "matmul"}), "L7: tanh feeds the product matmul");
  EXPECT_EQ(verdict(g, {"max", "matmul", "reduce"}), "L7: the reduction reduce over the product matmul");
  EXPECT_EQ(verdict(g, {"matmul", "matmul.2"}), "L7: two products: matmul and matmul.2");
}

TEST(Legality, L9CapsBuffersButNotConstants) {
  const auto sum_of = [](int inputs, int constants) {
    Graph g("step");
    Var sum = tests::data(g, "x", {4});
    for (int i = 1; i < inputs; ++i) sum = sum + tests::data(g, fmt::format("x{}", i), {4});
    for (int i = 0; i < constants; ++i) sum = sum + 0.5 * i;
    tests::output(sum);
    return whole(g);
  };
  EXPECT_EQ(sum_of(63, 80), "legal [4]");
  EXPECT_EQ(sum_of(64, 0), "L9: 65 buffers");
  EXPECT_EQ(sum_of(2, 256), "L9: 257 ops");
}

}  // namespace
}  // namespace gmc
