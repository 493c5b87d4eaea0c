// Loops mean what the unrolled graph means, also after every pass.
#include "compiler/transform/pass.h"
#include "ops/elementwise.h"
#include "tests/control/regions.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

using namespace tests;

void expect_same(const Reference& got, const Reference& want) {
  ASSERT_EQ(got.shape, want.shape);
  for (size_t i = 0; i < want.values.size(); ++i) ASSERT_NEAR(got.values[i], want.values[i], 1e-12) << i;
}

// Interprets the graph as it is and after the pipeline.
void expect_outputs(const Graph& g, const std::map<std::string, Reference>& want, uint64_t seed = 3) {
  verify(g);
  const Graph piped = transform::run_pipeline(g);
  for (const Graph* each : std::initializer_list<const Graph*>{&g, &piped}) {
    const Interpretation got = interpret(*each, values_for(g), seed, 5);
    for (const auto& [name, value] : want) {
      SCOPED_TRACE(name + "\n" + print(*each));
      expect_same(got.outputs.at(name), value);
    }
  }
}

// A cell with a captured weight: h' = tanh(h w + x), y = h' h'.
Vars cell(const Var& h, const Var& x, const Var& w) {
  const Var next = graph::apply(ops::tanh_op, {matmul(h, w) + x});
  return {next, next * next};
}

void expect_scan(int64_t trips, bool reverse) {
  Graph g("entry"), unrolled("entry");
  const std::vector<TensorType> types{index_type, {f32, {2, 3}}, {f32, {2, 3}}, {f32, {3, 3}}};
  const Region body = region("body", types, [](Graph&, const Vars& a) { return cell(a[1], a[2], a[3]); });
  const auto inputs = [&](Graph& to) {
    return Vars{data(to, "h", {2, 3}), data(to, "x", {trips, 2, 3}), data(to, "w", {3, 3})};
  };
  const Vars in = inputs(g), out = scan(g, body, trips, {in[0]}, {in[1]}, {in[2]}, reverse);
  g.add_output({"h", out[0].value, false});
  g.add_output({"y", out[1].value, false});
  const Vars un = inputs(unrolled);
  Var h = un[0];
  std::map<int64_t, Var> ys;
  for (int64_t n = 0; n < trips; ++n) {
    const int64_t i = reverse ? trips - 1 - n : n;
    const Vars r = cell(h, reshape(slice(un[1], 0, i, i + 1), {2, 3}), un[2]);
    h = r[0];
    ys[i] = r[1];
  }
  unrolled.add_output({"h", h.value, false});
  Reference stacked{{trips, 2, 3}, {}};
  for (const auto& [i, y] : ys) unrolled.add_output({"y" + std::to_string(i), y.value, false});
  const Interpretation want = interpret(unrolled, values_for(unrolled));
  for (const auto& [i, y] : ys) {
    const auto& v = want.outputs.at("y" + std::to_string(i)).values;
    stacked.values.insert(stacked.values.end(), v.begin(), v.end());
  }
  expect_outputs(g, {{"h", want.outputs.at("h")}, {"y", stacked}});
}

TEST(ControlInterpreter, AScanIsItsUnrolledBody) {
  expect_scan(5, false);
  expect_scan(5, true);
  expect_scan(1, false);
  expect_scan(0, false);
}

TEST(ControlInterpreter, TheIndexCounts) {
  Graph g("entry");
  const Region body =
      region("body", {index_type, {f32, {}}}, [](Graph&, const Vars& a) { return Vars{a[1] + cast(a[0], f32), a[1]}; });
  const Vars out = scan(g, body, 5, {constant(g, 0, {f32, {}})}, {}, {});
  g.add_output({"sum", out[0].value, false});
  g.add_output({"before", out[1].value, false});
  expect_outputs(g, {{"sum", {{}, {10}}}, {"before", {{5}, {0, 0, 1, 3, 6}}}});
}

Graph doubling(int64_t limit) {
  Graph g("entry");
  const std::vector<TensorType> types{index_type, {f32, {}}, {f32, {}}};
  const Region more = region("more", types, [](Graph&, const Vars& a) { return Vars{less(a[1], a[2])}; });
  const Region body = region("body", types, [](Graph&, const Vars& a) { return Vars{a[1] * 2.0}; });
  const Var one = constant(g, 1, {f32, {}}), most = constant(g, 100, {f32, {}});
  g.add_output({"y", while_loop(g, more, body, limit, {one}, {most})[0].value, false});
  return g;
}

TEST(ControlInterpreter, AWhileStopsByItselfOrAtItsLimit) {
  expect_outputs(doubling(-1), {{"y", {{}, {128}}}});
  expect_outputs(doubling(3), {{"y", {{}, {8}}}});
  expect_outputs(doubling(0), {{"y", {{}, {1}}}});
}

TEST(ControlInterpreter, ACondTakesOneSide) {
  for (const double threshold : {-100.0, 100.0}) {
    Graph g("entry");
    const Var x = data(g, "x", {3});
    const Region yes = region("yes", {{f32, {3}}}, [](Graph&, const Vars& a) { return Vars{a[0] * 2.0, a[0]}; });
    const Region no = region("no", {{f32, {3}}}, [](Graph&, const Vars& a) { return Vars{-a[0], a[0]}; });
    const Vars out = cond(less(sum(x), constant(g, threshold, {f32, {}})), yes, no, {x});
    g.add_output({"y", out[0].value, false});
    Reference want = values_for("x", {3});
    for (double& v : want.values) v *= threshold > 0 ? 2 : -1;
    expect_outputs(g, {{"y", want}});
  }
}

// In trip i of 3 of the inner loop and j of 4 of the outer one, the flattened index is j * 3 + i.
TEST(ControlInterpreter, DrawsAreKeyedWithTheFlattenedIndex) {
  Graph g("entry");
  const Region inner = region("inner", {index_type, {f32, {5}}}, [](Graph& r, const Vars& a) {
    const Var u = draw(r, "uniform", "u", {5});
    return Vars{a[1] + u, u};
  });
  const Region outer = region("outer", {index_type, {f32, {5}}},
                              [&](Graph& r, const Vars& a) { return scan(r, inner, 3, {a[1]}, {}, {}); });
  const Vars out = scan(g, outer, 4, {constant(g, 0, {f32, {5}})}, {}, {});
  g.add_output({"u", out[1].value, false});
  Reference want{{4, 3, 5}, {}};
  const uint64_t key = execute::stream_key(3, execute::stream_of("entry/u"), 5);
  for (uint64_t trip = 0; trip < 12; ++trip)
    for (uint64_t e = 0; e < 5; ++e) want.values.push_back(execute::uniform_of(execute::random_word(key, e, trip)));
  expect_outputs(g, {{"u", want}});

  const Graph fed = transform::feed_draws(g);
  verify(fed);
  const Value u = fed.find_input("u");
  ASSERT_TRUE(u.valid());
  EXPECT_EQ(fed.type(u), (TensorType{f32, {4, 3, 5}}));
  EXPECT_EQ(fed.node(u).text("role"), "draw");
  expect_same(interpret(fed, {{"u", want}}).outputs.at("u"), want);
}

TEST(ControlInterpreter, DrawsOfAWhileAreFedForItsLimit) {
  const auto with_limit = [](int64_t limit) {
    Graph g("entry");
    const std::vector<TensorType> types{index_type, {f32, {}}, {f32, {}}};
    const Region more = region("more", types, [](Graph&, const Vars& a) { return Vars{less(a[1], a[2])}; });
    const Region body =
        region("body", types, [](Graph& r, const Vars& a) { return Vars{a[1] + draw(r, "uniform", "u", {})}; });
    const Var zero = constant(g, 0, {f32, {}}), two = constant(g, 2, {f32, {}});
    g.add_output({"y", while_loop(g, more, body, limit, {zero}, {two})[0].value, false});
    return g;
  };
  const Graph fed = transform::feed_draws(with_limit(6));
  verify(fed);
  EXPECT_EQ(interpret(fed, {{"u", {{6}, {1, 0.5, 0.25, 0.5, 9, 9}}}}).outputs.at("y").values[0], 2.25);
  EXPECT_ANY_THROW(transform::feed_draws(with_limit(-1)));
}

// Carries a, b, c: c is used, it needs b, nothing needs a or the second output.
TEST(ControlPasses, WhatNobodyNeedsLeavesTheLoop) {
  Graph g("entry");
  const Var x = data(g, "x", {4}), xs = data(g, "xs", {6, 4}), w = data(g, "w", {4});
  const std::vector<TensorType> types{index_type, {f32, {4}}, {f32, {4}}, {f32, {4}}, {f32, {4}}, {f32, {4}}};
  const Region body = region("body", types, [](Graph&, const Vars& a) {
    return Vars{a[1] * a[4], a[2] * 0.5, a[3] + a[2] * a[5], a[1], a[4]};
  });
  const Vars out = scan(g, body, 6, {x, x, x}, {xs}, {w});
  g.add_output({"c", out[2].value, false});
  const Graph small = transform::eliminate_dead(g);
  verify(small);
  const Node& loop = small.nodes().back();
  EXPECT_EQ(loop.integer("carries"), 2);
  EXPECT_EQ(loop.integer("inputs"), 0);
  EXPECT_EQ(loop.inputs.size(), 3u);
  EXPECT_EQ(loop.types.size(), 2u);
  expect_same(interpret(small, values_for(g)).outputs.at("c"), interpret(g, values_for(g)).outputs.at("c"));
}

TEST(ControlPasses, EqualLoopsBecomeOneAndOthersStay) {
  Graph g("entry");
  const Var x = data(g, "x", {4});
  const auto with = [&](double factor) {
    const Region body =
        region("body", {index_type, {f32, {4}}}, [&](Graph&, const Vars& a) { return Vars{a[1] * factor}; });
    return scan(g, body, 3, {x}, {}, {})[0];
  };
  g.add_output({"y", (with(2) + with(2) * with(3)).value, false});
  const Graph merged = transform::run_pipeline(g);
  EXPECT_EQ(std::count_if(merged.nodes().begin(), merged.nodes().end(),
                          [](const Node& n) { return n.op->category == Category::loop; }),
            2);
  expect_outputs(g, {{"y", interpret(g, values_for(g)).outputs.at("y")}});
}

}  // namespace
}  // namespace gmc
