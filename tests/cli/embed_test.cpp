// A program that embeds gmc: what a user's own main would do with the umbrella header and libgmc.
#include "models/gmc.h"

#include "models/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

namespace {

using testing::HasSubstr;

struct Config {
  int64_t batch = 8, x = 4;
};

struct Regression {
  gmc::Linear layer;
  GMC_PARTS(layer)
  explicit Regression(const Config& c) : layer(c.x, 1) {}
};

// y = 2 x0 - x1 + 0.5, to be learnt.
void build(gmc::Program& p, const Config& c) {
  Regression net(c);
  p.state(net);
  p.entry("step", [&] {
    const gmc::Tensor x = gmc::input("x", gmc::f32, {c.batch, c.x}), y = gmc::input("y", gmc::f32, {c.batch, 1});
    const gmc::Tensor loss = gmc::sum(gmc::square(net.layer(x) - y)) / static_cast<double>(c.batch);
    gmc::minimize(loss, gmc::parameters(net), gmc::Adam{.lr = 0.05});
    gmc::output("loss", loss);
  });
  p.entry("predict", [&] { gmc::output("y", net.layer(gmc::input("x", gmc::f32, {c.batch, c.x}))); });
  p.entry("draw", [&] { gmc::output("z", gmc::normal("z", {c.batch})); });
}

gmc::TensorMap batch_of(const Config& c, int call) {
  gmc::HostTensor x(gmc::DType::f32, {c.batch, c.x}), y(gmc::DType::f32, {c.batch, 1});
  for (int64_t i = 0; i < x.count(); ++i) x.as<float>()[i] = static_cast<float>((i * 37 + call * 11) % 17) / 17;
  for (int64_t i = 0; i < c.batch; ++i) {
    const float* row = x.as<float>() + i * c.x;
    y.as<float>()[i] = 2 * row[0] - row[1] + 0.5F;
  }
  return {{"x", x}, {"y", y}};
}

TEST(Embed, trains_and_predicts_over_one_state) {
  const Config config;
  gmc::Program program;
  build(program, config);
  auto entries = gmc::compile_all(program, {"step", "predict"});
  gmc::CompiledEntry &step = entries.at(0), &predict = entries.at(1);
  float first = 0, last = 0;
  for (int call = 0; call < 300; ++call) {
    last = step.run(batch_of(config, call)).at("loss").as<float>()[0];
    if (call == 0) first = last;
  }
  EXPECT_GT(first, 0.1F);
  EXPECT_LT(last, 0.01F * first);
  gmc::TensorMap batch = batch_of(config, 1000);
  const gmc::HostTensor expected = batch.at("y");
  batch.erase("y");
  const gmc::TensorMap got = predict.run(batch);
  for (int64_t i = 0; i < config.batch; ++i) EXPECT_NEAR(got.at("y").as<float>()[i], expected.as<float>()[i], 0.2);

  auto fresh = gmc::compile(program, "predict");
  EXPECT_NE(fresh.run(batch).at("y").bytes, got.at("y").bytes);
  gmc::TensorMap weights = step.state();
  for (auto it = weights.begin(); it != weights.end();)
    it = it->first.rfind("layer.", 0) == 0 ? std::next(it) : weights.erase(it);
  ASSERT_EQ(weights.size(), 2u);
  fresh.set_state(weights);
  EXPECT_EQ(fresh.run(batch).at("y").bytes, got.at("y").bytes);
}

TEST(Embed, runs_a_reference_model) {
  gmc::Program program;
  gmc::load_model("vae-mlp").build(program, "tiny", {{"batch", "4"}, {"h", "16"}});
  gmc::CompileSettings settings;
  settings.threads = 2;
  auto step = gmc::compile(program, "step", settings);
  EXPECT_EQ(step.name(), "step");
  const gmc::HostTensor batch(gmc::DType::f32, {4, 784});
  const float first = step.run({{"x", batch}}).at("loss").as<float>()[0];
  for (int i = 0; i < 20; ++i) step.run({{"x", batch}});
  EXPECT_LT(step.run({{"x", batch}}).at("loss").as<float>()[0], first);
}

TEST(Embed, draws_are_of_the_seed_and_the_run) {
  gmc::Program program;
  build(program, {});
  gmc::CompileSettings settings;
  settings.seed = 4;
  auto draw = gmc::compile(program, "draw", settings);
  const auto a = draw.run().at("z").bytes, b = draw.run().at("z").bytes;
  EXPECT_NE(a, b);
  EXPECT_EQ(draw.run({}, 4, 0).at("z").bytes, a);
  EXPECT_EQ(draw.run({}, 4, 1).at("z").bytes, b);
  EXPECT_NE(draw.run({}, 5, 0).at("z").bytes, a);
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Embed, mistakes_are_named) {
  const Config config;
  gmc::Program program;
  build(program, config);
  EXPECT_THAT(error_of([&] { gmc::compile(program, "stepp"); }), HasSubstr("stepp"));
  gmc::CompileSettings settings;
  settings.policy = "gredy";
  EXPECT_THAT(error_of([&] { gmc::compile(program, "step", settings); }), HasSubstr("gredy"));
  auto step = gmc::compile(program, "step");
  gmc::TensorMap batch = batch_of(config, 0);
  batch["xx"] = batch.at("x");
  EXPECT_THAT(error_of([&] { step.run(batch); }), HasSubstr("unknown input 'xx'"));
  batch.erase("xx");
  batch["x"] = gmc::HostTensor(gmc::DType::f32, {3});
  EXPECT_THAT(error_of([&] { step.run(batch); }), HasSubstr("expected f32[8,4], got f32[3]"));
  batch.erase("x");
  EXPECT_THAT(error_of([&] { step.run(batch); }), HasSubstr("input 'x' of entry 'step' is missing"));
  const auto before = step.state();
  EXPECT_THAT(error_of([&] { step.set_state({{"layer.wieght", batch.at("y")}}); }), HasSubstr("'layer.wieght'"));
  EXPECT_EQ(step.state().at("layer.weight").bytes, before.at("layer.weight").bytes);
}

}  // namespace
