// The reference models, small: compiled training steps and samples against the interpreter, on the same draws. Cases of
// PyTorch are tests/dsl/parity_test.cpp.
#include "compiler/graph/interpret.h"
#include "compiler/package/program_source.h"
#include "compiler/package/session.h"
#include "compiler/transform/pass.h"
#include "models/builtin.h"
#include "models/load.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"
#include "tests/support/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>

namespace gmc {
namespace {

using Values = std::map<std::string, graph::Reference>;

// A configuration of a model on which the interpreter takes a moment; tokens and labels are below `vocabulary`.
struct Small {
  std::string model;
  Overrides set;
  int64_t vocabulary = 0;
  std::string variant = {};  // what is not as by default
};
void PrintTo(const Small& c, std::ostream* out) { *out << c.model << " " << c.variant; }
const std::vector<Small>& small() {
  static const Overrides ddpm{{"batch", "1"}, {"size", "4"}, {"c", "8"}, {"ddim", "3"}, {"n", "1"}};
  static const Overrides gan{{"batch", "3"}, {"x", "13"}, {"h", "9"}, {"z", "2"}};
  static const auto with = [](Overrides set, const Overrides& more) {
    set.insert(set.end(), more.begin(), more.end());
    return set;
  };
  static const std::vector<Small> all{
      {"ar-gpt",
       {{"batch", "2"}, {"t", "5"}, {"vocab", "7"}, {"d", "6"}, {"layers", "2"}, {"heads", "3"}, {"gen", "4"}},
       7},
      {"ar-lstm", {{"batch", "2"}, {"t", "5"}, {"vocab", "7"}, {"d", "6"}, {"layers", "2"}, {"gen", "4"}}, 7},
      {"ar-seq2seq",
       {{"batch", "2"},
        {"t", "5"},
        {"vocab", "7"},
        {"d", "6"},
        {"heads", "3"},
        {"layers", "2"},
        {"ff", "8"},
        {"gen", "4"}},
       7},
      {"diffusion-ddpm", ddpm},
      {"diffusion-ddpm",
       with(ddpm, {{"classes", "3"},
                   {"drop", "0.5"},
                   {"guidance", "1.5"},
                   {"ancestral", "true"},
                   {"accumulate", "2"},
                   {"ema", "0.5"}}),
       3, "guided"},
      {"flow-glow", {{"batch", "2"}, {"ch", "3"}, {"size", "8"}, {"steps", "2"}, {"h", "4"}}},
      {"flow-glow",
       {{"batch", "2"}, {"size", "4"}, {"levels", "1"}, {"steps", "1"}, {"h", "4"}, {"ema", "0.5"}},
       0,
       "averaged"},
      {"vae-conv", {{"batch", "2"}, {"ch", "3"}, {"c", "2"}, {"z", "3"}}},
      {"vae-conv", {{"batch", "2"}, {"c", "2"}, {"z", "3"}, {"accumulate", "2"}, {"ema", "0.5"}}, 0, "averaged"},
      {"gan-dc", {{"batch", "2"}, {"ch", "3"}, {"c", "2"}, {"z", "3"}}},
      {"gan-dc", {{"batch", "2"}, {"c", "2"}, {"z", "3"}, {"accumulate", "2"}, {"ema", "0.5"}}, 0, "averaged"},
      {"vae-mlp", {{"batch", "3"}, {"x", "13"}, {"h", "9"}, {"z", "2"}}},
      {"vae-mlp", {{"batch", "3"}, {"x", "13"}, {"h", "9"}, {"z", "2"}, {"ema", "0.5"}}, 0, "averaged"},
      {"gan-mlp", gan},
      {"gan-mlp",
       with(gan,
            {{"layers", "2"}, {"paired", "true"}, {"gamma", "0.7"}, {"decay", "9"}, {"ema", "0.5"}, {"bounded", "0"}}),
       0, "paired"},
      {"gan-mlp", with(gan, {{"layers", "0"}, {"gamma", "2"}, {"accumulate", "2"}}), 0, "penalised"},
      {"flow-realnvp", {{"batch", "3"}, {"x", "6"}, {"h", "9"}, {"layers", "3"}}},
      {"flow-realnvp",
       {{"batch", "3"}, {"x", "6"}, {"h", "9"}, {"layers", "1"}, {"accumulate", "2"}, {"ema", "0.5"}},
       0,
       "averaged"},
  };
  return all;
}

// Compiled, and the entries that the interpreter runs.
struct Both {
  Program program;
  graph::Graph gradients, step, sample;
  std::optional<package::Session> session;
  Values state;  // the interpreter's

  explicit Both(const Small& c) {
    load_model(c.model).build(program, "tiny", c.set);
    package::Source source = package::source_of(program, c.model, {"step", "sample"});
    const Entry& entry = program.entry_named("step");
    gradients = transform::run_pipeline(package::gradients_of(entry));
    step = transform::run_pipeline(*entry.graph);
    sample = transform::run_pipeline(*program.entry_named("sample").graph);
    source.entries.push_back(package::gradients_of(entry));
    session.emplace(package::compile(source, {codegen::host_target(), "greedy", {}, "", 0, false}),
                    package::SessionOptions{.threads = 2, .guard = true});
    const TensorMap initial = package::initial_state(program, 0);
    session->set_state(initial, false);
    for (const auto& [name, t] : initial) state[name] = widened(t);
  }

  static graph::Reference widened(const HostTensor& t) {
    graph::Reference r{t.shape, {}};
    for (size_t i = 0; i < static_cast<size_t>(t.count()); ++i) r.values.push_back(tests::element_of(t, i));
    return r;
  }
};

// Numbers in [0, 1), or tokens.
TensorMap batch_of(const graph::Graph& g, int64_t vocabulary, uint64_t k) {
  TensorMap out;
  for (const graph::Node& n : g.nodes()) {
    if (n.op->category != graph::Category::input || n.text("role") != "data") continue;
    graph::Reference r{n.types[0].shape, {}};
    const uint64_t key = execute::stream_key(k, execute::stream_of(n.text("name").c_str()), 0);
    for (int64_t e = 0; e < element_count(r.shape); ++e) {
      const double u = execute::uniform_of(execute::random_word(key, static_cast<uint64_t>(e)));
      r.values.push_back(is_float(n.types[0].dtype) ? u : std::floor(u * static_cast<double>(vocabulary)));
    }
    out[n.text("name")] = tests::to_host(r, n.types[0].dtype);
  }
  return out;
}

graph::Interpretation interpreted(const graph::Graph& g, const Values& state, const TensorMap& batch, uint64_t step) {
  Values inputs = state;
  for (const auto& [name, t] : batch) inputs[name] = Both::widened(t);
  return graph::interpret(g, inputs, 0, step);
}

double norm(const std::vector<double>& x) {
  double total = 0;
  for (double v : x) total += v * v;
  return std::sqrt(total);
}

class ReferenceModels : public testing::TestWithParam<Small> {};

TEST_P(ReferenceModels, trains_and_samples_compiled_as_interpreted) {
  Both both(GetParam());
  const int64_t vocabulary = GetParam().vocabulary;

  const TensorMap first = batch_of(both.gradients, vocabulary, 0);
  const TensorMap got = both.session->run("step_gradients", first);
  const Values want = interpreted(both.gradients, both.state, first, 0).outputs;
  double largest = 0;
  for (const auto& [name, g] : want) largest = std::max(largest, norm(g.values));
  for (const auto& [name, g] : want) {
    std::vector<double> difference = g.values;
    for (size_t i = 0; i < difference.size(); ++i) difference[i] -= tests::element_of(got.at(name), i);
    EXPECT_LE(norm(difference), 1e-4 * norm(g.values) + 1e-6 * largest) << name;
  }

  for (uint64_t k = 0; k < 2; ++k) {
    const TensorMap batch = batch_of(both.step, vocabulary, k);
    const TensorMap results = both.session->run("step", batch, 0, k);
    graph::Interpretation expected = interpreted(both.step, both.state, batch, k);
    for (const auto& [name, r] : expected.outputs)
      EXPECT_NEAR(tests::element_of(results.at(name), 0), r.values.at(0), 1e-5 * std::max(1.0, std::fabs(r.values[0])))
          << name << " of step " << k;
    for (auto& [name, r] : expected.updates) both.state[name] = std::move(r);
  }
  // From the same weights, since Adam makes much of a gradient that is rounding noise.
  TensorMap weights;
  for (const State& s : both.program.states()) weights[s.name] = tests::to_host(both.state.at(s.name), s.dtype);
  both.session->set_state(weights, false);
  for (auto& [name, r] : both.state) r = Both::widened(weights.at(name));
  const HostTensor samples = both.session->run("sample", {}).at("samples");
  const graph::Reference drawn = interpreted(both.sample, both.state, {}, 0).outputs.at("samples");
  ASSERT_EQ(samples.shape, drawn.shape);
  for (size_t i = 0; i < drawn.values.size(); ++i)
    ASSERT_NEAR(tests::element_of(samples, i), drawn.values[i], 1e-4 * (1 + std::fabs(drawn.values[i]))) << i;
}

TEST(ListOfReferenceModels, is_whole) {
  for (const auto& entry : builtin_models()) {
    const std::string name = entry()->name;
    EXPECT_TRUE(std::any_of(small().begin(), small().end(), [&](const Small& c) { return c.model == name; })) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ReferenceModels, testing::ValuesIn(small()), [](const auto& one) {
  std::string name = one.param.model + (one.param.variant.empty() ? "" : "_" + one.param.variant);
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
});

}  // namespace
}  // namespace gmc
