// Values and gradients at the edges of domains, worked out by hand; what is refused there.
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"
#include "models/gmc.h"
#include "runtime/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace gmc {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int64_t huge = std::numeric_limits<int64_t>::max();

using Values = std::vector<double>;

// What `body` makes of x: outputs by name.
std::map<std::string, Values> run(const Shape& shape, const Values& values, const std::function<void(Tensor)>& body,
                                  DType dtype = f32) {
  Program p;
  p.entry("trial", [&] { body(input("x", dtype, shape)); });
  std::map<std::string, Values> out;
  for (const auto& [name, value] : graph::interpret(*p.entry_named("trial").graph, {{"x", {shape, values}}}, 5).outputs)
    out[name] = value.values;
  return out;
}
std::string refusal(const std::function<void()>& body) {
  try {
    Program p;
    p.entry("trial", body);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Corners, CrossEntropyOfCertainProbabilitiesHasAFiniteGradient) {
  const auto got = run({3}, {1, 0, 0.5}, [](Tensor p) {
    const Tensor t = table({1, 0, 1}, {3});
    output("d", gradients(bce_loss(p, t, Reduction::sum), {p})[0]);
  });
  EXPECT_THAT(got.at("d"), ElementsAre(0, 0, -2));
}

TEST(Corners, ASmallLossIsNotLostBesideItsLogit) {
  const auto got = run({1}, {20}, [](Tensor x) { output("y", bce_with_logits(x, full({1}, 1))); });
  EXPECT_THAT(got.at("y"), Pointwise(DoubleNear(1e-16), Values{std::log1p(std::exp(-20))}));
}

TEST(Corners, GradientsFollowAllPathsThroughOtherVariables) {
  const auto got = run({2}, {1, 3}, [](Tensor x) {
    const Tensor y = 2 * x;
    const auto d = gradients(sum(y * y), {x, y});
    output("x", d[0]);
    output("y", d[1]);
  });
  EXPECT_THAT(got.at("x"), ElementsAre(8, 24));
  EXPECT_THAT(got.at("y"), ElementsAre(4, 12));
}

TEST(Corners, FactorsOfZeroHaveAGradient) {
  const auto got = run({4}, {0, 3, 0, 0}, [](Tensor u) {
    const Tensor y = scatter_mul(table({2, 5, 7}, {3}), table({0, 0, 1, 1}, {4}, i64), u);
    output("y", y);
    output("d", gradients(sum(y), {u})[0]);
  });
  EXPECT_THAT(got.at("y"), ElementsAre(0, 0, 7));
  EXPECT_THAT(got.at("d"), ElementsAre(6, 0, 0, 0));
}

TEST(Corners, IntegersAreDividedWithoutOverflow) {
  const auto divided = [](double x, double y, DType dtype) {
    return run({1}, {x}, [&](Tensor a) { output("y", floor_divide(a, full({1}, y, dtype))); }, dtype).at("y")[0];
  };
  EXPECT_EQ(divided(-2000000000, 1500000000, i32), -2);
  EXPECT_EQ(divided(-120, 50, i8), -3);
  EXPECT_EQ(divided(120, -50, i8), -3);
  EXPECT_EQ(divided(-120, -50, i8), 2);
  EXPECT_EQ(divided(-100, 50, i8), -2);
  EXPECT_EQ(divided(200, 150, u8), 1);
  EXPECT_EQ(divided(7, 0, i32), 0);
}

TEST(Corners, SumsOfExponentialsOfInfinities) {
  const auto got = run({4}, {-infinity, -infinity, 0, -infinity}, [](Tensor x) {
    const Tensor y = logcumsumexp(x, 0);
    output("y", y);
    output("d", gradients(sum(y * table({0, 0, 1, 1}, {4})), {x})[0]);
  });
  EXPECT_THAT(got.at("y"), ElementsAre(-infinity, -infinity, 0, 0));
  EXPECT_THAT(got.at("d"), ElementsAre(testing::_, testing::_, 2, 0));
  EXPECT_EQ(got.at("d")[0], 0);
  const auto above = run({2}, {infinity, 1}, [](Tensor x) { output("y", logcumsumexp(x, 0)); });
  EXPECT_THAT(above.at("y"), ElementsAre(infinity, infinity));
}

TEST(Corners, NearestElementsOfEdgesMetExactly) {
  const auto at = [](int64_t from, int64_t to, size_t i, const char* coordinates) {
    Values ramp;
    for (int64_t k = 0; k < from; ++k) ramp.push_back(static_cast<double>(k));
    return run({1, 1, from}, ramp, [&](Tensor x) { output("y", resize(x, {to}, "nearest", coordinates)); }).at("y")[i];
  };
  EXPECT_EQ(at(4, 98, 49, "asymmetric"), 2);
  EXPECT_EQ(at(2, 49, 24, "half_pixel"), 1);
}

// Its values are IntegerConvolution's to judge.
TEST(Corners, ConvolutionOfAnEnlargedImageGoesToTheImage) {
  const auto has_resize_in_reach = [](const char* mode, DType dtype, int64_t kernel) {
    Program p;
    p.entry("trial", [&] {
      Tensor x = input("x", dtype, {1, 2, 3, 4}), large = resize(x, {6, 8}, mode, "half_pixel");
      output("y", conv(large, input("w", dtype, {2, 2, kernel, kernel}), {.padding = {kernel / 2}}));
    });
    const graph::Graph g = transform::eliminate_dead(*p.entry_named("trial").graph);
    return std::any_of(g.nodes().begin(), g.nodes().end(),
                       [](const graph::Node& n) { return std::string(n.op->name) == "resize"; });
  };
  EXPECT_FALSE(has_resize_in_reach("nearest", f32, 3));
  EXPECT_FALSE(has_resize_in_reach("nearest", f64, 5));
  EXPECT_TRUE(has_resize_in_reach("nearest", f32, 1));
  EXPECT_TRUE(has_resize_in_reach("nearest", bf16, 3));
  EXPECT_TRUE(has_resize_in_reach("linear", f32, 3));
  EXPECT_THAT(refusal([] {
                Tensor x = resize(input("x", f32, {1, 2, 3, 4}), {6, 8});
                output("y", conv(x, input("w", f32, {2, 3, 3, 3}), {.padding = {1}}));
              }),
              testing::AllOf(HasSubstr("corners_test.cpp:"),
                             HasSubstr("1 groups do not fit 2 channels and the weight [2, 3, 3, 3]")));
  EXPECT_THAT(
      refusal([] { output("y", conv(input("x", f32, {1, 2, 3, 4}), input("w", f32, {2, 2, 3, 3}), {.step = {0}})); }),
      testing::AllOf(HasSubstr("corners_test.cpp:"), HasSubstr("step [0, 0] and dilation [1, 1] must")));
}

TEST(Corners, PaddingThatCutsMoreThanThereIs) {
  const auto got = run({4}, {1, 2, 3, 4}, [](Tensor x) { output("y", pad(x, {-5}, {2})); });
  EXPECT_THAT(got.at("y"), ElementsAre(0));
  // No window of the convolution sees x, which has a gradient all the same.
  const auto unseen = run({1, 1, 1}, {7}, [](Tensor x) {
    const Tensor y = conv(x, full({1, 1, 1}, 3), {.step = {3}, .padding = {5}, .padding_after = {0}});
    output("y", y);
    output("d", gradients(sum(y), {x})[0]);
  });
  EXPECT_THAT(unseen.at("y"), ElementsAre(0, 0));
  EXPECT_THAT(unseen.at("d"), ElementsAre(0));
}

TEST(Corners, ACustomGradientMayHoldRegions) {
  const auto got = run({2}, {1, 2}, [](Tensor x) {
    const Tensor y = custom_gradient(
        x * x, {x}, [&](Tensor g) { return std::vector<Tensor>{loop(3, carry(g), [](Tensor s) { return 2 * s; })}; });
    output("d", gradients(sum(y), {x})[0]);
  });
  EXPECT_THAT(got.at("d"), ElementsAre(8, 8));
}

TEST(Corners, WindowsAsWideAsWhatTheySlideOver) {
  const auto got = run({1, 1, 5}, {1, 2, 3, 4, 5}, [](Tensor x) { output("y", unfold(x, {3}, {.same = true})); });
  EXPECT_EQ(got.at("y").size(), 15u);
}

TEST(Corners, DrawsFromTheTails) {
  const auto got = run({1}, {0}, [](Tensor) {
    output("far", truncated_normal("a", {2000}, 6, 8));
    output("below", truncated_normal("b", {2000}, -infinity, -5));
    output("none", inverse_cdf(table({0, 1}, {1, 2}), full({1}, 0)));
  });
  double sum = 0;
  for (double v : got.at("far")) sum += v / 2000;
  EXPECT_NEAR(sum, 6.158, 5 * 0.155 / std::sqrt(2000.0));
  for (double v : got.at("below")) EXPECT_TRUE(std::isfinite(v) && v <= -5) << v;
  EXPECT_THAT(got.at("none"), ElementsAre(1));
}

TEST(Corners, RefusesWhatHasNoAnswer) {
  const auto x = [](const Shape& shape) { return input("x", f32, shape); };
  EXPECT_THAT(refusal([&] { output("y", einsum("ii->", {x({1, 4})})); }),
              HasSubstr("dimension 'i' is 1 and 4 in operand 0"));
  EXPECT_THAT(refusal([&] { output("y", global_average_pool(x({2, 3}))); }),
              HasSubstr("expected [n, channels, spatial..], got [2, 3]"));
  EXPECT_THAT(refusal([&] { output("y", fold(x({1, 3, 3}), {5}, {3}, {.same = true})); }), HasSubstr("'same'"));
  EXPECT_THAT(refusal([] { output("y", randint("r", {2}, -huge, huge)); }), HasSubstr("expected 1 to 2^24 values"));
  EXPECT_THAT(refusal([] { output("y", truncated_normal("t", {2}, 20, 30)); }), HasSubstr("too rare"));
  EXPECT_THAT(refusal([&] { output("y", max_pool(x({1, 1, 5}), {3}, {.padding = {huge}})); }), HasSubstr("overflow"));
  EXPECT_THAT(refusal([&] { output("y", conv_transpose(x({1, 1, 5}), full({1, 1, 1}, 1), {.padding = {huge}})); }),
              HasSubstr("overflow"));
}

}  // namespace
}  // namespace gmc
