// Entries of mixed precision, on the interpreter that rounds.
#include "compiler/transform/pass.h"
#include "models/gmc.h"
#include "models/load.h"
#include "runtime/base/error.h"
#include "runtime/base/tensor.h"
#include "tests/support/rounded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace gmc {
namespace {

using Tensors = std::map<std::string, graph::Reference>;
using testing_support::interpret_rounded;

TEST(RoundedTo, keeps_the_nearest_value_of_a_half) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(rounded_to(bf16, 1 + 1.0 / 256), 1);              // halfway, to even
  EXPECT_EQ(rounded_to(bf16, 1 + 3.0 / 256), 1 + 2.0 / 128);  // halfway, to even
  EXPECT_EQ(rounded_to(bf16, 1 + 1.01 / 256), 1 + 1.0 / 128);
  EXPECT_EQ(rounded_to(f16, 65519.0), 65504);
  EXPECT_EQ(rounded_to(f16, 65520.0), inf);
  EXPECT_EQ(rounded_to(f16, -1e9), -inf);
  EXPECT_EQ(rounded_to(f16, std::ldexp(1.0, -24)), std::ldexp(1.0, -24));  // the smallest
  EXPECT_EQ(rounded_to(f16, std::ldexp(1.0, -25)), 0);
  EXPECT_EQ(rounded_to(f16, std::ldexp(1.5, -25)), std::ldexp(1.0, -24));
  EXPECT_EQ(rounded_to(bf16, std::ldexp(1.0, -133)), std::ldexp(1.0, -133));
  EXPECT_EQ(rounded_to(bf16, 3.4e38), inf);
  EXPECT_TRUE(std::isnan(rounded_to(bf16, std::nan(""))));
  EXPECT_EQ(rounded_to(f32, 0.1), static_cast<double>(0.1f));
  EXPECT_EQ(rounded_to(f64, 0.1), 0.1);
}

int count_of(const graph::Graph& g, DType dtype, bool products) {
  int count = 0;
  for (const graph::Node& n : g.nodes())
    count += n.types[0].dtype == dtype && (n.op->category == graph::Category::matmul) == products;
  return count;
}

TEST(Precision, is_that_of_the_entry_or_of_the_program) {
  Program p;
  const Linear fc(3, 2);
  p.state(fc, "fc");
  const auto body = [&] { output("y", fc(input("x", f32, {4, 3}))); };
  p.entry("plain", body);
  p.entry("half", {.precision = f16}, body);
  p.set_precision(bf16);
  p.entry("brain", body);
  p.entry("single", {.precision = f32}, body);
  EXPECT_EQ(count_of(*p.entry_named("plain").graph, f32, true), 1);
  EXPECT_EQ(count_of(*p.entry_named("half").graph, f16, true), 1);
  EXPECT_EQ(count_of(*p.entry_named("brain").graph, bf16, true), 1);
  EXPECT_EQ(count_of(*p.entry_named("single").graph, f32, true), 1);
  EXPECT_EQ(p.entry_named("brain").precision, bf16);
  EXPECT_THAT([&] { p.set_precision(i32); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("precision i32: expected f32, bf16 or f16")));
  EXPECT_THAT([&] { p.entry("wide", {.precision = f64}, body); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("entry 'wide': precision f64: expected f32, bf16 or")));
}

TEST(Precision, of_a_training_step_leaves_interface_and_state_in_f32) {
  Program p;
  p.set_precision(bf16);
  load_model("vae-mlp").build(p, "tiny");
  const Entry& step = p.entry_named("step");
  // Before the pipeline computes halves in f32.
  const graph::Graph compiled = transform::eliminate_dead(transform::expand_composites(*step.graph));
  EXPECT_EQ(count_of(compiled, bf16, true), 5 + 9);  // forward; backward, less the gradient of the input
  EXPECT_EQ(count_of(compiled, f32, true), 0);
  EXPECT_GT(count_of(compiled, bf16, false), 0);
  for (const graph::Output& o : step.graph->outputs()) EXPECT_EQ(step.graph->type(o.value).dtype, f32) << o.name;
  for (const graph::Node& n : step.graph->nodes()) {
    const bool stays = n.op->category == graph::Category::input || n.op->category == graph::Category::reduce;
    EXPECT_TRUE(!stays || n.types[0].dtype == f32) << n.name;
  }
  ASSERT_EQ(step.gradients.size(), 10u);
  EXPECT_EQ(step.graph->type(step.gradients[0].second), (graph::TensorType{f32, {400, 784}}));
  for (const State& s : p.states()) EXPECT_EQ(s.dtype, f32);
}

// The gradient of the weight is 2, 2 scale before it is scaled back: too large for f16 until the scale is 16384.
TEST(LossScale, halves_and_skips_until_gradients_are_finite) {
  Program p;
  const Linear fc(1, 1, false);
  p.state(fc, "fc");
  p.entry("step", {.precision = f16},
          [&] { minimize(sum(fc(input("x", f32, {1, 1}))), parameters(fc), Sgd{.lr = 0.5, .momentum = 0.5}); });
  EXPECT_EQ(p.state_named("sgd.scale").initialiser.a, 65536);
  Tensors in{{"x", {{1, 1}, {2}}},
             {"fc.weight", {{1, 1}, {3}}},
             {"sgd.buf.fc.weight", {{1, 1}, {0}}},
             {"sgd.scale", {{}, {65536}}},
             {"sgd.good", {{}, {7}}}};
  const auto run = [&] {
    for (auto& [name, value] : interpret_rounded(*p.entry_named("step").graph, in).updates) in[name] = value;
  };
  const auto value = [&](const char* name) { return in.at(name).values[0]; };
  for (double scale : {32768.0, 16384.0}) {
    run();
    EXPECT_EQ(value("sgd.scale"), scale);
    EXPECT_EQ(value("sgd.good"), 0);
    EXPECT_EQ(value("fc.weight"), 3);
    EXPECT_EQ(value("sgd.buf.fc.weight"), 0);
  }
  run();
  EXPECT_EQ(value("sgd.scale"), 16384);
  EXPECT_EQ(value("sgd.good"), 1);
  EXPECT_EQ(value("fc.weight"), 2);
  EXPECT_EQ(value("sgd.buf.fc.weight"), 2);
  in["x"].values = {1.0 / 16};
  in["sgd.good"].values = {1998};
  run();
  EXPECT_EQ(value("sgd.scale"), 16384);
  run();
  EXPECT_EQ(value("sgd.scale"), 32768);
  EXPECT_EQ(value("sgd.good"), 0);
}

// A gradient far below the smallest f16 is learned from, which without a scale it would not be.
TEST(LossScale, keeps_small_gradients) {
  Program p;
  const Linear fc(1, 1, false);
  p.state(fc, "fc");
  p.entry("step", {.precision = f16},
          [&] { minimize(1e-9 * sum(fc(input("x", f32, {1, 1}))), parameters(fc), Sgd{.lr = 1}); });
  const Tensors in{
      {"x", {{1, 1}, {1}}}, {"fc.weight", {{1, 1}, {0}}}, {"sgd.scale", {{}, {65536}}}, {"sgd.good", {{}, {0}}}};
  EXPECT_NEAR(interpret_rounded(*p.entry_named("step").graph, in).updates.at("fc.weight").values[0], -1e-9, 1e-12);
}

// The mean loss of the last 10 of 60 steps of a small VAE on 16 striped pictures; steps that are skipped do not count.
double trained(DType precision) {
  Program p;
  p.set_precision(precision);
  load_model("vae-mlp").build(p, "tiny", {{"batch", "16"}, {"x", "36"}, {"h", "24"}, {"z", "4"}, {"lr", "0.01"}});
  Tensors in;
  for (const State& s : p.states()) {
    const HostTensor t = initial_value(s.initialiser, s.name, s.dtype, s.shape, 0);
    in[s.name] = {s.shape, {t.as<float>(), t.as<float>() + t.count()}};
  }
  in["x"] = {{16, 36}, {}};
  for (int row = 0; row < 16; ++row)
    for (int i = 0; i < 36; ++i) in["x"].values.push_back((i * (1 + row % 4) + row / 4) % 5 < 2);
  double loss = 0;
  for (uint64_t step = 0; in.at("adam.t").values[0] < 60; ++step) {
    if (step == 80) throw std::runtime_error("more than 20 steps are skipped");
    graph::Interpretation out = interpret_rounded(*p.entry_named("step").graph, in, 0, step);
    for (auto& [name, value] : out.updates) in[name] = std::move(value);
    if (in.at("adam.t").values[0] > 50) loss += out.outputs.at("loss").values[0] / 10;
  }
  return loss;
}

TEST(Precision, of_bf16_and_f16_trains_as_f32_does) {
  const double reference = trained(f32), brain = trained(bf16), half = trained(f16);
  EXPECT_LT(reference, 16);  // it starts at 36 log 2 = 25
  EXPECT_NEAR(brain, reference, 0.02 * reference);
  EXPECT_NEAR(half, reference, 0.01 * reference);
  std::printf("loss %.4f in f32, %.4f in bf16, %.4f in f16\n", reference, brain, half);
}

}  // namespace
}  // namespace gmc
