#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"
#include "models/gmc.h"
#include "runtime/base/tensor.h"
#include "runtime/execute/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace gmc {
namespace {

using graph::Reference;
using Inputs = std::map<std::string, Reference>;

struct Block {
  Linear a, b;
  GMC_PARTS(a, b)
  Block() : a(2, 2), b(2, 2, false) {}
  Tensor operator()(Tensor x) const {
    const Scope scope(*this);
    return b(a(x)) + 0.1 * normal("eps", x.shape());
  }
};

struct Stack {
  std::vector<Block> h;
  Linear head;
  GMC_PARTS(h, head)
  Stack() : h(2), head(2, 2) { head.weight = h[0].a.weight; }
};

TEST(Module, names_follow_members_and_a_tied_weight_is_one_state) {
  Program p;
  const Stack net;
  p.state(net);
  std::vector<std::string> names;
  for (const State& s : p.states()) names.push_back(s.name);
  EXPECT_EQ(names, (std::vector<std::string>{"h.0.a.weight", "h.0.a.bias", "h.0.b.weight", "h.1.a.weight", "h.1.a.bias",
                                             "h.1.b.weight", "head.bias"}));
  EXPECT_EQ(parameters(net).size(), 7u);
}

TEST(Module, scopes_name_ops_and_key_draws) {
  Program p;
  const Stack net;
  p.state(net);
  p.entry("eval", [&] {
    Tensor x = input("x", f32, {3, 2});
    for (const Block& block : net.h) x = block(x);
    output("y", x);
  });
  std::vector<std::string> matmuls;
  std::vector<int64_t> streams;
  for (const graph::Node& n : p.entry_named("eval").graph->nodes()) {
    if (n.op->category == graph::Category::matmul) matmuls.push_back(n.name);
    if (n.op->category == graph::Category::random) streams.push_back(n.integer("stream"));
  }
  EXPECT_EQ(matmuls, (std::vector<std::string>{"h.0.a/matmul", "h.0.b/matmul", "h.1.a/matmul", "h.1.b/matmul"}));
  EXPECT_EQ(streams, (std::vector<int64_t>{static_cast<int64_t>(execute::stream_of("eval/h.0/eps")),
                                           static_cast<int64_t>(execute::stream_of("eval/h.1/eps"))}));
  // Fed draws of one name are told apart by their scope.
  const graph::Graph fed = transform::feed_draws(*p.entry_named("eval").graph);
  EXPECT_TRUE(fed.find_input("h.0/eps").valid());
  EXPECT_TRUE(fed.find_input("h.1/eps").valid());
}

// A read after an update sees the new value, and no gradient flows back through it.
TEST(State, reads_see_the_latest_version_as_a_constant) {
  Program p;
  const Linear fc(1, 1, false);
  p.state(fc, "fc");
  p.entry("step", [&] {
    const Tensor x = input("x", f32, {1, 1});
    update(fc.weight, fc.weight * x);
    const Tensor y = sum(fc.weight * x);
    output("y", y);
    output("dx", gradients(y, {x})[0]);
  });
  const auto out =
      graph::interpret(*p.entry_named("step").graph, Inputs{{"x", {{1, 1}, {3}}}, {"fc.weight", {{1, 1}, {5}}}});
  EXPECT_EQ(out.outputs.at("y").values, std::vector<double>{45});
  EXPECT_EQ(out.outputs.at("dx").values, std::vector<double>{15});
  EXPECT_EQ(out.updates.at("fc.weight").values, std::vector<double>{15});
}

TEST(Optimizer, adamw_with_decay_and_clipping_follows_its_formula) {
  Program p;
  const Linear fc(1, 1, false);
  p.state(fc, "fc");
  p.entry("step", [&] {
    const Tensor loss = sum(fc.weight * input("x", f32, {1, 1}));
    minimize(loss, parameters(fc), Adam{.lr = 0.1, .weight_decay = 0.5, .clip = 2});
  });
  Inputs in{{"x", {{1, 1}, {8}}}, {"fc.weight", {{1, 1}, {3}}}, {"adam.t", {{}, {0}}}};
  in["adam.m.fc.weight"] = in["adam.v.fc.weight"] = {{1, 1}, {0}};
  double w = 3, m = 0, v = 0;
  for (int t = 1; t <= 3; ++t) {
    auto out = graph::interpret(*p.entry_named("step").graph, in);
    const double g = 8 * std::min(1.0, 2 / (8 + 1e-6));
    w -= 0.1 * 0.5 * w;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    w -= 0.1 / (1 - std::pow(0.9, t)) * m / (std::sqrt(v) / std::sqrt(1 - std::pow(0.999, t)) + 1e-8);
    EXPECT_NEAR(out.updates.at("fc.weight").values[0], w, 1e-12);
    for (auto& [name, value] : out.updates) in[name] = value;
  }
}

TEST(Optimizer, sgd_with_momentum_follows_its_formula) {
  Program p;
  const Linear fc(1, 1, false);
  p.state(fc, "fc");
  p.entry("step",
          [&] { minimize(sum(fc.weight * input("x", f32, {1, 1})), parameters(fc), Sgd{.lr = 0.1, .momentum = 0.5}); });
  const auto out = graph::interpret(
      *p.entry_named("step").graph,
      Inputs{{"x", {{1, 1}, {8}}}, {"fc.weight", {{1, 1}, {3}}}, {"sgd.buf.fc.weight", {{1, 1}, {4}}}});
  EXPECT_DOUBLE_EQ(out.updates.at("sgd.buf.fc.weight").values[0], 10);
  EXPECT_DOUBLE_EQ(out.updates.at("fc.weight").values[0], 2);
}

TEST(Linear, takes_any_leading_dimensions) {
  Program p;
  const Linear fc(3, 2);
  p.state(fc, "fc");
  p.entry("eval", [&] {
    EXPECT_EQ(fc(input("a", f32, {3})).shape(), (Shape{2}));
    EXPECT_EQ(fc(input("b", f32, {4, 5, 3})).shape(), (Shape{4, 5, 2}));
    output("y", fc(input("c", f32, {0, 3})));
  });
}

TEST(InitialValue, is_a_function_of_seed_and_name_inside_its_bounds) {
  const Initialiser u = init::uniform(-0.5, 0.5), n = init::normal(1, 2);
  const HostTensor a = initial_value(u, "fc1.weight", f32, {100, 100}, 0);
  EXPECT_EQ(a.bytes, initial_value(u, "fc1.weight", f32, {100, 100}, 0).bytes);
  EXPECT_NE(a.bytes, initial_value(u, "fc1.weight", f32, {100, 100}, 1).bytes);
  EXPECT_NE(a.bytes, initial_value(u, "fc2.weight", f32, {100, 100}, 0).bytes);
  for (int64_t e = 0; e < a.count(); ++e) {
    ASSERT_GE(a.as<float>()[e], -0.5f);
    ASSERT_LT(a.as<float>()[e], 0.5f);
  }
  const HostTensor b = initial_value(n, "x", f64, {10000}, 0);
  double mean = 0, square = 0;
  for (int64_t e = 0; e < b.count(); ++e) mean += b.as<double>()[e] / 10000;
  for (int64_t e = 0; e < b.count(); ++e) square += std::pow(b.as<double>()[e] - mean, 2) / 10000;
  EXPECT_NEAR(mean, 1, 0.08);
  EXPECT_NEAR(std::sqrt(square), 2, 0.08);
  EXPECT_EQ(initial_value(init::ones(), "x", f32, {1}, 0).as<float>()[0], 1.0f);
}

}  // namespace
}  // namespace gmc
