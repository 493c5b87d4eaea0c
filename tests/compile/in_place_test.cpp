// Updates of state: whether a new value is written over the old one or not, every reader of the old value sees the old
// value.
#include "compiler/fusion/policy.h"
#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/package/compile.h"
#include "compiler/package/session.h"
#include "ops/elementwise.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

using namespace graph;

// Runs the entry twice on states and data counted up in quarters, fused and with each op alone, against the
// interpreter.
void expect_updates(const Graph& g) {
  std::map<std::string, Reference> start;
  package::Source source{"state", "{}", {}, {g}};
  for (const Node& n : g.nodes()) {
    if (n.op->category != Category::input) continue;
    Reference r{n.types[0].shape, std::vector<double>(static_cast<size_t>(element_count(n.types[0].shape)))};
    for (size_t i = 0; i < r.values.size(); ++i)
      r.values[i] = 0.25 * static_cast<double>((i + 3 * start.size()) % 17 + 1);
    start[n.text("name")] = r;
    if (n.text("role") == "state") source.states.push_back({n.text("name"), n.types[0], true, false});
  }
  for (const char* policy : {"none", "greedy"}) {
    const package::Options options{codegen::host_target(), policy, {}, "", 1, false};
    package::Session session(package::compile(source, options), {1, true});
    auto values = start;
    TensorMap states, inputs;
    for (const auto& [name, r] : values) {
      HostTensor t(DType::f32, r.shape);
      for (size_t i = 0; i < r.values.size(); ++i) t.as<float>()[i] = static_cast<float>(r.values[i]);
      const Value v = g.find_input(name);
      (g.node(v).text("role") == "state" ? states : inputs)[name] = t;
    }
    session.set_state(states, true);
    for (int run = 0; run < 2; ++run) {
      const Interpretation expected = interpret(g, values);
      const TensorMap got = session.run(g.entry(), inputs), after = session.state();
      auto expect = [&](const std::string& name, const Reference& want, const HostTensor& have) {
        for (size_t i = 0; i < want.values.size(); ++i)
          ASSERT_FLOAT_EQ(have.as<float>()[i], static_cast<float>(want.values[i]))
              << name << " " << i << " with policy " << policy << " in run " << run;
      };
      for (const auto& [name, want] : expected.outputs) expect(name, want, got.at(name));
      for (const auto& [name, want] : expected.updates) {
        expect(name, want, after.at(name));
        values[name] = want;
      }
    }
  }
}

Var state(Graph& g, const char* name, const Shape& shape) { return input(g, name, "state", {DType::f32, shape}); }
Var data(Graph& g, const char* name, const Shape& shape) { return input(g, name, "data", {DType::f32, shape}); }

// The new value does not need the old one and is stored before the old one is read for the output.
TEST(InPlace, AnOutputSeesTheOldValue) {
  Graph g("step");
  const Var s = state(g, "s", {100}), x = data(g, "x", {100});
  const Var old = s + x;
  g.add_output({"s", (x * 2.0).value, true});
  g.add_output({"y", (old * old).value, false});
  expect_updates(g);
}

TEST(InPlace, AnUnusedOldValueSurvivesUntilItIsRead) {
  Graph g("step");
  const Var s = state(g, "s", {100}), x = data(g, "x", {100});
  g.add_output({"s", (x * 2.0).value, true});
  g.add_output({"y", (s + x).value, false});
  expect_updates(g);
}

TEST(InPlace, TwoStatesExchange) {
  Graph g("step");
  const Var a = state(g, "a", {100}), b = state(g, "b", {100});
  g.add_output({"a", (b * 0.5).value, true});
  g.add_output({"b", (a + b).value, true});
  expect_updates(g);
}

TEST(InPlace, TwoStatesExchangeUnchanged) {
  Graph g("step");
  const Var a = state(g, "a", {100}), b = state(g, "b", {100});
  g.add_output({"a", b.value, true});
  g.add_output({"b", a.value, true});
  g.add_output({"y", (a - b).value, false});
  expect_updates(g);
}

// One element that every tile reads: the tile that writes it is not the last to read it.
TEST(InPlace, AScalarThatEveryTileReads) {
  Graph g("step");
  const Var t = state(g, "t", {}), x = data(g, "x", {200000});
  const Var next = t + 1.0;
  g.add_output({"t", next.value, true});
  g.add_output({"y", (x + next).value, false});
  expect_updates(g);
}

TEST(InPlace, AProductWrittenOverItsOperand) {
  Graph g("step");
  const Var w = state(g, "w", {20, 20}), x = data(g, "x", {20, 20});
  g.add_output({"w", (matmul(x, w) * 0.125).value, true});
  expect_updates(g);
}

TEST(InPlace, AProductWhoseEpilogueStoresTwice) {
  Graph g("step");
  const Var w = state(g, "w", {20, 20}), x = data(g, "x", {20, 20}), y = data(g, "y", {20, 20});
  const Var p = matmul(x, y);
  g.add_output({"w", (p * 0.125).value, true});
  g.add_output({"z", (p + w).value, false});
  expect_updates(g);
}

TEST(InPlace, ARowMeetsItsOwnSum) {
  Graph g("step");
  const Var s = state(g, "s", {30, 50});
  g.add_output({"s", (s / reshape(sum(s, {1}), {30, 1})).value, true});
  expect_updates(g);
}

TEST(InPlace, ATransposeOfItself) {
  Graph g("step");
  const Var s = state(g, "s", {30, 30});
  g.add_output({"s", (s + transpose(s, {1, 0})).value, true});
  expect_updates(g);
}

TEST(InPlace, OneValueForTwoStatesAndTwoOutputs) {
  Graph g("step");
  const Var a = state(g, "a", {50}), b = state(g, "b", {50});
  const Var next = a + b;
  g.add_output({"a", next.value, true});
  g.add_output({"b", next.value, true});
  g.add_output({"y", next.value, false});
  g.add_output({"z", next.value, false});
  g.add_output({"old", a.value, false});
  expect_updates(g);
}

}  // namespace
}  // namespace gmc
