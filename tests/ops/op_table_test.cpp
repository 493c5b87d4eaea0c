// What every op of the registry must satisfy, on its own samples: a new op brings no new test code.
#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/graph/text.h"
#include "compiler/transform/differentiate.h"
#include "compiler/transform/pass.h"
#include "ops/registry.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace gmc {
namespace {

using namespace graph;
using Inputs = std::map<std::string, Reference>;

class OpTable : public testing::TestWithParam<const OpDef*> {};

Reference random_values(const TensorType& type, const std::string& name, double low, double high) {
  Reference out{type.shape, {}};
  const uint64_t key = execute::stream_key(0, execute::stream_of(name.c_str()), 0);
  for (int64_t e = 0; e < element_count(type.shape); ++e) {
    const double u = execute::uniform_of(execute::random_word(key, static_cast<uint64_t>(e)));
    const double v = low + (high - low) * u;
    out.values.push_back(type.dtype == DType::boolean ? (u < 0.5 ? 0.0 : 1.0)
                         : is_float(type.dtype)       ? v
                                                      : std::floor(v));
  }
  return out;
}

// One node on its sample's operands.
struct Trial {
  Graph graph{"trial"};
  std::vector<Var> operands;
  Var result;
  Inputs inputs;

  Trial(const OpDef& op, const Sample& sample) {
    std::vector<Value> values;
    for (size_t i = 0; i < sample.inputs.size(); ++i) {
      const std::string name = "x" + std::to_string(i);
      operands.push_back(add(name, sample.inputs[i], sample.low, sample.high));
      values.push_back(operands.back().value);
    }
    result = {&graph, graph.add(op, values, sample.attributes)};
  }
  Var add(const std::string& name, const TensorType& type, double low = -1, double high = 1) {
    inputs[name] = random_values(type, name, low, high);
    return input(graph, name, "data", type);
  }
};

std::vector<Sample> samples_of(const OpDef& op) { return op.samples ? op.samples() : std::vector<Sample>{}; }

// d(output y)/d(input) by central differences against the outputs `d.NAME`.
void check_gradients(const Graph& g, Inputs inputs, const std::vector<std::string>& wrt) {
  constexpr double eps = 1e-6;
  const Interpretation at = interpret(g, inputs);
  for (const std::string& name : wrt)
    for (size_t e = 0; e < inputs.at(name).values.size(); ++e) {
      double& x = inputs.at(name).values[e];
      const double kept = x;
      x = kept + eps;
      const double above = interpret(g, inputs).outputs.at("y").values[0];
      x = kept - eps;
      const double below = interpret(g, inputs).outputs.at("y").values[0];
      x = kept;
      const double numeric = (above - below) / (2 * eps), symbolic = at.outputs.at("d." + name).values[e];
      ASSERT_NEAR(symbolic, numeric, 1e-5 + 1e-3 * std::fabs(numeric)) << name << " element " << e;
    }
}

Var weighted_sum(Trial& trial, Var value, const std::string& weights) {
  return sum(value * trial.add(weights, value.type()));
}

// Ops with a gradient and a sample from floating to floating; that of stop_gradient is none by definition.
std::vector<const OpDef*> differentiable_ops() {
  std::vector<const OpDef*> out;
  for (const OpDef* op : ops::registry()) {
    if (op == &stop_gradient_op || (!op->vjp && !op->expand)) continue;
    const std::vector<Sample> samples = samples_of(*op);
    if (std::any_of(samples.begin(), samples.end(), [&](const Sample& s) {
          return is_float(op->infer(s.inputs, s.attributes)[0].dtype) &&
                 std::any_of(s.inputs.begin(), s.inputs.end(), [](const TensorType& t) { return is_float(t.dtype); });
        }))
      out.push_back(op);
  }
  return out;
}
class DifferentiableOp : public OpTable {};

TEST_P(DifferentiableOp, gradients_of_first_and_second_order_agree_with_differences) {
  const OpDef& op = *GetParam();
  int tried = 0;
  for (const Sample& sample : samples_of(op))
    for (int order : {1, 2}) {
      Trial trial(op, sample);
      std::vector<Var> wrt;
      std::vector<std::string> names;
      for (size_t i = 0; i < trial.operands.size(); ++i)
        if (is_float(trial.operands[i].type().dtype)) {
          wrt.push_back(trial.operands[i]);
          names.push_back("x" + std::to_string(i));
        }
      if (wrt.empty() || !is_float(trial.result.type().dtype)) continue;
      ++tried;
      Var y = weighted_sum(trial, trial.result, "w");
      if (order == 2) {
        const std::vector<Var> first = transform::differentiate(y, wrt);
        y = weighted_sum(trial, first[0], "u0");
        for (size_t i = 1; i < first.size(); ++i) y = y + weighted_sum(trial, first[i], "u" + std::to_string(i));
      }
      const std::vector<Var> gradients = transform::differentiate(y, wrt);
      trial.graph.add_output({"y", y.value});
      for (size_t i = 0; i < wrt.size(); ++i) {
        EXPECT_EQ(gradients[i].type(), wrt[i].type());
        trial.graph.add_output({"d." + names[i], gradients[i].value});
      }
      check_gradients(trial.graph, trial.inputs, names);
      if (HasFatalFailure()) FAIL() << "order " << order << "\n" << print(trial.graph);
    }
  EXPECT_GT(tried, 0);
}

TEST_P(OpTable, passes_keep_the_values) {
  for (const Sample& sample : samples_of(*GetParam())) {
    Trial trial(*GetParam(), sample);
    trial.graph.add_output({"y", trial.result.value});
    const Reference expected = interpret(trial.graph, trial.inputs).outputs.at("y");
    const Reference got = interpret(transform::run_pipeline(trial.graph), trial.inputs).outputs.at("y");
    ASSERT_EQ(got.shape, expected.shape);
    EXPECT_EQ(expected.shape, trial.result.shape());
    for (size_t e = 0; e < expected.values.size(); ++e)
      ASSERT_NEAR(got.values[e], expected.values[e], 1e-12) << print(trial.graph);
  }
}

TEST_P(OpTable, prints_and_parses_back) {
  for (const Sample& sample : samples_of(*GetParam())) {
    Trial trial(*GetParam(), sample);
    trial.graph.add_output({"y", trial.result.value});
    const std::string text = print(trial.graph);
    EXPECT_EQ(print(parse(text, ops::registry())), text);
  }
}

std::vector<const OpDef*> refusing_ops() {
  std::vector<const OpDef*> out = ops::registry();
  std::erase_if(out, [](const OpDef* op) { return !op->bad_samples; });
  return out;
}
class RefusingOp : public OpTable {};

TEST_P(RefusingOp, refuses_bad_operands_with_a_reason) {
  const OpDef& op = *GetParam();
  for (const BadSample& bad : op.bad_samples()) {
    try {
      const Trial trial(op, {bad.inputs, bad.attributes});
      ADD_FAILURE() << "accepted, expected: " << bad.message;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), testing::HasSubstr(bad.message));
      EXPECT_THAT(e.what(), testing::HasSubstr(op.name));
    }
  }
}

TEST(OpRegistry, names_are_unique_and_differentiable_ops_have_samples) {
  std::set<std::string> names;
  for (const OpDef* op : ops::registry()) {
    EXPECT_TRUE(names.insert(op->name).second) << op->name;
    if (!op->vjp && !op->expand) continue;
    EXPECT_TRUE(op->samples && op->bad_samples) << op->name;
  }
}

TEST(StopGradient, lets_values_through_and_no_gradient) {
  Graph g("trial");
  const Var x = input(g, "x", "data", {f32, {2}});
  std::vector<bool> reached;
  const Var y = sum(x * stop_gradient(x) + stop_gradient(x * x));
  g.add_output({"d", transform::differentiate(y, {x}, &reached)[0].value});
  EXPECT_EQ(reached, std::vector<bool>{true});
  EXPECT_EQ(interpret(g, {{"x", {{2}, {3, -5}}}}).outputs.at("d").values, (std::vector<double>{3, -5}));
  transform::differentiate(sum(stop_gradient(x)), {x}, &(reached = {}));
  EXPECT_EQ(reached, std::vector<bool>{false});
}

constexpr auto name_of_op = [](const auto& op) { return std::string(op.param->name); };
INSTANTIATE_TEST_SUITE_P(Ops, OpTable, testing::ValuesIn(ops::registry()), name_of_op);
INSTANTIATE_TEST_SUITE_P(Ops, DifferentiableOp, testing::ValuesIn(differentiable_ops()), name_of_op);
INSTANTIATE_TEST_SUITE_P(Ops, RefusingOp, testing::ValuesIn(refusing_ops()), name_of_op);

}  // namespace
}  // namespace gmc
