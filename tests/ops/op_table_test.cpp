// What every op of the registry must satisfy, on its own samples: a new op brings no new test code.
#include "compiler/transform/pass.h"
#include "runtime/base/error.h"
#include "tests/support/trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace gmc {
namespace {

using namespace graph;
using tests::samples_of;
using tests::Trial;

class OpTable : public testing::TestWithParam<const OpDef*> {};

TEST_P(OpTable, passes_keep_the_values) {
  for (const Sample& sample : samples_of(*GetParam())) {
    Trial trial(*GetParam(), sample);
    trial.output_all();
    const Interpretation expected = interpret(trial.graph, trial.inputs);
    const Interpretation got = interpret(transform::run_pipeline(trial.graph), trial.inputs);
    for (const Output& o : trial.graph.outputs()) {
      const Reference &want = expected.outputs.at(o.name), &have = got.outputs.at(o.name);
      ASSERT_EQ(have.shape, want.shape);
      EXPECT_EQ(want.shape, trial.graph.type(o.value).shape);
      for (size_t e = 0; e < want.values.size(); ++e)
        ASSERT_NEAR(have.values[e], want.values[e], 1e-12 * (1 + std::fabs(want.values[e]))) << print(trial.graph);
    }
  }
}

TEST_P(OpTable, prints_and_parses_back) {
  for (const Sample& sample : samples_of(*GetParam())) {
    Trial trial(*GetParam(), sample);
    trial.output_all();
    const std::string text = print(trial.graph);
    EXPECT_EQ(print(parse(text, ops::registry())), text);
  }
}

TEST_P(OpTable, refuses_bad_operands_with_a_reason) {
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

TEST_P(OpTable, takes_the_dtypes_it_declares_and_no_others) {
  const OpDef& op = *GetParam();
  for (DType dtype : {f32, f64, bf16, f16, i32, i64, i8, u8, boolean}) {
    bool typed = false, accepted = false;
    std::string refusal;
    for (const Sample& sample : samples_of(op)) {
      const auto retyped = tests::with_dtype(op, sample, dtype);
      if (!retyped) continue;
      typed = true;
      try {
        const Trial trial(op, *retyped);
        accepted = true;
      } catch (const Error& e) {
        refusal = e.what();
      }
    }
    if (!typed) continue;
    EXPECT_EQ(accepted, (op.dtypes & only(dtype)) != 0) << name_of(dtype) << ' ' << refusal;
    if (!accepted) {
      EXPECT_THAT(refusal, testing::HasSubstr(name_of(dtype)));
    }
  }
}

// The record of an op is complete: without samples and refusals nothing above would try it.
TEST_P(OpTable, has_a_record) {
  const OpDef& op = *GetParam();
  EXPECT_GE(samples_of(op).size(), 1u);
  ASSERT_TRUE(op.bad_samples);
  EXPECT_GE(op.bad_samples().size(), 3u);
}

TEST(OpRegistry, names_are_unique) {
  std::set<std::string> names;
  for (const OpDef* op : ops::registry()) EXPECT_TRUE(names.insert(op->name).second) << op->name;
}

// What has regions is tried in tests/control.
std::vector<const OpDef*> recorded_ops() {
  std::vector<const OpDef*> out;
  for (const OpDef* op : ops::registry())
    if (op != &input_op && op != &constant_op && !op->infer_regions) out.push_back(op);
  return out;
}
constexpr auto name_of_op = [](const auto& op) { return std::string(op.param->name); };
INSTANTIATE_TEST_SUITE_P(Ops, OpTable, testing::ValuesIn(recorded_ops()), name_of_op);

}  // namespace
}  // namespace gmc
