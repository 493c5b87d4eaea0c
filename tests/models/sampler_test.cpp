// What samplers choose, against the same distributions computed here.
#include "compiler/graph/interpret.h"
#include "compiler/package/program_source.h"
#include "compiler/package/session.h"
#include "compiler/transform/pass.h"
#include "models/gmc.h"
#include "models/load.h"
#include "runtime/base/error.h"
#include "tests/support/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace gmc {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using Values = std::map<std::string, graph::Reference>;

graph::Interpretation interpreted(const Program& p, const char* entry, const Values& values, bool feed = false) {
  const graph::Graph& g = *p.entry_named(entry).graph;
  return graph::interpret(transform::run_pipeline(feed ? transform::feed_draws(g) : g), values, 3);
}

// 1000 symbols of the same scores, at the uniform numbers (i + 1/2) / 1000: how often each was chosen.
std::vector<double> shares(const std::vector<double>& scores, const Sampling& how, bool compiled = false) {
  const int64_t n = 1000, c = std::ssize(scores);
  Program p;
  p.entry("sample", [&] { output("samples", next_symbol(broadcast_to(input("scores", f32, {c}), {n, c}), how)); });
  HostTensor given(DType::f32, {c}), u(DType::f32, {n});
  for (size_t i = 0; i < scores.size(); ++i) given.as<float>()[i] = static_cast<float>(scores[i]);
  for (int64_t i = 0; i < n; ++i) u.as<float>()[i] = static_cast<float>((static_cast<double>(i) + 0.5) / 1000);
  const bool draws = how.temperature != 0 && how.top_k != 1;
  std::vector<double> counts(scores.size());
  if (compiled) {
    package::Session session(package::compile(package::source_of(p, "sampler", {"sample"}, true),
                                              {codegen::host_target(), "greedy", {}, "", 0, false}),
                             {.guard = true});
    TensorMap inputs{{"scores", given}};
    if (draws) inputs["u"] = u;
    const HostTensor out = session.run("sample", inputs).at("samples");
    for (int64_t i = 0; i < n; ++i) counts.at(static_cast<size_t>(out.as<int64_t>()[i])) += 1e-3;
    return counts;
  }
  Values inputs{{"scores", {{c}, scores}}};
  for (int64_t i = 0; draws && i < n; ++i) inputs["u"].values.push_back(u.as<float>()[i]);
  if (draws) inputs["u"].shape = {n};
  const Values got = interpreted(p, "sample", inputs, true).outputs;
  for (double s : got.at("samples").values) counts.at(static_cast<size_t>(s)) += 1e-3;
  return counts;
}

// The distribution, from its definition.
std::vector<double> expected(const std::vector<double>& scores, const Sampling& how) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  if (how.top_k > 0) order.resize(static_cast<size_t>(how.top_k));
  std::vector<double> p(scores.size(), 0);
  double total = 0;
  for (size_t i : order) total += p[i] = std::exp((scores[i] - scores[order[0]]) / how.temperature);
  double reached = 0, kept = 0;
  for (size_t i : order) {
    if (reached >= how.top_p * total) p[i] = 0;
    reached += p[i];
    kept += p[i];
  }
  for (double& x : p) x /= kept;
  return p;
}

const std::vector<double> scores{0.3, -1, 2, 2, 0.5, -30, 1.2};

TEST(Sampler, ChoosesFromTheDistribution) {
  for (const Sampling& how :
       {Sampling{}, Sampling{.temperature = 0.5}, Sampling{.temperature = 3}, Sampling{.top_k = 3},
        Sampling{.top_k = 7}, Sampling{.top_p = 0.6}, Sampling{.top_p = 0.95}, Sampling{.top_p = 1e-3},
        Sampling{.temperature = 2, .top_k = 5, .top_p = 0.8}, Sampling{.temperature = 0.1, .top_k = 2}}) {
    SCOPED_TRACE(testing::Message() << how.temperature << " " << how.top_k << " " << how.top_p);
    const std::vector<double> want = expected(scores, how);
    for (bool compiled : {false, true}) {
      const std::vector<double> got = shares(scores, how, compiled);
      for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1.001e-3) << i;
    }
  }
}

TEST(Sampler, IsGreedyAtItsEnds) {
  const std::vector<double> first{0, 0, 1, 0, 0, 0, 0};  // of two that are equal the first
  EXPECT_EQ(shares(scores, {.temperature = 0}), shares(scores, {.top_k = 1}));
  for (const Sampling& how : {Sampling{.temperature = 0}, Sampling{.top_k = 1}, Sampling{.top_p = 1e-6}})
    for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(shares(scores, how)[i], first[i], 1e-9) << i;
  const std::vector<double> cold = shares({0.3, -1, 2, 1.9999, 0.5}, {.temperature = 1e-6});
  EXPECT_NEAR(cold[2], 1, 1e-9);
}

// Without restrictions the choice is the inverse of the distribution function, symbol for symbol.
TEST(Sampler, LeavesAWholeDistributionAsItIs) {
  const auto drawn = [](bool sampler) {
    Program p;
    p.entry("sample", [&] {
      Tensor x = normal("x", {500, 9});
      output("samples", sampler ? next_symbol(x) : inverse_cdf(softmax(x), uniform("u", {500})));
    });
    return interpreted(p, "sample", {}).outputs.at("samples").values;
  };
  EXPECT_EQ(drawn(true), drawn(false));
}

TEST(Sampler, RefusesWhatIsOutOfRange) {
  const auto with = [](const Sampling& how) {
    return [how] {
      Program p;
      p.entry("sample", [&] { output("samples", next_symbol(normal("x", {3, 7}), how)); });
    };
  };
  EXPECT_THAT(with({.temperature = -1}),
              ThrowsMessage<Error>(HasSubstr("temperature must be 0 or at least 1e-6, got -1")));
  EXPECT_THAT(with({.top_k = 8}), ThrowsMessage<Error>(HasSubstr("top_k must be in 0..7, got 8")));
  EXPECT_THAT(with({.top_k = -1}), ThrowsMessage<Error>(HasSubstr("top_k must be in 0..7, got -1")));
  EXPECT_THAT(with({.top_p = 0}), ThrowsMessage<Error>(HasSubstr("top_p must be in (0, 1], got 0")));
  EXPECT_THAT(with({.top_p = 1.5}), ThrowsMessage<Error>(HasSubstr("top_p must be in (0, 1], got 1.5")));
}

// A translator of 3 symbols, texts of 3 after the start, random weights.
class Beam : public testing::Test {
protected:
  static Overrides config(const std::string& beam) {
    return {{"batch", "1"}, {"t", "3"},  {"vocab", "3"}, {"d", "6"},     {"layers", "1"},
            {"heads", "2"}, {"ff", "8"}, {"gen", "4"},   {"start", "1"}, {"beam", beam}};
  }
  Values state(const Program& p, uint64_t seed) const {
    Values out;
    for (const auto& [name, t] : package::initial_state(p, seed)) {
      graph::Reference r{t.shape, {}};
      for (size_t i = 0; i < static_cast<size_t>(t.count()); ++i) r.values.push_back(tests::element_of(t, i));
      out[name] = std::move(r);
    }
    return out;
  }
  std::vector<double> found(const std::string& beam, uint64_t seed, const std::vector<double>& prompt) const {
    Program p;
    load_model("ar-seq2seq").build(p, "tiny", config(beam));
    Values inputs = state(p, seed);
    inputs["prompt"] = {{1, 3}, prompt};
    std::vector<double> text = interpreted(p, "continue", inputs).outputs.at("samples").values;
    EXPECT_EQ(text.at(0), 1);  // the start
    text.erase(text.begin());
    return text;
  }
  // -log p of texts after a source, by the entry that measures.
  std::function<double(const std::vector<double>&)> scorer(uint64_t seed, const std::vector<double>& prompt) const {
    auto p = std::make_shared<Program>();
    load_model("ar-seq2seq").build(*p, "tiny", config("1"));
    auto inputs = std::make_shared<Values>(state(*p, seed));
    auto g = std::make_shared<graph::Graph>(transform::run_pipeline(*p->entry_named("eval").graph));
    (*inputs)["src"] = {{1, 3}, prompt};
    return [p, g, inputs](const std::vector<double>& text) {
      (*inputs)["ids"] = {{1, 3}, {1, text[0], text[1]}};
      (*inputs)["targets"] = {{1, 3}, text};
      return 3 * graph::interpret(*g, *inputs).outputs.at("nll").values[0];
    };
  }
};

TEST_F(Beam, WithRoomForAllTextsFindsTheLikeliest) {
  int better = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const std::vector<double> prompt{static_cast<double>(seed % 3), 2, 0};
    const auto cost = scorer(seed, prompt);
    std::vector<double> likeliest;
    double total = 0;
    for (int i = 0; i < 27; ++i) {
      const std::vector<double> text{static_cast<double>(i / 9), static_cast<double>(i / 3 % 3),
                                     static_cast<double>(i % 3)};
      total += std::exp(-cost(text));
      if (likeliest.empty() || cost(text) < cost(likeliest)) likeliest = text;
    }
    EXPECT_NEAR(total, 1, 1e-6);
    EXPECT_EQ(found("27", seed, prompt), likeliest) << seed;
    EXPECT_EQ(found("9", seed, prompt), likeliest) << seed;  // all beginnings of two symbols fit
    const double greedy = cost(found("1", seed, prompt)), two = cost(found("2", seed, prompt));
    EXPECT_LE(two, greedy + 1e-9) << seed;
    better += two < greedy - 1e-9;
  }
  EXPECT_GT(better, 0);  // or the beam was never needed
}

TEST_F(Beam, IsCompiledAsItIsInterpreted) {
  for (const char* beam : {"1", "2", "5"}) {
    Program p;
    load_model("ar-seq2seq").build(p, "tiny", config(beam));
    package::Session session(package::compile(package::source_of(p, "ar-seq2seq", {"continue"}),
                                              {codegen::host_target(), "greedy", {}, "", 0, false}),
                             {.threads = 2, .guard = true});
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      session.set_state(package::initial_state(p, seed), false);
      HostTensor prompt(DType::i64, {1, 3});
      for (int i = 0; i < 3; ++i) prompt.as<int64_t>()[i] = (i * 2 + static_cast<int>(seed)) % 3;
      const HostTensor text = session.run("continue", {{"prompt", prompt}}).at("samples");
      const std::vector<double> want = found(beam, seed, {prompt.as<int64_t>(), prompt.as<int64_t>() + 3});
      for (int64_t i = 0; i < 3; ++i)
        EXPECT_EQ(static_cast<double>(text.as<int64_t>()[i + 1]), want[static_cast<size_t>(i)]) << seed;
    }
  }
}

TEST_F(Beam, ComparesWholeTexts) {
  Program p;
  p.entry("sample", [&] {
    Beams best = best_continuations(input("scores", f32, {2}), input("following", f32, {2, 3}));
    output("scores", best.scores), output("parents", best.parents), output("symbols", best.symbols);
  });
  const double never = -std::numeric_limits<double>::infinity();
  Values got =
      interpreted(p, "sample", {{"scores", {{2}, {-1, -2}}}, {"following", {{2, 3}, {-3, -4, -9, -5, -1, -9}}}})
          .outputs;
  EXPECT_EQ(got.at("scores").values, (std::vector<double>{-3, -4}));
  EXPECT_EQ(got.at("parents").values, (std::vector<double>{1, 0}));
  EXPECT_EQ(got.at("symbols").values, (std::vector<double>{1, 0}));
  got = interpreted(p, "sample", {{"scores", {{2}, {0, never}}}, {"following", {{2, 3}, {-3, -4, -9, -5, -1, -9}}}})
            .outputs;
  EXPECT_EQ(got.at("parents").values, (std::vector<double>{0, 0}));
  EXPECT_EQ(got.at("symbols").values, (std::vector<double>{0, 1}));
  EXPECT_THAT(
      [&] {
        Program q;
        q.entry("sample", [&] { best_continuations(normal("s", {2}), normal("f", {3, 2})); });
      },
      ThrowsMessage<Error>(HasSubstr("expected scores [k] and log-probabilities [k, c], got [2] and [3, 2]")));
}

}  // namespace
}  // namespace gmc
