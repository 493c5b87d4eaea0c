// Regions of many tiles, of empty spaces and of single elements: shapes that random programs, which stay small, do not
// reach.
#include "compiler/fusion/policy.h"
#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/package/compile.h"
#include "compiler/package/session.h"
#include "ops/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>

namespace gmc {
namespace {

using namespace graph;

// Every output of the entry against the interpreter, under both policies, with wide and narrow vectors, on three
// threads.
void expect_interpreted(const Graph& g) {
  std::map<std::string, Reference> values;
  TensorMap inputs;
  for (const Node& n : g.nodes()) {
    if (n.op->category != Category::input) continue;
    Reference r{n.types[0].shape, std::vector<double>(static_cast<size_t>(element_count(n.types[0].shape)))};
    HostTensor t(DType::f32, r.shape);
    for (size_t i = 0; i < r.values.size(); ++i) {
      r.values[i] = static_cast<double>((i * 7919 + 13 * (values.size() + 1)) % 1009) / 1024 - 0.5;
      t.as<float>()[i] = static_cast<float>(r.values[i]);
    }
    values[n.text("name")] = r;
    inputs[n.text("name")] = t;
  }
  const Interpretation expected = interpret(g, values);
  for (const auto& [policy, target] : {std::pair{"none", "native"}, {"greedy", "native"}, {"greedy", "x86-64"}}) {
    const package::Options options{codegen::target_named(target), policy, {}, "", 1, false};
    package::Session session(package::compile({"large", "{}", {}, {g}}, options), {3, true});
    const TensorMap got = session.run(g.entry(), inputs);
    for (const auto& [name, want] : expected.outputs) {
      const HostTensor& have = got.at(name);
      ASSERT_EQ(have.shape, want.shape) << name;
      for (size_t i = 0; i < want.values.size(); ++i) {
        const double value = want.values[i], found = have.as<float>()[i];
        if (std::isinf(value))
          ASSERT_EQ(found, value) << name << " " << i << " with policy " << policy << " for " << target;
        else
          ASSERT_NEAR(found, value, 2e-4 * (1 + std::abs(value)))
              << name << " " << i << " with policy " << policy << " for " << target;
      }
    }
  }
}

Var data(Graph& g, const char* name, const Shape& shape) { return input(g, name, "data", {DType::f32, shape}); }

class Reductions : public testing::TestWithParam<Shape> {};

TEST_P(Reductions, OverRowsColumnsAndAll) {
  Graph g("eval");
  const int64_t rows = GetParam()[0], columns = GetParam()[1];
  const Var x = data(g, "x", {rows, columns}), b = data(g, "b", {columns}), c = data(g, "c", {rows, 1});
  const Var h = apply(ops::tanh_op, {x + b}) * c;
  g.add_output({"h", h.value, false});
  g.add_output({"row_sum", sum(h, {1}).value, false});
  g.add_output({"row_max", reduce(h * h, "max", {1}).value, false});
  g.add_output({"column_sum", sum(h * x, {0}).value, false});
  g.add_output({"column_min", reduce(h, "min", {0}).value, false});
  g.add_output({"sum", sum(h).value, false});
  g.add_output({"sum_of_rows", sum(broadcast_to(c, {rows, columns}), {0}).value, false});
  if (columns > 0) {
    const Var e = ops::exp(h - reshape(reduce(h, "max", {1}), {rows, 1}));
    const Var p = e / reshape(sum(e, {1}), {rows, 1});
    g.add_output({"softmax", p.value, false});
    g.add_output({"softmax_columns", sum(p, {0}).value, false});
    g.add_output({"softmax_all", sum(p * p).value, false});
  }
  expect_interpreted(g);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Reductions,
                         testing::Values(Shape{5000, 3}, Shape{3000, 150}, Shape{300, 3001}, Shape{1, 100003},
                                         Shape{70001, 1}, Shape{1, 1}, Shape{2, 65}, Shape{0, 5}, Shape{5, 0}),
                         [](const auto& p) { return std::to_string(p.param[0]) + "x" + std::to_string(p.param[1]); });

TEST(Movement, TransposesAndBroadcastsOfManyTiles) {
  Graph g("eval");
  const Var x = data(g, "x", {300, 17, 41}), y = data(g, "y", {41, 300}), s = data(g, "s", {1, 17, 1});
  const Var t = transpose(x, {2, 0, 1});
  g.add_output({"t", (t + reshape(y, {41, 300, 1})).value, false});
  g.add_output({"u", (reshape(t, {41 * 300, 17}) * 2.0).value, false});
  g.add_output({"v", sum(t * reshape(y, {41, 300, 1}), {0, 2}).value, false});
  g.add_output({"w", (x * s + reshape(transpose(y, {1, 0}), {300, 1, 41})).value, false});
  g.add_output({"z", reduce(x, "max", {0, 2}).value, false});
  expect_interpreted(g);
}

// Offsets beyond 31 bits: 4 GiB of bytes, so only in the long run.
TEST(Large, MoreThan2To31Elements) {
  if (!std::getenv("GMC_LONG_TESTS")) GTEST_SKIP() << "set GMC_LONG_TESTS=1";
  const int64_t columns = (int64_t{1} << 30) + 9;
  Graph g("eval");
  const Var x = input(g, "x", "data", {DType::u8, {2, columns}});
  g.add_output({"y", (x + constant(g, 3, {DType::u8, {}})).value, false});
  g.add_output({"largest", reduce(x, "max", {1}).value, false});
  TensorMap inputs;
  HostTensor& t = inputs["x"] = HostTensor(DType::u8, {2, columns});
  for (int64_t i = 0; i < 2 * columns; ++i) t.as<uint8_t>()[i] = static_cast<uint8_t>(i % 199);
  t.as<uint8_t>()[2 * columns - 1] = 240;
  package::Session session(
      package::compile({"large", "{}", {}, {g}}, {codegen::host_target(), "greedy", {}, "", 1, false}), {2, true});
  const TensorMap got = session.run("eval", inputs);
  EXPECT_EQ(got.at("largest").as<uint8_t>()[0], 198);
  EXPECT_EQ(got.at("largest").as<uint8_t>()[1], 240);
  int64_t wrong = 0;
  for (int64_t i = 0; i < 2 * columns; ++i)
    wrong += got.at("y").as<uint8_t>()[i] != static_cast<uint8_t>(t.as<uint8_t>()[i] + 3);
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace gmc
