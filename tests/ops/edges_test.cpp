// Every op at the edges, compiled against the interpreter: sizes around those of vectors, no elements, ranks 0 to 6;
// NaN, infinities and signed zeros.
#include "tests/support/agree.h"
#include "tests/support/trial.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace gmc {
namespace {

using namespace graph;
using tests::samples_of;
using tests::Trial;

class EdgesOfOp : public testing::TestWithParam<const OpDef*> {};

// ---- sizes ---------------------------------------------------------------------------------------------------------

// The sample with every operand of one shape in another; nothing where operands differ in shape.
std::optional<Sample> in_shape(Sample sample, const Shape& shape) {
  for (size_t i = 1; i < sample.inputs.size(); ++i)
    if (sample.inputs[i].shape != sample.inputs[0].shape) return std::nullopt;
  for (TensorType& t : sample.inputs) t.shape = shape;
  return sample;
}

// The sample with an extent replaced wherever operands have it.
Sample with_extent(Sample sample, int64_t was, int64_t is) {
  for (TensorType& t : sample.inputs) std::replace(t.shape.begin(), t.shape.end(), was, is);
  return sample;
}

std::vector<Sample> resized(const OpDef& op) {
  const int64_t lanes = codegen::host_target().lanes;
  std::vector<Shape> shapes{{},     {0},    {1},       {2, 0, 3},       {2, 3},
                            {7, 1}, {1, 7}, {3, 2, 5}, {2, 1, 3, 1, 2}, {2, 1, 2, 3, 1, 2}};
  std::vector<int64_t> extents{0, 1, 2, 13, lanes - 1, lanes, lanes + 1, 2 * lanes + 1};
  for (int64_t n : extents) shapes.push_back({n});
  std::vector<Sample> out;
  std::set<std::string> seen;
  auto offer = [&](const std::optional<Sample>& sample) {
    if (!sample) return;
    std::string key;
    for (const TensorType& t : sample->inputs) key += to_string(t);
    int64_t elements = 0;
    for (const TensorType& t : sample->inputs) elements += element_count(t.shape);
    if (elements < 4000 && seen.insert(key).second && tests::is_accepted(op, *sample)) out.push_back(*sample);
  };
  const std::vector<Sample> samples = samples_of(op);
  for (const Shape& shape : shapes)
    for (size_t k = 0; k < std::min<size_t>(samples.size(), 3); ++k) offer(in_shape(samples[k], shape));
  for (size_t k = 0; k < std::min<size_t>(samples.size(), 2); ++k) {
    std::set<int64_t> present;
    for (const TensorType& t : samples[k].inputs) present.insert(t.shape.begin(), t.shape.end());
    for (int64_t was : present)
      for (int64_t is : extents) offer(with_extent(samples[k], was, is));
  }
  return out;
}

TEST_P(EdgesOfOp, agrees_at_every_size) {
  Trial trial;
  int number = 0;
  for (const Sample& sample : resized(*GetParam())) trial.add(*GetParam(), sample, fmt::format("s{}.", number++));
  RecordProperty("sizes", number);
  if (number == 0) return;
  trial.output_all();
  const tests::Agreement all = tests::expect_agreement(trial.graph, trial.inputs, tests::with_policy("greedy"), 2);
  // A bound that says nothing would let everything pass.
  if (!tests::is_factorisation(*GetParam())) {
    EXPECT_GT(static_cast<double>(all.sharp), 0.95 * static_cast<double>(all.elements));
  }
}

// ---- values --------------------------------------------------------------------------------------------------------

constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();

TEST_P(EdgesOfOp, keeps_nan_and_infinities) {
  if (tests::is_factorisation(*GetParam())) return;
  constexpr double specials[] = {nan, inf, -inf, -0.0, 0.0, 1, -1, 2, 0.5};
  const OpDef& op = *GetParam();
  Trial trial;
  int number = 0;
  for (const Sample& sample : samples_of(op)) {
    const size_t first = trial.operands.size();
    trial.add(op, sample, fmt::format("s{}.", number++));
    // Operands take the values at different paces, so that all pairs meet; between them stands what the sample has.
    for (size_t i = first; i < trial.operands.size(); ++i) {
      if (!is_float(trial.operands[i].type().dtype)) continue;
      std::vector<double>& values = trial.inputs.at(trial.graph.node(trial.operands[i].value).text("name")).values;
      const size_t pace = i == first ? 1 : i - first == 1 ? 9 : 4;
      for (size_t e = 0; e < values.size(); ++e)
        if (pace > 1 || e % 2 == 0) values[e] = specials[e / pace % std::size(specials)];
    }
  }
  trial.output_all();
  tests::expect_agreement(trial.graph, trial.inputs, tests::with_policy("greedy"), 1);
}

// The sign of a zero is that of the function in f64.
TEST_P(EdgesOfOp, keeps_the_sign_of_zero) {
  const OpDef& op = *GetParam();
  if (op.category != Category::elementwise || op.arity > 2 || !(op.dtypes & only(f32))) return;
  for (DType dtype : {f32, f64}) {
    Trial trial;
    const Sample sample{std::vector<TensorType>(static_cast<size_t>(op.arity), {dtype, {64}}),
                        samples_of(op)[0].attributes};
    if (!tests::is_accepted(op, sample)) return;
    trial.add(op, sample, "");
    if (!is_float(trial.results[0].type().dtype)) return;
    constexpr double zeros[] = {0.0, -0.0, 1, -1, 0.25, -0.25, 2, -2};
    for (size_t i = 0; i < trial.operands.size(); ++i)
      for (size_t e = 0; e < 64; ++e) trial.inputs.at("x" + std::to_string(i)).values[e] = zeros[(i ? e / 8 : e) % 8];
    trial.output_all();
    TensorMap inputs;
    for (const auto& [name, value] : trial.inputs) inputs[name] = tests::to_host(value, dtype);
    package::Session session(package::compile({"program", "{}", {}, {trial.graph}}, tests::with_policy("greedy")),
                             {1, true});
    const HostTensor got = session.run("trial", inputs).at("y0");
    const Reference want = interpret(trial.graph, trial.inputs).outputs.at("y0");
    for (size_t e = 0; e < 64; ++e) {
      if (want.values[e] != 0) continue;
      EXPECT_EQ(std::signbit(tests::element_of(got, e)), std::signbit(want.values[e]))
          << op.name << " of " << trial.inputs.at("x0").values[e] << ' '
          << (op.arity > 1 ? trial.inputs.at("x1").values[e] : 0) << " in " << name_of(dtype);
    }
  }
}

std::vector<const OpDef*> ops_with_samples() {
  std::vector<const OpDef*> out;
  for (const OpDef* op : ops::registry())
    if (op->samples) out.push_back(op);
  return out;
}
constexpr auto name_of_op = [](const auto& op) { return std::string(op.param->name); };
INSTANTIATE_TEST_SUITE_P(Ops, EdgesOfOp, testing::ValuesIn(ops_with_samples()), name_of_op);

// The rest of the ops have attributes that name extents: those rely on their samples.
TEST(Edges, WhatCannotBeResizedNamesExtents) {
  std::set<std::string> fixed;
  for (const OpDef* op : ops_with_samples())
    if (resized(*op).size() < 4) fixed.insert(op->name);
  EXPECT_EQ(fixed, (std::set<std::string>{"broadcast", "index", "literal", "random", "reshape"}));
}

}  // namespace
}  // namespace gmc
