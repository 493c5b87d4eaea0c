// Entries of bf16 and f16, compiled, against the interpreter that rounds as they do.
#include "compiler/transform/pass.h"
#include "models/compiled.h"
#include "models/load.h"
#include "tests/support/rounded.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace gmc {
namespace {

using Tensors = std::map<std::string, graph::Reference>;

graph::Reference widened(const HostTensor& t) { return {t.shape, {t.as<float>(), t.as<float>() + t.count()}}; }

// A small VAE on 16 striped pictures.
struct Trial {
  Program program;
  HostTensor x{f32, {16, 36}};

  explicit Trial(DType precision) {
    program.set_precision(precision);
    load_model("vae-mlp").build(program, "tiny",
                                {{"batch", "16"}, {"x", "36"}, {"h", "24"}, {"z", "4"}, {"lr", "0.01"}});
    for (int row = 0; row < 16; ++row)
      for (int i = 0; i < 36; ++i) x.as<float>()[row * 36 + i] = (i * (1 + row % 4) + row / 4) % 5 < 2;
  }
};

double relative(const graph::Reference& expected, const graph::Reference& got) {
  double difference = 0, scale = 0;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    difference += std::pow(got.values.at(i) - expected.values[i], 2);
    scale += std::pow(expected.values[i], 2);
  }
  return std::sqrt(difference) / std::sqrt(scale);
}

class CompiledPrecision : public testing::TestWithParam<DType> {};

// Sums in another order may round to the other neighbour, one part in 2^8 of an element of bf16 and in 2^11 of f16; the
// norm of a tensor sees few of them.
TEST_P(CompiledPrecision, computes_what_the_interpreter_rounds) {
  Trial trial(GetParam());
  // One more output for each gradient: what the optimiser makes of them is no measure, since Adam divides by their
  // size.
  const Entry& entry = trial.program.entry_named("step");
  graph::Graph g = *entry.graph;
  Program with_gradients;
  for (const auto& [name, value] : entry.gradients) g.add_output({"d " + name, value, false});
  for (const State& s : trial.program.states()) with_gradients.adopt(s);
  with_gradients.adopt(Entry{"step", std::make_shared<graph::Graph>(g), {}, {}, f32});
  for (const char* policy : {"none", "greedy"}) {
    CompiledEntry step = compile(with_gradients, "step", {.policy = policy});
    Tensors in{{"x", widened(trial.x)}};
    for (const auto& [name, value] : step.state()) in[name] = widened(value);
    if (in.count("adam.scale")) {
      in["adam.scale"].values = {1024};  // small enough for f16 at once
      HostTensor scale(f32, {});
      scale.as<float>()[0] = 1024;
      step.set_state({{"adam.scale", scale}});
    }
    const TensorMap got = step.run({{"x", trial.x}}, 0, 0);
    const graph::Interpretation expected = testing_support::interpret_rounded(transform::run_pipeline(g), in, 0, 0);
    const double bound = GetParam() == f16 ? 0x1p-11 : 0x1p-8;
    for (const auto& [name, value] : expected.outputs)
      EXPECT_LT(relative(value, widened(got.at(name))), bound) << name << " under " << policy;
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, CompiledPrecision, testing::Values(bf16, f16),
                         [](const auto& d) { return std::string(name_of(d.param)); });

// The mean loss of the last 10 of 60 steps that were not skipped.
double trained(DType precision) {
  Trial trial(precision);
  CompiledEntry step = compile(trial.program, "step");
  double loss = 0;
  int last = 0;
  for (int k = 0; last < 60 && k < 80; ++k) {
    const double now = step.run({{"x", trial.x}}).at("loss").as<float>()[0];
    last = static_cast<int>(step.state().at("adam.t").as<float>()[0]);
    if (last > 50) loss += now / 10;
  }
  EXPECT_EQ(last, 60);
  return loss;
}

TEST(CompiledPrecision, trains_as_f32_does) {
  const double reference = trained(f32), brain = trained(bf16), half = trained(f16);
  EXPECT_LT(reference, 13);  // it starts at 36 log 2 = 25
  EXPECT_NEAR(brain, reference, 0.02 * reference);
  EXPECT_NEAR(half, reference, 0.02 * reference);
  std::printf("loss %.4f in f32, %.4f in bf16, %.4f in f16\n", reference, brain, half);
}

}  // namespace
}  // namespace gmc
