// Whole programs through every stage: the JIT against the interpreter, under every policy.
#include "compiler/package/session.h"

#include "compiler/fusion/policy.h"
#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/package/compile.h"
#include "compiler/transform/differentiate.h"
#include "ops/elementwise.h"
#include "runtime/base/error.h"

#include <gtest/gtest.h>

#include <cmath>

namespace gmc {
namespace {

using namespace graph;

HostTensor tensor_of(const Reference& r) {
  HostTensor t(DType::f32, r.shape);
  for (size_t i = 0; i < r.values.size(); ++i) t.as<float>()[i] = static_cast<float>(r.values[i]);
  return t;
}

Reference filled(const Shape& shape, uint64_t seed, double scale) {
  Reference r{shape, std::vector<double>(static_cast<size_t>(element_count(shape)))};
  for (size_t i = 0; i < r.values.size(); ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    r.values[i] = static_cast<float>((static_cast<double>(seed >> 40) / (1 << 24) - 0.5) * scale);
  }
  return r;
}

// A two-layer network with a training step: products in all transposes, reductions over rows, columns and all, an
// update in place.
Graph training_step(int64_t batch, int64_t in, int64_t hidden, int64_t out) {
  Graph g("step");
  const Var x = input(g, "x", "data", {f32, {batch, in}}), t = input(g, "t", "data", {f32, {batch, out}});
  std::vector<Var> weights{input(g, "w1", "state", {f32, {hidden, in}}), input(g, "b1", "state", {f32, {hidden}}),
                           input(g, "w2", "state", {f32, {out, hidden}}), input(g, "b2", "state", {f32, {out}})};
  const Var h = apply(ops::tanh_op, {matmul(x, weights[0], false, true) + weights[1]});
  const Var logits = matmul(h, weights[2], false, true) + weights[3];
  const Var loss = sum(ops::softplus(logits) - logits * t) / static_cast<double>(batch);
  g.add_output({"loss", loss.value, false});
  const auto gradients = transform::differentiate(loss, weights);
  for (size_t i = 0; i < weights.size(); ++i)
    g.add_output({g.node(weights[i].value).text("name"), (weights[i] - 0.1 * gradients[i]).value, true});
  return g;
}

struct Case {
  const char* policy;
  int threads;
};

class TrainingStep : public testing::TestWithParam<Case> {};

TEST_P(TrainingStep, MatchesTheInterpreter) {
  const Graph g = training_step(37, 50, 33, 19);
  package::Source source{"net", "{}", {}, {g}};
  std::map<std::string, Reference> values;
  uint64_t seed = 1;
  for (const Node& n : g.nodes()) {
    if (n.op->category != Category::input) continue;
    values[n.text("name")] = filled(n.types[0].shape, seed++, n.text("role") == "state" ? 0.5 : 1);
    if (n.text("role") == "state") source.states.push_back({n.text("name"), n.types[0], true, false});
  }
  package::Options options{codegen::host_target(), GetParam().policy, {}, "", 1, false};
  package::Session session(package::compile(source, options), {GetParam().threads, true});
  TensorMap states, inputs;
  for (const auto& [name, value] : values) (name == "x" || name == "t" ? inputs : states)[name] = tensor_of(value);
  session.set_state(states, true);
  for (int step = 0; step < 3; ++step) {
    const Interpretation expected = interpret(g, values);
    const TensorMap got = session.run("step", inputs);
    EXPECT_NEAR(got.at("loss").as<float>()[0], expected.outputs.at("loss").values[0], 1e-4);
    const TensorMap after = session.state();
    for (const auto& [name, update] : expected.updates) {
      values[name] = update;
      for (size_t i = 0; i < update.values.size(); ++i)
        ASSERT_NEAR(after.at(name).as<float>()[i], update.values[i], 2e-6) << name << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, TrainingStep,
                         testing::Values(Case{"none", 1}, Case{"none", 3}, Case{"greedy", 1}, Case{"greedy", 3}),
                         [](const auto& p) { return std::string(p.param.policy) + std::to_string(p.param.threads); });

// It would end with an illegal instruction.
TEST(Session, RefusesCodeOfAnotherProcessor) {
  Graph g("step");
  g.add_output({"y", (graph::input(g, "x", "data", {f32, {4}}) * 2.0).value, false});
  package::Compiled compiled =
      package::compile({"p", "{}", {}, {g}}, {codegen::host_target(), "greedy", {}, "", 1, false});
  EXPECT_NO_THROW(package::Session(compiled, {1, false}));
  compiled.target.name = "a later one";
  ++compiled.target.isa;
  try {
    package::Session(compiled, {1, false});
    ADD_FAILURE() << "it was accepted";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find("code for a later one cannot run here: this CPU is "), 0u) << e.what();
  }
}

}  // namespace
}  // namespace gmc
