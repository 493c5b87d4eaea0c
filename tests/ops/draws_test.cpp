// Distributions made of draws, dropout, and gradients that are not derivatives.
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"
#include "models/gmc.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace gmc {
namespace {

using Values = std::vector<double>;
using Outputs = std::map<std::string, graph::Reference>;

// The outputs of an entry, which the passes must not change.
template <class Body>
Outputs run(Body body, const Outputs& inputs = {}) {
  Program p;
  p.entry("trial", body);
  const graph::Graph& captured = *p.entry_named("trial").graph;
  const Outputs out = graph::interpret(captured, inputs, 5).outputs;
  for (const auto& [name, value] : graph::interpret(transform::run_pipeline(captured), inputs, 5).outputs)
    EXPECT_EQ(value.values, out.at(name).values) << name;
  return out;
}

double mean_of(const Values& v) {
  double sum = 0;
  for (double x : v) sum += x;
  return sum / static_cast<double>(v.size());
}

// Bounds of means are five standard deviations of a mean of 10,000.
TEST(Draws, have_the_moments_of_their_distributions) {
  const Shape shape{10000};
  const Outputs got = run([&] {
    output("bernoulli", bernoulli("b", full(shape, 0.3)));
    output("gumbel", gumbel("g", shape));
    output("logistic", logistic("l", shape));
    output("truncated", truncated_normal("t", shape, -1, 2));
    output("randint", randint("r", shape, -3, 5));
  });
  EXPECT_NEAR(mean_of(got.at("bernoulli").values), 0.3, 5 * 0.459 / 100);
  EXPECT_NEAR(mean_of(got.at("gumbel").values), 0.5772156649, 5 * 1.2825 / 100);
  EXPECT_NEAR(mean_of(got.at("logistic").values), 0, 5 * 1.814 / 100);
  // (phi(-1) - phi(2)) / (Phi(2) - Phi(-1))
  EXPECT_NEAR(mean_of(got.at("truncated").values), 0.229637, 5 * 0.721 / 100);
  EXPECT_NEAR(mean_of(got.at("randint").values), 0.5, 5 * 2.2913 / 100);
  const auto range = [&](const char* name) {
    const Values& v = got.at(name).values;
    return std::pair(*std::min_element(v.begin(), v.end()), *std::max_element(v.begin(), v.end()));
  };
  EXPECT_EQ(range("randint"), std::pair(-3.0, 4.0));
  EXPECT_EQ(range("bernoulli"), std::pair(0.0, 1.0));
  EXPECT_GE(range("truncated").first, -1);
  EXPECT_LE(range("truncated").second, 2);
}

TEST(Draws, of_whole_numbers_are_fed_as_whole_numbers) {
  Program p;
  p.entry("trial", [] {
    output("sum", randint("i", {2}, 0, 9) + randint("j", {}, 0, 9));
    output("u", uniform("u", {2}));
    Tensor last = loop(3, carry(full({}, 0, i64)), [](Tensor x) { return 10 * x + randint("k", {}, 0, 9); });
    output("last", last);
  });
  const graph::Graph fed = transform::run_pipeline(transform::feed_draws(*p.entry_named("trial").graph));
  std::map<std::string, DType> inputs;
  for (const graph::Node& n : fed.nodes())
    if (n.op->category == graph::Category::input) inputs[n.text("name")] = n.types[0].dtype;
  EXPECT_EQ(inputs, (std::map<std::string, DType>{{"i", i64}, {"j", i64}, {"k", i64}, {"u", f32}}));
  const Outputs given{{"i", {{2}, {3, 4}}}, {"j", {{}, {5}}}, {"k", {{3}, {1, 2, 3}}}, {"u", {{2}, {0.5, 0.25}}}};
  const Outputs got = graph::interpret(fed, given).outputs;
  EXPECT_EQ(got.at("sum").values, (Values{8, 9}));
  EXPECT_EQ(got.at("last").values, Values{123});
}

TEST(Draws, a_permutation_holds_every_number_once_and_each_first_equally_often) {
  Values firsts(5, 0);
  const Outputs got = run([&] {
    output("long", permutation("p", 1000));
    output("empty", permutation("e", 0));
    for (int k = 0; k < 1000; ++k) output(fmt::format("s{}", k), permutation(fmt::format("s{}", k), 5));
  });
  std::set<double> seen(got.at("long").values.begin(), got.at("long").values.end());
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_EQ(*seen.begin(), 0);
  EXPECT_EQ(*seen.rbegin(), 999);
  EXPECT_FALSE(std::is_sorted(got.at("long").values.begin(), got.at("long").values.end()));
  EXPECT_TRUE(got.at("empty").values.empty());
  for (int k = 0; k < 1000; ++k) ++firsts.at(static_cast<size_t>(got.at(fmt::format("s{}", k)).values[0]));
  for (double count : firsts) EXPECT_NEAR(count, 200, 5 * 12.65);  // five standard deviations
}

TEST(Draws, categorical_follows_the_logits) {
  const Outputs got = run([&] {
    const Tensor logits = broadcast_to(log(table({0.2, 0.5, 0.3}, {3})), {10000, 3});
    output("classes", categorical("c", logits));
    output("hard", gumbel_softmax("h", logits, 0.5, true));
  });
  Values counts(3, 0), hard(3, 0);
  for (double c : got.at("classes").values) counts.at(static_cast<size_t>(c)) += 1e-4;
  const Values& rows = got.at("hard").values;
  for (size_t i = 0; i < rows.size(); ++i) hard[i % 3] += rows[i] * 1e-4;
  for (size_t c = 0; c < 3; ++c) {
    const double p = Values{0.2, 0.5, 0.3}[c];
    EXPECT_NEAR(counts[c], p, 5 * 0.5 / 100);
    EXPECT_NEAR(hard[c], p, 5 * 0.5 / 100);
  }
}

TEST(Dropout, drops_backwards_what_it_drops_forwards) {
  const Shape shape{1000};
  const Outputs got = run([&] {
    const Tensor x = full(shape, 2);
    const Tensor y = dropout("d", x, 0.25);
    output("y", y);
    output("d", gradients(sum(y), {x})[0]);
    output("evaluated", dropout("e", x, 0.25, false));
  });
  size_t dropped = 0;
  for (size_t i = 0; i < 1000; ++i) {
    const double y = got.at("y").values[i];
    dropped += y == 0;
    EXPECT_TRUE(y == 0 || std::fabs(y - 2 / 0.75) < 1e-12);
    EXPECT_EQ(got.at("d").values[i] == 0, y == 0);
    EXPECT_EQ(got.at("evaluated").values[i], 2);
  }
  EXPECT_NEAR(static_cast<double>(dropped), 250, 5 * std::sqrt(1000 * 0.25 * 0.75));
}

TEST(StraightThrough, gives_the_first_value_and_the_second_gradient) {
  const Outputs got = run(
      [] {
        const Tensor x = input("x", f32, {3});
        const Tensor y = straight_through(round(x), 3 * x);
        output("y", y);
        output("d", gradients(sum(y * y), {x})[0]);
      },
      {{"x", {{3}, {0.4, 1.7, -2.6}}}});
  EXPECT_EQ(got.at("y").values, (Values{0, 2, -3}));
  EXPECT_EQ(got.at("d").values, (Values{0, 12, -18}));
}

// y = x^2 with the gradient g x^3, whose own gradients are its derivatives.
TEST(CustomGradient, is_used_in_place_of_the_derivative_and_can_be_differentiated) {
  const Outputs got = run(
      [] {
        const Tensor x = input("x", f32, {2});
        const Tensor y = custom_gradient(x * x, {x}, [&](Tensor g) { return std::vector<Tensor>{g * x * x * x}; });
        output("y", y);
        const Tensor d = gradients(sum(2 * y), {x})[0];
        output("d", d);
        output("dd", gradients(sum(d), {x})[0]);
      },
      {{"x", {{2}, {3, -1}}}});
  EXPECT_EQ(got.at("y").values, (Values{9, 1}));
  EXPECT_EQ(got.at("d").values, (Values{54, -2}));
  EXPECT_EQ(got.at("dd").values, (Values{54, 6}));
}

}  // namespace
}  // namespace gmc
