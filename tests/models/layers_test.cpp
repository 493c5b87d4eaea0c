// Layers of models/nn: names of weights, and forms of one layer that must agree.
#include "compiler/graph/interpret.h"
#include "compiler/package/program_source.h"
#include "compiler/transform/pass.h"
#include "models/gmc.h"
#include "runtime/base/error.h"
#include "tests/support/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace gmc {
namespace {

using Values = std::map<std::string, graph::Reference>;

Values initial(const Program& p) {
  Values out;
  for (const auto& [name, t] : package::initial_state(p, 3)) {
    graph::Reference r{t.shape, {}};
    for (size_t i = 0; i < static_cast<size_t>(t.count()); ++i) r.values.push_back(tests::element_of(t, i));
    out[name] = std::move(r);
  }
  return out;
}

graph::Interpretation run(const Program& p, const char* entry, const Values& values) {
  return graph::interpret(transform::run_pipeline(*p.entry_named(entry).graph), values, 3);
}

void expect_near(const graph::Reference& a, const graph::Reference& b, double bound = 1e-12) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (size_t i = 0; i < a.values.size(); ++i) EXPECT_NEAR(a.values[i], b.values[i], bound) << i;
}

struct Net {
  Sequential main;
  std::vector<Lstm> rnn;
  Conv2d none;
  GMC_PARTS(main, rnn, none)
  Net() : main(Conv2d(2, 4, 3, {.bias = false}), BatchNorm2d(4), Relu(), Flatten(), Linear(4, 1)), rnn{Lstm(3, 2, 2)} {}
};

TEST(Layers, AreNamedAsInPyTorch) {
  std::vector<std::string> names;
  for (const NamedParameter& n : named_parameters(Net())) names.push_back(n.path + to_string(n.parameter.shape()));
  EXPECT_EQ(names,
            (std::vector<std::string>{"main.0.weight[4, 2, 3, 3]", "main.1.weight[4]", "main.1.bias[4]",
                                      "main.1.running_mean[4]", "main.1.running_var[4]", "main.4.weight[1, 4]",
                                      "main.4.bias[1]", "rnn.0.weight_ih_l0[8, 3]", "rnn.0.weight_hh_l0[8, 2]",
                                      "rnn.0.bias_ih_l0[8]", "rnn.0.bias_hh_l0[8]", "rnn.0.weight_ih_l1[8, 2]",
                                      "rnn.0.weight_hh_l1[8, 2]", "rnn.0.bias_ih_l1[8]", "rnn.0.bias_hh_l1[8]"}));
}

TEST(Layers, AnLstmOverASequenceIsItsSteps) {
  Program p;
  const Lstm rnn(3, 4, 2);
  p.state(rnn, "rnn");
  p.entry("eval", [&] {
    Tensor x = normal("x", {2, 5, 3});
    output("whole", rnn(x));
    std::vector<Tensor> ys;
    Lstm::State state = rnn.begin(2);
    for (int64_t i = 0; i < 5; ++i) {
      auto [y, next] = rnn.step(select_index(x, 1, i), state);
      state = next;
      ys.push_back(y);
    }
    output("steps", stack(ys, 1));
  });
  const Values got = run(p, "eval", initial(p)).outputs;
  expect_near(got.at("whole"), got.at("steps"));
}

TEST(Layers, AttentionInTwoStepsIsAttention) {
  Program p;
  const MultiheadAttention layer(6, 3);
  p.state(layer, "a");
  p.entry("eval", [&] {
    Tensor x = normal("x", {2, 4, 6});
    output("free", layer(x));
    output("free in two", layer.attend(x, layer.keys_values(x)));
    output("causal", layer(x, true));
    output("causal in two", layer.attend(x, layer.keys_values(x), less_equal(arange(4), reshape(arange(4), {4, 1}))));
  });
  const Values got = run(p, "eval", initial(p)).outputs;
  expect_near(got.at("free"), got.at("free in two"));
  expect_near(got.at("causal"), got.at("causal in two"));
}

TEST(Layers, BatchNormLeavesItsStatisticsAloneInEvaluation) {
  Program p;
  const BatchNorm2d norm(2);
  p.state(norm, "n");
  p.entry("step", [&] { output("y", norm(normal("x", {8, 2, 3, 3}) * 2 + 1)); });
  p.entry("eval", [&] {
    const Evaluation mode;
    output("y", norm(full({1, 2, 1, 1}, 3)));
  });
  Values state = initial(p);
  const graph::Interpretation step = run(p, "step", state);
  double mean = 0;
  for (double y : step.outputs.at("y").values) mean += y / 144;
  EXPECT_NEAR(mean, 0, 1e-12);
  EXPECT_NEAR(step.updates.at("n.running_mean").values[0], 0.1, 0.1);
  EXPECT_NEAR(step.updates.at("n.running_var").values[1], 0.9 + 0.1 * 4, 0.2);
  state["n.running_mean"].values = {1, 2};
  state["n.running_var"].values = {4, 0.25};
  const graph::Interpretation eval = run(p, "eval", state);
  EXPECT_TRUE(eval.updates.empty());
  expect_near(eval.outputs.at("y"), {{1, 2, 1, 1}, {1, 2}}, 1e-4);
}

TEST(Layers, AnAverageWithASnapshotBeginsBeforeTheFirstStep) {
  Program p;
  const Linear net(1, 1, false), smooth(1, 1, false);
  as_average(smooth);
  p.state(net), p.state(smooth, "ema");
  p.entry("step", [&] {
    const Snapshot before(net);
    update(net.weight, net.weight + 1);
    ema(smooth, net, 0.75, before);
  });
  Values state = initial(p);
  state["weight"].values = {2};
  for (double expected : {2.25, 2.6875}) {  // 2 + 0.25 * 1; and 0.25 * (4 - 2.25) more
    for (auto& [name, value] : run(p, "step", state).updates) state[name] = std::move(value);
    EXPECT_DOUBLE_EQ(state.at("ema.weight").values[0], expected);
  }
}

TEST(Init, PartsOfARotationBelongTogether) {
  Program p;
  struct Mixing {
    Parameter p, l, u, sign, log_d;
    GMC_PARTS(p, l, u, sign, log_d)
    Mixing()
        : p({5, 5}, init::rotation(RotationPart::permutation)), l({5, 5}, init::rotation(RotationPart::lower)),
          u({5, 5}, init::rotation(RotationPart::upper)), sign({5}, init::rotation(RotationPart::sign)),
          log_d({5}, init::rotation(RotationPart::log_diagonal)) {}
  } const m, other;
  p.state(m, "m"), p.state(other, "other");
  p.entry("eval", [&] {
    Tensor q = matmul(matmul(m.p, m.l), m.u);
    output("square", matmul(q, q, true));
    output("diagonal", sum(eye(5) * m.u, {1}) - m.sign * exp(m.log_d));
    output("difference", max(abs(m.u - other.u)));
  });
  const Values got = run(p, "eval", initial(p)).outputs;
  for (size_t i = 0; i < 25; ++i) EXPECT_NEAR(got.at("square").values[i], i % 6 == 0, 1e-6);
  for (double d : got.at("diagonal").values) EXPECT_NEAR(d, 0, 1e-6);
  EXPECT_GT(got.at("difference").values[0], 0.1);
}

TEST(Init, BoundsAreThoseOfPyTorch) {
  EXPECT_DOUBLE_EQ(init::fan_in({8, 3, 4, 4}).b, 1 / std::sqrt(48.0));
  EXPECT_DOUBLE_EQ(init::xavier_uniform({8, 4}).b, std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(init::xavier_normal({12, 4}, 2).b, 2 * std::sqrt(0.125));
  EXPECT_DOUBLE_EQ(init::kaiming_uniform({8, 6}).b, 1);
  EXPECT_DOUBLE_EQ(init::kaiming_normal({8, 4}, 1).b, 0.5);
  EXPECT_THAT([] { init::fan_in({3}); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("expected a weight of at least 2 dimensions, got [3]")));
  Program p;
  const Linear given(2, 2);
  p.state(given, "fc");
  EXPECT_THAT([&] { init::all(given, init::zeros()); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("init: 'fc.weight' was given to a program before")));
}

}  // namespace
}  // namespace gmc
