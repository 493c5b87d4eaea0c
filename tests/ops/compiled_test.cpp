// Every op on its samples, compiled: against the interpreter, within the bound of a running error analysis.
#include "compiler/codegen/target.h"
#include "compiler/fusion/policy.h"
#include "compiler/package/session.h"
#include "compiler/transform/differentiate.h"
#include "compiler/transform/pass.h"
#include "tests/support/convert.h"
#include "tests/support/error_bound.h"
#include "tests/support/fusion.h"
#include "tests/support/trial.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace gmc {
namespace {

using namespace graph;
using tests::samples_of;
using tests::Trial;

class CompiledOp : public testing::TestWithParam<const OpDef*> {};

package::Compiled compile(const Graph& g, const std::string& policy) {
  package::Options options{codegen::host_target(), policy == "random" ? "none" : policy, {}, "", 1, false};
  if (policy == "random") {
    const Graph passed = transform::run_pipeline(g);
    const fusion::View view(passed);
    options.plans[g.entry()] = fusion::to_json(view, tests::random_plan(view, 1)).dump();
  }
  return package::compile({"program", "{}", {}, {g}}, options);
}

// The inputs as every backend gets them: rounded to their dtype.
TensorMap round_inputs(Trial& trial) {
  TensorMap out;
  for (auto& [name, value] : trial.inputs) {
    const HostTensor t = tests::to_host(value, trial.graph.type(trial.graph.find_input(name)).dtype);
    for (size_t e = 0; e < value.values.size(); ++e) value.values[e] = tests::element_of(t, e);
    out[name] = t;
  }
  return out;
}

void expect_within_bounds(const Trial& trial, const TensorMap& got) {
  for (const auto& [name, want] : tests::ErrorBound::run(trial.graph, trial.inputs)) {
    const HostTensor& have = got.at(name);
    for (size_t e = 0; e < want.error.size(); ++e) {
      const double expected = want.value.values[e], is = tests::element_of(have, e);
      if (std::isnan(expected) && std::isnan(is)) continue;
      if (std::isinf(expected) && is == expected) continue;
      ASSERT_LE(std::fabs(is - expected), want.error[e])
          << name << " element " << e << ": " << is << ", expected " << expected << '\n'
          << print(trial.graph);
    }
  }
}

void check(Trial& trial, const std::string& policy) {
  SCOPED_TRACE(policy);
  const TensorMap inputs = round_inputs(trial);
  const package::Compiled compiled = compile(trial.graph, policy);
  TensorMap first;
  for (int threads : {1, 2, 5}) {
    package::Session session(compiled, {threads, true});
    const TensorMap got = session.run("trial", inputs);
    if (threads == 1) expect_within_bounds(trial, first = got);
    if (testing::Test::HasFatalFailure()) return;
    for (const auto& [name, tensor] : got) ASSERT_EQ(tensor.bytes, first.at(name).bytes) << name << ' ' << threads;
  }
}

// All samples side by side, and the gradients of those that have one.
void add_samples(const OpDef& op, Trial& trial, bool gradients) {
  int number = 0, derivatives = 0;
  for (const Sample& sample : samples_of(op)) {
    const std::string prefix = fmt::format("s{}.", number++);
    const size_t first_operand = trial.operands.size(), first_result = trial.results.size();
    trial.add(op, sample, prefix);
    if (!gradients || !op.differentiable()) continue;
    std::vector<Var> wrt;
    for (size_t i = first_operand; i < trial.operands.size(); ++i)
      if (is_float(trial.operands[i].type().dtype)) wrt.push_back(trial.operands[i]);
    Var y;
    for (size_t r = first_result; r < trial.results.size(); ++r) {
      if (!is_float(trial.results[r].type().dtype)) continue;
      const Var part = sum(trial.results[r] * trial.input(fmt::format("{}w{}", prefix, r), trial.results[r].type()));
      y = y.valid() ? y + part : part;
    }
    if (!y.valid() || wrt.empty()) continue;
    for (const Var& g : transform::differentiate(y, wrt))
      trial.graph.add_output({fmt::format("d{}", derivatives++), g.value});
  }
  trial.output_all();
}

TEST_P(CompiledOp, agrees_with_the_interpreter_without_fusion) {
  Trial trial;
  add_samples(*GetParam(), trial, false);
  check(trial, "none");
}

TEST_P(CompiledOp, agrees_with_its_gradients_under_greedy_fusion) {
  Trial trial;
  add_samples(*GetParam(), trial, true);
  check(trial, "greedy");
}

TEST_P(CompiledOp, agrees_with_its_gradients_under_a_random_plan) {
  Trial trial;
  add_samples(*GetParam(), trial, true);
  check(trial, "random");
}

TEST_P(CompiledOp, agrees_in_every_dtype) {
  const OpDef& op = *GetParam();
  Trial trial;
  for (DType dtype : {f64, bf16, f16, i32, i64, i8, u8, boolean}) {
    if (!(op.dtypes & only(dtype))) continue;
    int number = 0;
    for (const Sample& sample : samples_of(op)) {
      const auto retyped = tests::with_dtype(op, sample, dtype);
      if (retyped && tests::is_accepted(op, *retyped))
        trial.add(op, *retyped, fmt::format("{}.s{}.", name_of(dtype), number++));
    }
  }
  if (trial.results.empty()) return;
  trial.output_all();
  check(trial, "greedy");
}

std::vector<const OpDef*> compiled_ops() {
  std::vector<const OpDef*> out;
  for (const OpDef* op : ops::registry())
    if (op->samples) out.push_back(op);
  return out;
}
constexpr auto name_of_op = [](const auto& op) { return std::string(op.param->name); };
INSTANTIATE_TEST_SUITE_P(Ops, CompiledOp, testing::ValuesIn(compiled_ops()), name_of_op);

}  // namespace
}  // namespace gmc
