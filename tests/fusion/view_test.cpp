// What fusion sees: accesses through chains of movements, and copies where strides cannot say it.
#include "compiler/fusion/reading.h"
#include "compiler/graph/indexing.h"
#include "compiler/transform/pass.h"
#include "tests/support/fusion.h"
#include "tests/support/random_graph.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

using fusion::View;
using graph::Graph;
using graph::Var;

TEST(View, FoldsMovementsAndConstantsIntoAccesses) {
  Graph g("step");
  const Var x = tests::data(g, "x", {4, 6}), b = tests::data(g, "b", {4});
  const Var moved = graph::transpose(x, {1, 0}) + b;  // [6, 4]
  tests::output(graph::reshape(moved, {6, 1, 4}) * 2.0);
  const View view(g);
  ASSERT_EQ(view.ops().size(), 2u);
  const fusion::Op &add = view.ops()[0], &mul = view.ops()[1];
  EXPECT_EQ(add.operands[0].strides, (Shape{1, 6}));
  EXPECT_EQ(add.operands[0].dims, (std::vector<int>{1, 0}));
  EXPECT_EQ(add.operands[1].strides, (Shape{0, 1}));
  EXPECT_EQ(add.operands[1].dims, (std::vector<int>{1}));
  EXPECT_EQ(mul.operands[0].source, moved.value);
  EXPECT_EQ(mul.operands[0].strides, (Shape{4, 0, 1}));
  EXPECT_EQ(mul.operands[0].dims, (std::vector<int>{0, 2}));
  EXPECT_TRUE(mul.operands[0].aligned);
  EXPECT_EQ(mul.operands[1].strides, (Shape{0, 0, 0}));
  EXPECT_EQ(view.readers(0), (std::vector<int>{1}));
  EXPECT_FALSE(view.leaves(0));
  EXPECT_TRUE(view.leaves(1));
}

TEST(View, ReadsReshapesByStridesButNotAligned) {
  Graph g("step");
  const Var a = tests::tanh(tests::data(g, "x", {4, 6}));
  tests::output(-graph::reshape(a, {8, 3}));
  const View view(g);
  ASSERT_EQ(view.ops().size(), 2u);
  EXPECT_EQ(view.ops()[1].operands[0].strides, (Shape{3, 1}));
  EXPECT_FALSE(view.ops()[1].operands[0].aligned);
}

TEST(View, CopiesWhatStridesCannotSay) {
  Graph g("step");
  const Var x = tests::data(g, "x", {4, 6});
  const Var moved = graph::transpose(x, {1, 0});
  tests::output(-graph::reshape(moved, {24}));
  const View view(g);
  ASSERT_EQ(view.ops().size(), 2u);
  EXPECT_TRUE(view.ops()[0].is_copy);
  EXPECT_EQ(view.op_of(moved.value), 0);
  EXPECT_EQ(view.ops()[0].operands[0].strides, (Shape{1, 6}));
}

TEST(View, CopiesMovementsAndConstantsThatLeave) {
  Graph g("step");
  tests::output(graph::broadcast_to(tests::data(g, "x", {6}), {4, 6}), "spread");
  tests::output(graph::constant(g, 3, {DType::f32, {2}}), "three");
  const View view(g);
  ASSERT_EQ(view.ops().size(), 2u);
  EXPECT_TRUE(view.ops()[0].is_copy && view.ops()[1].is_copy);
  EXPECT_TRUE(view.leaves(0) && view.leaves(1));
  EXPECT_TRUE(view.ops()[1].operands.empty());
}

TEST(View, CopiesOperandsThatAProductCannotRead) {
  Graph g("step");
  const Var x = tests::data(g, "x", {4, 6}), v = tests::data(g, "v", {6, 1});
  tests::output(graph::matmul(x, graph::transpose(x, {1, 0})));
  tests::output(graph::matmul(x, graph::broadcast_to(v, {6, 5})), "spread");
  const View view(g);
  ASSERT_EQ(view.ops().size(), 3u);
  EXPECT_EQ(view.ops()[0].operands[1].strides, (Shape{1, 6}));
  EXPECT_TRUE(view.ops()[1].is_copy);
  EXPECT_EQ(view.ops()[2].operands[1].strides, (Shape{5, 1}));
}

// Windows of a padded image are read from the padded image, by the product forwards and by that of the weight's
// gradient.
TEST(View, UnfoldsWindowsForProducts) {
  Graph g("step");
  const Var x = tests::data(g, "x", {2, 3, 8, 8}), w = tests::data(g, "w", {2, 5, 27}),
            d = tests::data(g, "d", {5, 128});
  const Var padded = graph::pad(x, {0, 0, 1, 1}, {0, 0, 1, 1});
  const Var windows = graph::windows(padded, {2, 3}, {3, 3}, {1, 1}, {0, 0}, {0, 0}, {1, 1});
  const Var columns = graph::reshape(graph::transpose(windows, {0, 1, 4, 5, 2, 3}), {2, 27, 64});
  tests::output(graph::matmul(w, columns), "y");
  tests::output(graph::matmul(d, graph::reshape(graph::transpose(columns, {1, 0, 2}), {27, 128}), false, true), "dw");
  const View view(g);
  ASSERT_EQ(view.ops().size(), 3u);
  EXPECT_TRUE(view.ops()[0].is_copy);
  const fusion::Access &y = view.ops()[1].operands[1], &dw = view.ops()[2].operands[1];
  EXPECT_EQ(y.source, padded.value);
  EXPECT_EQ(dw.source, padded.value);
  EXPECT_EQ(y.strides[0], 300);
  EXPECT_EQ(y.axes[1].extents, (Shape{3, 3, 3}));
  EXPECT_EQ(y.axes[1].strides, (Shape{100, 10, 1}));
  EXPECT_EQ(y.axes[2].extents, (Shape{8, 8}));
  EXPECT_EQ(y.axes[2].strides, (Shape{10, 1}));
  EXPECT_EQ(dw.axes[0].extents, (Shape{2, 8, 8}));
  EXPECT_EQ(dw.axes[0].strides, (Shape{300, 10, 1}));
}

// Heads [B, T, H, D] through a transpose, a weight through a broadcast, vectors through reshapes.
TEST(View, ReadsBatchesOfProductsWithoutCopies) {
  Graph g("step");
  const Var x = tests::data(g, "x", {2, 5, 3, 4}), w = tests::data(g, "w", {4, 6}), v = tests::data(g, "v", {2, 3, 5});
  const Var heads = graph::transpose(x, {0, 2, 1, 3});
  tests::output(graph::matmul(heads, heads, false, true), "scores");
  tests::output(graph::matmul(heads, graph::broadcast_to(w, {2, 3, 4, 6})), "projection");
  tests::output(graph::matmul(graph::reshape(v, {2, 3, 1, 5}), heads), "row");
  const View view(g);
  ASSERT_EQ(view.ops().size(), 3u);
  EXPECT_EQ(view.ops()[0].operands[0].strides, (Shape{60, 4, 12, 1}));
  EXPECT_EQ(view.ops()[0].operands[1].strides, (Shape{60, 4, 1, 12}));
  EXPECT_EQ(view.ops()[1].operands[1].strides, (Shape{0, 0, 6, 1}));
  EXPECT_EQ(view.ops()[2].operands[0].strides, (Shape{15, 5, 0, 1}));
}

TEST(View, FindsMatricesInAccesses) {
  const auto layout = [](Shape strides, int64_t rows, int64_t columns) {
    const auto found = fusion::matrix_layout({{}, 0, std::move(strides), {}, false}, rows, columns);
    return !found ? std::string("none") : fmt::format("{}{}", "NT"[found->transposed], found -> leading);
  };
  EXPECT_EQ(layout({7, 1}, 3, 5), "N7");
  EXPECT_EQ(layout({1, 7}, 3, 5), "T7");
  EXPECT_EQ(layout({99, 5, 1}, 3, 5), "N5");
  EXPECT_EQ(layout({4, 1}, 3, 5), "none");  // rows that overlap
  EXPECT_EQ(layout({0, 1}, 3, 5), "none");  // one row three times
  EXPECT_EQ(layout({2, 2}, 3, 5), "none");
  EXPECT_EQ(layout({0, 1}, 1, 5), "N5");
  EXPECT_EQ(layout({0, 6}, 1, 5), "T6");
  EXPECT_EQ(layout({6, 0}, 5, 1), "N6");
}

TEST(View, RefusesComposites) {
  Graph g("step");
  tests::output(graph::apply(ops::relu_op, {tests::data(g, "x", {4})}));
  EXPECT_EQ(tests::error_of([&] { View view(g); }), "composite 'relu' must be expanded before fusion");
}

// Every access of random graphs agrees with walking index tuples through the movements.
TEST(View, AgreesWithWalkingTheMovements) {
  int moved = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Graph g = transform::run_pipeline(tests::random_graph(seed, 40));
    const View view(g);
    for (int op = 0; op < static_cast<int>(view.ops().size()); ++op)
      for (size_t k = 0; k < view.ops()[static_cast<size_t>(op)].operands.size(); ++k) {
        const fusion::Access& access = view.ops()[static_cast<size_t>(op)].operands[k];
        fusion::Reading reading = fusion::read_operand(view, op, k);
        const graph::Node& n = view.node(op);
        if (n.op->category == graph::Category::matmul && n.flag(k == 0 ? "transpose_a" : "transpose_b")) {
          std::iter_swap(reading.strides.end() - 1, reading.strides.end() - 2);
          std::iter_swap(reading.space.end() - 1, reading.space.end() - 2);
        }
        ASSERT_EQ(access.source, reading.source);
        ASSERT_TRUE(reading.affine);
        ASSERT_EQ(access.base, 0);
        for (size_t d = 0; d < reading.space.size(); ++d)
          if (reading.space[d] > 1) {
            ASSERT_EQ(access.strides[d], reading.strides[d]) << seed << ' ' << n.name;
          }
        moved += reading.strides != graph::dense_strides(reading.space);
      }
  }
  EXPECT_GT(moved, 100);
}

}  // namespace
}  // namespace gmc
