// Optimisers, schedules and averages against float64 trajectories of PyTorch.
#include "compiler/graph/interpret.h"
#include "runtime/base/tensor.h"
#include "tests/optimizers/problem.h"

#include <gtest/gtest.h>

#include <set>

namespace gmc::testing_optimizers {
namespace {

void feed(Tensors& inputs, int64_t step) {
  const json& batches = trajectories().at("batches");
  const json& batch = batches[static_cast<size_t>(step) % batches.size()];
  for (const char* name : {"x", "y"}) inputs[name] = tensor_of(batch.at(name));
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const json& one : trajectories().at("cases")) out.push_back(one.at("name"));
  return out;
}

const json& case_named(const std::string& name) {
  for (const json& one : trajectories().at("cases"))
    if (one.at("name") == name) return one;
  throw std::runtime_error("no case " + name);
}

class Trajectory : public testing::TestWithParam<std::string> {};

TEST_P(Trajectory, interpreter_follows_pytorch_in_f64) {
  const json& one = case_named(GetParam());
  Program p;
  build(p, one);
  const graph::Graph& g = *p.entry_named("step").graph;
  Tensors states = initial_states(p);
  const int64_t steps = trajectories().at("steps");
  int compared = 0;
  for (int64_t step = 0; step < steps; ++step) {
    feed(states, step);
    for (auto& [name, value] : graph::interpret(g, states).updates) states[name] = std::move(value);
    const auto after = one.at("after").find(std::to_string(step + 1));
    if (after == one.at("after").end()) continue;
    for (const auto& [name, value] : after->items()) {
      EXPECT_LT(worst(tensor_of(value), states.at(name).values), 1e-10) << name << " after step " << step + 1;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 10);
  for (const auto& [what, tensors] : one.at("states").items())
    for (const auto& [name, value] : tensors.items())
      EXPECT_LT(worst(tensor_of(value), states.at("o." + what + "." + name).values), 1e-10) << what << " of " << name;
  if (!one.contains("ema")) return;
  for (const auto& [name, value] : one.at("ema").at("after").items())
    EXPECT_LT(worst(tensor_of(value), states.at("ema." + name).values), 1e-10) << "average of " << name;
}

// Roundings of one parameter reach all others within 10 steps, so the scale is that of all parameters together.
TEST_P(Trajectory, compiled_follows_the_first_steps_in_f32) {
  const json& one = case_named(GetParam());
  Program p;
  build(p, one);
  CompiledEntry step = compile(p, "step");
  TensorMap states;
  const auto narrowed = [](const graph::Reference& r) {
    HostTensor t(f32, r.shape);
    for (size_t i = 0; i < r.values.size(); ++i) t.as<float>()[i] = static_cast<float>(r.values[i]);
    return t;
  };
  for (const auto& [name, value] : trajectories().at("parameters").items())
    states.emplace(name, narrowed(tensor_of(value)));
  step.set_state(states);
  for (int64_t k = 0; k < 10; ++k) {
    Tensors batch;
    feed(batch, k);
    TensorMap inputs;
    for (const auto& [name, value] : batch) inputs.emplace(name, narrowed(value));
    step.run(inputs);
  }
  const TensorMap after = step.state();
  graph::Reference expected;
  std::vector<double> got;
  for (const auto& [name, value] : one.at("after").at("10").items()) {
    const graph::Reference r = tensor_of(value);
    const HostTensor& t = after.at(name);
    ASSERT_EQ(t.shape, r.shape);
    expected.values.insert(expected.values.end(), r.values.begin(), r.values.end());
    got.insert(got.end(), t.as<float>(), t.as<float>() + t.count());
  }
  EXPECT_LT(worst(expected, got), 1e-5);
}

TEST_P(Trajectory, schedule_gives_the_rates_of_pytorch) {
  const json& one = case_named(GetParam());
  if (!one.contains("rates")) return;
  Program p;
  p.entry("rate", [&] { output("lr", rate_of(one.at("options").at("lr"))); });
  Tensors states{{"schedule.t", {{}, {0}}}};
  for (const json& rate : one.at("rates")) {
    auto out = graph::interpret(*p.entry_named("rate").graph, states);
    EXPECT_NEAR(out.outputs.at("lr").values[0], rate.get<double>(), 1e-12 * rate.get<double>())
        << "t = " << states["schedule.t"].values[0];
    states["schedule.t"] = out.updates.at("schedule.t");
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Trajectory, testing::ValuesIn(names()), [](const auto& one) { return one.param; });

// An option that changed nothing would be proven by nothing.
TEST(Trajectories, every_case_ends_elsewhere) {
  std::set<std::string> ends;
  for (const json& one : trajectories().at("cases")) ends.insert(one.at("after").at("100").dump());
  EXPECT_EQ(ends.size(), trajectories().at("cases").size());
}

}  // namespace
}  // namespace gmc::testing_optimizers
