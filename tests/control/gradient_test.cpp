// Gradients of scans and conds: against the unrolled graph, against differences, of second order, compiled.
#include "compiler/transform/differentiate.h"
#include "compiler/transform/pass.h"
#include "ops/elementwise.h"
#include "runtime/base/error.h"
#include "tests/control/regions.h"
#include "tests/support/agree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc {
namespace {

using namespace tests;

Var act(const OpDef& op, const Var& x) { return graph::apply(op, {x}); }

// One step of an LSTM: gates from x and h with captured weights.
Vars lstm(const Var& x, const Var& h, const Var& c, const Var& w, const Var& u, const Var& b) {
  const int64_t width = h.shape()[1];
  const Var gates = matmul(x, w) + matmul(h, u) + b;
  const auto gate = [&](int64_t k) { return slice(gates, 1, k * width, (k + 1) * width); };
  const Var next = act(ops::sigmoid_op, gate(0)) * c + act(ops::sigmoid_op, gate(1)) * act(ops::tanh_op, gate(2));
  return {act(ops::sigmoid_op, gate(3)) * act(ops::tanh_op, next), next};
}

struct Recurrence {
  int64_t trips = 4, batch = 2, in = 3, width = 2;
  bool reverse = false;
  Vars inputs(Graph& g) const {
    return {data(g, "h", {batch, width}),  data(g, "c", {batch, width}),     data(g, "x", {trips, batch, in}),
            data(g, "w", {in, 4 * width}), data(g, "u", {width, 4 * width}), data(g, "b", {4 * width})};
  }
  // The sum over all steps of h weighted, and of the last c.
  static Var loss(Graph& g, const Var& hs, const Var& c) {
    return sum(hs * hs * data(g, "v", hs.shape())) + sum(c * data(g, "q", c.shape()));
  }
  Var scanned(Graph& g, const Vars& in_) const {
    const std::vector<TensorType> types{index_type,         {f32, {batch, width}},  {f32, {batch, width}},
                                        {f32, {batch, in}}, {f32, {in, 4 * width}}, {f32, {width, 4 * width}},
                                        {f32, {4 * width}}};
    const Region body = region("body", types, [](Graph&, const Vars& a) {
      const Vars next = lstm(a[3], a[1], a[2], a[4], a[5], a[6]);
      return Vars{next[0], next[1], next[0]};
    });
    const Vars out = scan(g, body, trips, {in_[0], in_[1]}, {in_[2]}, {in_[3], in_[4], in_[5]}, reverse);
    return loss(g, out[2], out[1]);
  }
  Var unrolled(Graph& g, const Vars& in_) const {
    Var h = in_[0], c = in_[1], total = constant(g, 0, {f32, {}});
    const Var v = data(g, "v", {trips, batch, width});
    for (int64_t n = 0; n < trips; ++n) {
      const int64_t i = reverse ? trips - 1 - n : n;
      const auto at = [&](const Var& x, int64_t columns) { return reshape(slice(x, 0, i, i + 1), {batch, columns}); };
      const Vars next = lstm(at(in_[2], in), h, c, in_[3], in_[4], in_[5]);
      h = next[0], c = next[1];
      total = total + sum(h * h * at(v, width));
    }
    return total + sum(c * data(g, "q", c.shape()));
  }
};

const char* const names[] = {"h", "c", "x", "w", "u", "b"};

// The loss and its gradients; with `order` 2 those of a weighted sum of the gradients.
Graph gradients_of(const Recurrence& r, bool loop, int order) {
  Graph g("entry");
  const Vars in = r.inputs(g);
  Var y = loop ? r.scanned(g, in) : r.unrolled(g, in);
  for (int n = 1; n < order; ++n) {
    const Vars first = transform::differentiate(y, in);
    y = sum(first[0] * data(g, "k0", first[0].shape()));
    for (size_t i = 1; i < first.size(); ++i)
      y = y + sum(first[i] * data(g, "k" + std::to_string(i), first[i].shape()));
  }
  g.add_output({"y", y.value, false});
  const Vars gradients = transform::differentiate(y, in);
  for (size_t i = 0; i < in.size(); ++i) g.add_output({std::string("d.") + names[i], gradients[i].value, false});
  verify(g);
  return g;
}

void expect_same_outputs(const Graph& got, const Graph& want, double tolerance) {
  const Values values = values_for(want);
  const auto a = interpret(got, values).outputs, b = interpret(want, values).outputs;
  for (const auto& [name, reference] : b)
    for (size_t i = 0; i < reference.values.size(); ++i)
      ASSERT_NEAR(a.at(name).values[i], reference.values[i], tolerance * (1 + std::fabs(reference.values[i])))
          << name << " " << i;
}

TEST(ControlGradient, OfAnLstmIsThatOfTheUnrolledGraph) {
  for (const bool reverse : {false, true})
    for (const int order : {1, 2}) {
      SCOPED_TRACE("order " + std::to_string(order));
      Recurrence r;
      r.reverse = reverse;
      const Graph loop = gradients_of(r, true, order), unrolled = gradients_of(r, false, order);
      expect_same_outputs(loop, unrolled, 1e-12);
      expect_same_outputs(transform::run_pipeline(loop), unrolled, 1e-12);
    }
}

TEST(ControlGradient, AgreesWithDifferences) {
  const Graph g = gradients_of({}, true, 1);
  Values values = values_for(g);
  const Interpretation at = interpret(g, values);
  constexpr double eps = 1e-6;
  for (const char* name : names)
    for (size_t e = 0; e < values.at(name).values.size(); ++e) {
      double& x = values.at(name).values[e];
      const double kept = x;
      x = kept + eps;
      const double above = interpret(g, values).outputs.at("y").values[0];
      x = kept - eps;
      const double below = interpret(g, values).outputs.at("y").values[0];
      x = kept;
      ASSERT_NEAR(at.outputs.at(std::string("d.") + name).values[e], (above - below) / (2 * eps), 1e-7) << name;
    }
}

int64_t loops_in(const Graph& g) {
  return std::count_if(g.nodes().begin(), g.nodes().end(), [](const Node& n) { return !n.regions.empty(); });
}

// The scan that stacks what the gradient needs is the one that computes the results.
TEST(ControlGradient, RunsForwardOnceAndBackwardOnce) {
  const Graph g = transform::run_pipeline(gradients_of({}, true, 1));
  EXPECT_EQ(loops_in(g), 2) << print(g);
}

TEST(ControlGradient, WhatIsNotAskedForIsNotSummed) {
  const Recurrence r;
  Graph g("entry");
  const Vars in = r.inputs(g);
  const Var y = r.scanned(g, in);
  g.add_output({"d.h", transform::differentiate(y, {in[0]})[0].value, false});
  const Graph small = transform::run_pipeline(g);
  for (const Node& n : small.nodes())
    if (!n.regions.empty() && n.flag("reverse")) {
      EXPECT_EQ(n.integer("carries"), 2);
    }
}

TEST(ControlGradient, CompiledAgrees) {
  Recurrence r;
  r.width = 9;
  for (const char* policy : {"none", "greedy"})
    for (const int threads : {1, 2, 5}) expect_agreement(gradients_of(r, true, 1), with_policy(policy), threads);
  expect_agreement(gradients_of({}, true, 2), with_policy("greedy"), 2);
}

// A loop inside a loop, with captured values of both levels and a draw.
Graph nested(bool loop) {
  Graph g("entry");
  const Var x = data(g, "x", {3, 2, 4}), w = data(g, "w", {4}), start = data(g, "s", {4});
  const auto cell = [](const Var& h, const Var& row, const Var& weight, const Var& other) {
    return act(ops::tanh_op, h * weight + row * other);
  };
  Var h = start;
  if (loop) {
    const Region inner = region("inner", {index_type, {f32, {4}}, {f32, {4}}, {f32, {4}}, {f32, {4}}},
                                [&](Graph&, const Vars& a) { return Vars{cell(a[1], a[2], a[3], a[4])}; });
    const Region outer =
        region("outer", {index_type, {f32, {4}}, {f32, {2, 4}}, {f32, {4}}}, [&](Graph& r, const Vars& a) {
          return Vars{scan(r, inner, 2, {a[1]}, {a[2]}, {a[3], a[1] * a[3]})[0]};
        });
    h = scan(g, outer, 3, {start}, {x}, {w})[0];
  } else {
    for (int64_t i = 0; i < 3; ++i) {
      const Var around = h * w;
      for (int64_t j = 0; j < 2; ++j) h = cell(h, reshape(slice(slice(x, 0, i, i + 1), 1, j, j + 1), {4}), w, around);
    }
  }
  const Vars gradients = transform::differentiate(sum(h * h), {x, w, start});
  for (size_t i = 0; i < 3; ++i) g.add_output({"d" + std::to_string(i), gradients[i].value, false});
  return g;
}

TEST(ControlGradient, OfLoopsInLoops) {
  const Graph loop = nested(true), unrolled = nested(false);
  verify(loop);
  expect_same_outputs(loop, unrolled, 1e-12);
  expect_same_outputs(transform::run_pipeline(loop), unrolled, 1e-12);
  expect_agreement(loop, with_policy("greedy"), 2);
}

TEST(ControlGradient, OfACondIsThatOfTheSideTaken) {
  for (const double threshold : {-1e3, 1e3}) {
    Graph g("entry"), plain("entry");
    const auto up = [](const Var& a, const Var& b) { return a * a * b; };
    const auto down = [](const Var& a, const Var&) { return act(ops::exp_op, a); };
    const Region yes =
        region("yes", {{f32, {4}}, {f32, {4}}}, [&](Graph&, const Vars& a) { return Vars{up(a[0], a[1])}; });
    const Region no =
        region("no", {{f32, {4}}, {f32, {4}}}, [&](Graph&, const Vars& a) { return Vars{down(a[0], a[1])}; });
    for (Graph* each : {&g, &plain}) {
      const Var a = data(*each, "a", {4}), b = data(*each, "b", {4});
      const Var y = each == &g      ? cond(less(sum(a), constant(g, threshold, {f32, {}})), yes, no, {a, b})[0]
                    : threshold > 0 ? up(a, b)
                                    : down(a, b);
      const Vars first = transform::differentiate(sum(y * y), {a, b});
      const Vars second = transform::differentiate(sum(first[0] * first[0]), {a, b});
      for (size_t i = 0; i < 2; ++i) {
        each->add_output({"d" + std::to_string(i), first[i].value, false});
        each->add_output({"dd" + std::to_string(i), second[i].value, false});
      }
    }
    expect_same_outputs(g, plain, 1e-12);
    expect_same_outputs(transform::run_pipeline(g), plain, 1e-12);
    expect_agreement(g, with_policy("greedy"), 2);
  }
}

TEST(ControlGradient, AWhileHasNone) {
  Graph g("entry");
  const std::vector<TensorType> types{index_type, {f32, {}}};
  const Region more =
      region("more", types, [](Graph& r, const Vars& a) { return Vars{less(a[1], constant(r, 3, {f32, {}}))}; });
  const Region body = region("body", types, [](Graph&, const Vars& a) { return Vars{a[1] * 2.0}; });
  const Var x = data(g, "x", {});
  const Var y = while_loop(g, more, body, -1, {x}, {})[0];
  try {
    transform::differentiate(y, {x});
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("while has no gradient"));
  }
}

TEST(ControlPasses, WhatDoesNotChangeLeavesTheLoop) {
  Graph g("entry");
  const Region body = region("body", {index_type, {f32, {2, 3}}, {f32, {3, 3}}, {f32, {3}}}, [](Graph&, const Vars& a) {
    return Vars{matmul(a[1], act(ops::exp_op, a[2]) * 0.5) + broadcast_to(a[3] * a[3], {2, 3})};
  });
  g.add_output(
      {"y", scan(g, body, 5, {data(g, "h", {2, 3})}, {}, {data(g, "w", {3, 3}), data(g, "b", {3})})[0].value, false});
  const Graph out = transform::run_pipeline(g);
  for (const Node& n : out.nodes())
    for (const auto& region : n.regions)
      for (const Node& inner : region->nodes()) {
        EXPECT_STRNE(inner.op->name, "exp");
        EXPECT_STRNE(inner.op->name, "mul");
      }
  expect_same_outputs(out, g, 1e-12);
}

}  // namespace
}  // namespace gmc
