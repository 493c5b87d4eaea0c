// Lowering by example: what each kind of region computes, tile by tile.
#include "compiler/lower/lower.h"
#include "compiler/transform/pass.h"
#include "tests/support/fusion.h"
#include "tests/support/random_graph.h"
#include "tests/support/run_kernels.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

using graph::Graph;
using graph::Var;

// Worst error over policies, in f64: only the order of sums differs.
double error_of_lowering(const Graph& g) {
  double worst = 0;
  for (const fusion::Policy& policy : fusion::policies()) {
    const fusion::View view(g);
    const fusion::Plan plan = policy.make(view, "");
    fusion::check_plan(view, plan);
    worst = std::max(worst, tests::lowering_error(g, lower::lower(view, plan), tests::random_inputs(g, 1)));
  }
  return worst;
}

TEST(Lowering, FoldsRowsOfWhatDoesNotVaryAlongTheColumns) {
  Graph g("step");
  const Var x = tests::data(g, "x", {6, 1});
  tests::output(graph::sum(graph::broadcast_to(x, {6, 5}), {0}));
  EXPECT_LT(error_of_lowering(g), 1e-12);
}

TEST(Lowering, FoldsRowsOfAConstant) {
  Graph g("step");
  tests::output(graph::sum(graph::constant(g, 0.5, {DType::f32, {6, 5}}), {0}));
  EXPECT_LT(error_of_lowering(g), 1e-12);
}

TEST(Lowering, SumsColumnsOfWhatDoesNotVaryAlongThem) {
  Graph g("step");
  const Var x = tests::data(g, "x", {6, 1});
  tests::output(graph::sum(graph::broadcast_to(x, {6, 5}), {1}));
  tests::output(graph::sum(graph::broadcast_to(x, {6, 5})), "all");
  EXPECT_LT(error_of_lowering(g), 1e-12);
}

TEST(Lowering, CombinesPartialResultsOfManyTiles) {
  Graph g("step");
  const Var x = tests::data(g, "x", {700, 130}), b = tests::data(g, "b", {130});
  const Var y = tests::tanh(x + b);
  tests::output(y, "y");
  tests::output(graph::sum(y, {0}), "columns");
  tests::output(graph::sum(y), "all");
  tests::output(graph::reduce(y, "max"), "max");
  tests::output(graph::sum(tests::softmax(y) * x, {0}), "weighted");
  tests::output(graph::sum(tests::row_reduce(y)), "by row");
  EXPECT_LT(error_of_lowering(g), 1e-9);
}

TEST(Lowering, StoresTransposedAndBroadcastValues) {
  Graph g("step");
  const Var x = tests::data(g, "x", {9, 4}), b = tests::data(g, "b", {9});
  const Var y = tests::tanh(x);
  tests::output(y, "y");
  tests::output(graph::transpose(y, {1, 0}) + b, "t");
  tests::output(graph::broadcast_to(b, {3, 9}), "spread");
  tests::output(graph::reshape(graph::transpose(x, {1, 0}), {36}), "flat");
  EXPECT_LT(error_of_lowering(g), 1e-12);
}

TEST(Lowering, ReadsTransposedAndConstantOperandsOfProducts) {
  Graph g("step");
  const Var a = tests::data(g, "a", {7, 5}), b = tests::data(g, "b", {7, 3}), v = tests::data(g, "v", {5});
  tests::output(graph::matmul(a, b, true, false), "flag");
  tests::output(graph::matmul(graph::transpose(a, {1, 0}), b), "moved");
  tests::output(graph::matmul(graph::reshape(v, {1, 5}), a, false, true), "row");
  tests::output(graph::matmul(a, graph::reshape(v, {5, 1})), "column");
  tests::output(graph::matmul(a, graph::broadcast_to(graph::reshape(v, {5, 1}), {5, 4})), "spread");
  tests::output(graph::matmul(a, graph::constant(g, 2.0, {DType::f32, {5, 3}})), "constant");
  EXPECT_LT(error_of_lowering(g), 1e-12);
}

TEST(Lowering, ReadsBatchesOfProducts) {
  Graph g("step");
  const Var q = tests::data(g, "q", {2, 5, 3, 4}), w = tests::data(g, "w", {4, 7}),
            bias = tests::data(g, "bias", {3, 1, 5});
  const Var heads = graph::transpose(q, {0, 2, 1, 3});
  const Var scores = graph::matmul(heads, heads, false, true) + bias;
  tests::output(scores, "scores");
  tests::output(graph::matmul(scores, heads, true, false), "weighted");
  tests::output(graph::matmul(heads, graph::broadcast_to(w, {2, 3, 4, 7})), "projection");
  tests::output(graph::transpose(graph::matmul(q, graph::broadcast_to(w, {2, 5, 4, 7})), {0, 2, 1, 3}), "shared");
  tests::output(graph::matmul(tests::data(g, "a", {2, 3, 0}), tests::data(g, "b", {2, 0, 4})) + 1.0, "of nothing");
  EXPECT_LT(error_of_lowering(g), 1e-12);
}

// A layer on [B, T, C] is a layer on B * T rows; heads that lie between the rows stay a batch.
TEST(Lowering, MergesABatchThatContinues) {
  Graph g("step");
  const Var x = tests::data(g, "x", {3, 5, 8}), w = tests::data(g, "w", {8, 7}), bias = tests::data(g, "bias", {7});
  tests::output(graph::matmul(x, graph::broadcast_to(w, {3, 8, 7})) + bias, "layer");
  const Var heads = graph::transpose(graph::reshape(x, {3, 5, 2, 4}), {0, 2, 1, 3});
  tests::output(graph::matmul(heads, heads, false, true), "scores");
  const fusion::View view(g);
  const auto steps = lower::lower(view, fusion::policy_greedy(view, ""));
  ASSERT_EQ(steps.size(), 2u);
  const kernel::Region &layer = steps[0].kernel.phases[0].regions[0], &scores = steps[1].kernel.phases[0].regions[0];
  EXPECT_EQ(layer.extents, (Shape{15, 7}));
  EXPECT_TRUE(layer.product->at_a.strides.empty());
  EXPECT_EQ(scores.extents, (Shape{3, 2, 5, 5}));
  EXPECT_EQ(scores.product->at_b.strides, (Shape{40, 4}));
}

// A convolution reads its windows from the padded image, and a wrong distance between two of them is seen.
TEST(Lowering, UnfoldsWindows) {
  Graph g("step");
  const Var x = tests::data(g, "x", {2, 3, 6, 5}), w = tests::data(g, "w", {2, 4, 18});
  const Var windows =
      graph::windows(graph::pad(x, {0, 0, 1, 1}, {0, 0, 1, 0}), {2, 3}, {3, 2}, {1, 2}, {0, 0}, {0, 0}, {2, 1});
  const Var columns = graph::reshape(graph::transpose(windows, {0, 1, 4, 5, 2, 3}), {2, 18, 12});
  tests::output(graph::matmul(w, columns) * 2.0, "y");
  EXPECT_LT(error_of_lowering(g), 1e-12);
  const fusion::View view(g);
  auto steps = lower::lower(view, fusion::policy_greedy(view, ""));
  kernel::Product& product = *steps.back().kernel.phases[0].regions[0].product;
  ASSERT_TRUE(product.unfolded.has_value());
  EXPECT_EQ(product.unfolded->k, (kernel::Axes{{3, 3, 2}, {48, 12, 1}}));
  EXPECT_EQ(product.unfolded->n, (kernel::Axes{{12}, {2}}));
  const auto inputs = tests::random_inputs(g, 1);
  for (kernel::Axes* axes : {&product.unfolded->k, &product.unfolded->n})
    for (int64_t& stride : axes->strides) {
      --stride;
      EXPECT_GT(tests::lowering_error(g, steps, inputs), 1e-3);
      ++stride;
    }
}

TEST(Lowering, ReducesNothingToTheIdentity) {
  Graph g("step");
  const Var x = tests::data(g, "x", {0, 3}), y = tests::data(g, "y", {3, 0});
  tests::output(graph::sum(x, {0}), "rows");
  tests::output(graph::reduce(x, "prod"), "all");
  tests::output(graph::sum(y, {1}), "columns");
  tests::output(tests::tanh(x), "empty");
  EXPECT_EQ(error_of_lowering(g), 0);
}

TEST(Lowering, SaysWhichOpAndDtypeItCannotCompile) {
  Graph g("step");
  const Var x = graph::input(g, "x", "data", {DType::bf16, {4}});
  tests::output(x * x);
  const fusion::View view(g);
  const fusion::Plan plan = fusion::policy_none(view);
  EXPECT_EQ(tests::error_of([&] { lower::lower(view, plan); }),
            "kernel 'k0.mul', instruction %1: 'mul' of bf16: halves are computed in f32");
}

}  // namespace
}  // namespace gmc
