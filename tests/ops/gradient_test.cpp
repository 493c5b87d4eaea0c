// Gradients of every op on its own samples: of first and second order against differences, forward against reverse.
#include "compiler/transform/differentiate.h"
#include "tests/support/trial.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace gmc {
namespace {

using namespace graph;
using tests::Inputs;
using tests::samples_of;
using tests::Trial;

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

// Random weights on every element of the floating values, so that no gradient is lost in a sum.
Var weighted_sum(Trial& trial, const std::vector<Var>& values, const std::string& weights) {
  Var total;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!is_float(values[i].type().dtype)) continue;
    const Var part = sum(values[i] * trial.input(weights + std::to_string(i), values[i].type()));
    total = total.valid() ? total + part : part;
  }
  return total;
}

struct Wrt {
  std::vector<Var> values;
  std::vector<std::string> names;
};
Wrt floating_operands(const Trial& trial) {
  Wrt out;
  for (size_t i = 0; i < trial.operands.size(); ++i)
    if (is_float(trial.operands[i].type().dtype)) {
      out.values.push_back(trial.operands[i]);
      out.names.push_back("x" + std::to_string(i));
    }
  return out;
}
bool is_floating(const Trial& trial) {
  const auto floats = [](const Var& v) { return is_float(v.type().dtype); };
  return std::any_of(trial.operands.begin(), trial.operands.end(), floats) &&
         std::any_of(trial.results.begin(), trial.results.end(), floats);
}

// Ops with a gradient and a sample from floating to floating; that of stop_gradient is none by definition.
std::vector<const OpDef*> differentiable_ops() {
  std::vector<const OpDef*> out;
  for (const OpDef* op : ops::registry()) {
    if (!op->differentiable() || op == &stop_gradient_op) continue;
    const std::vector<Sample> samples = samples_of(*op);
    if (std::any_of(samples.begin(), samples.end(), [&](const Sample& s) { return is_floating(Trial(*op, s)); }))
      out.push_back(op);
  }
  return out;
}

class DifferentiableOp : public testing::TestWithParam<const OpDef*> {};

TEST_P(DifferentiableOp, gradients_of_first_and_second_order_agree_with_differences) {
  const OpDef& op = *GetParam();
  int tried = 0;
  for (const Sample& sample : samples_of(op))
    for (int order : {1, 2}) {
      Trial trial(op, sample);
      if (!is_floating(trial)) continue;
      ++tried;
      const Wrt wrt = floating_operands(trial);
      Var y = weighted_sum(trial, trial.results, "w");
      if (order == 2) y = weighted_sum(trial, transform::differentiate(y, wrt.values), "u");
      const std::vector<Var> gradients = transform::differentiate(y, wrt.values);
      trial.graph.add_output({"y", y.value});
      for (size_t i = 0; i < gradients.size(); ++i) {
        EXPECT_EQ(gradients[i].type(), wrt.values[i].type());
        trial.graph.add_output({"d." + wrt.names[i], gradients[i].value});
      }
      check_gradients(trial.graph, trial.inputs, wrt.names);
      if (HasFatalFailure()) FAIL() << "order " << order << "\n" << print(trial.graph);
    }
  EXPECT_GT(tried, 0);
}

// <J v, w> = <v, J^T w> for every v and w.
TEST_P(DifferentiableOp, forward_and_reverse_mode_agree) {
  const OpDef& op = *GetParam();
  for (const Sample& sample : samples_of(op)) {
    Trial trial(op, sample);
    if (!is_floating(trial)) continue;
    const Wrt wrt = floating_operands(trial);
    std::vector<Var> tangents;
    for (size_t i = 0; i < wrt.values.size(); ++i)
      tangents.push_back(trial.input("v" + std::to_string(i), wrt.values[i].type()));
    const std::vector<Var> forward = transform::push_forward(trial.results, wrt.values, tangents);
    ASSERT_EQ(forward.size(), trial.results.size());
    Var left, right;
    const auto add = [](Var& sum_, const Var& part) { sum_ = sum_.valid() ? sum_ + part : part; };
    for (size_t r = 0; r < trial.results.size(); ++r) {
      if (!is_float(trial.results[r].type().dtype)) continue;
      ASSERT_EQ(forward[r].type(), trial.results[r].type());
      add(left, sum(forward[r] * trial.input("w" + std::to_string(r), trial.results[r].type())));
    }
    Var y;
    for (size_t r = 0; r < trial.results.size(); ++r)
      if (is_float(trial.results[r].type().dtype))
        add(y, sum(trial.results[r] * Var{&trial.graph, trial.graph.find_input("w" + std::to_string(r))}));
    const std::vector<Var> reverse = transform::differentiate(y, wrt.values);
    for (size_t i = 0; i < reverse.size(); ++i) add(right, sum(reverse[i] * tangents[i]));
    trial.graph.add_output({"left", left.value});
    trial.graph.add_output({"right", right.value});
    const auto got = interpret(trial.graph, trial.inputs).outputs;
    const double want = got.at("right").values[0];
    EXPECT_NEAR(got.at("left").values[0], want, 1e-9 * (1 + std::fabs(want))) << print(trial.graph);
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
INSTANTIATE_TEST_SUITE_P(Ops, DifferentiableOp, testing::ValuesIn(differentiable_ops()), name_of_op);

}  // namespace
}  // namespace gmc
