// Options outside their range.
#include "runtime/base/error.h"
#include "tests/optimizers/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc::testing_optimizers {
namespace {

template <class Optimizer>
std::string refusal(const Optimizer& o) {
  Program p;
  const Net net;
  p.state(net);
  try {
    p.entry("step", [&] { minimize(sum(square(net.w1)), parameters(net), o); });
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Refusals, name_the_option_and_its_value) {
  using testing::HasSubstr;
  EXPECT_THAT(refusal(Sgd{.momentum = -0.5}), HasSubstr("Sgd: momentum must be at least 0, got -0.5"));
  EXPECT_THAT(refusal(Sgd{.nesterov = true}), HasSubstr("Sgd: momentum must be positive with nesterov, got 0"));
  EXPECT_THAT(refusal(Sgd{.momentum = 0.9, .dampening = 0.1, .nesterov = true}),
              HasSubstr("Sgd: dampening must be 0 with nesterov, got 0.1"));
  EXPECT_THAT(refusal(Adam{.betas = {0.9, 1.0}}), HasSubstr("Adam: betas must be two numbers in [0, 1)"));
  EXPECT_THAT(refusal(Adam{.eps = std::nan("")}), HasSubstr("Adam: eps must be at least 0, got nan"));
  EXPECT_THAT(refusal(Adamax{.lr = -1}), HasSubstr("Adamax: lr must be at least 0, got -1"));
  EXPECT_THAT(refusal(RmsProp{.alpha = 1.5}), HasSubstr("RmsProp: alpha must be in [0, 1], got 1.5"));
  EXPECT_THAT(refusal(Adagrad{.clip_value = -2}), HasSubstr("Adagrad: clip_value must be at least 0, got -2"));
  EXPECT_THAT(refusal(Lion{.betas = {0.9}}), HasSubstr("Lion: betas must be two numbers in [0, 1)"));
  Program p;
  const Net net;
  p.state(net);
  const auto vector_rate = [&] {
    p.entry("step", [&] { minimize(sum(square(net.w1)), parameters(net), Lion{.lr = input("lr", f32, {3})}); });
  };
  EXPECT_THAT(vector_rate,
              testing::ThrowsMessage<Error>(HasSubstr("Lion: lr must be a number or a scalar, got shape [3]")));
}

TEST(Refusals, of_averages_and_schedules) {
  using testing::HasSubstr;
  using testing::ThrowsMessage;
  Program p;
  const Net net, smooth;
  const Linear other(2, 2);
  p.state(net);
  p.state(other, "other");
  p.state(smooth, "ema");
  EXPECT_THAT([&] { as_average(smooth); },
              ThrowsMessage<Error>(HasSubstr("as_average: 'ema.w1' was given to a program before")));
  EXPECT_THAT([&] { p.entry("a", [&] { ema(other, net, 0.9); }); },
              ThrowsMessage<Error>(HasSubstr("ema: the average has 2 parameters, the module 5")));
  EXPECT_THAT([&] { p.entry("b", [&] { ema(smooth, net, 1.5); }); },
              ThrowsMessage<Error>(HasSubstr("ema: decay must be in [0, 1], got 1.5")));
  EXPECT_THAT([&] { p.entry("c", [&] { schedule::warmup(step_count(), 0.1, 0); }); },
              ThrowsMessage<Error>(HasSubstr("warmup: steps must be positive, got 0")));
  EXPECT_THAT([&] { p.entry("d", [&] { schedule::cosine(net.b1, {.lr = 1, .steps = 5}); }); },
              ThrowsMessage<Error>(HasSubstr("cosine: the step must be a scalar, got [3]")));
}

}  // namespace
}  // namespace gmc::testing_optimizers
