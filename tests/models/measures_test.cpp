// What models say of data beside their loss: densities, weights of importance, codes.
#include "models/gmc.h"
#include "models/load.h"
#include "runtime/execute/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace gmc {
namespace {

constexpr double log_two_pi = 1.8378770664093453;

HostTensor numbers(const Shape& shape, uint64_t key, double deviation = 1) {
  HostTensor out(DType::f32, shape);
  for (int64_t i = 0; i < out.count(); ++i)
    out.as<float>()[i] =
        static_cast<float>(deviation * execute::normal_of(execute::random_word(key, static_cast<uint64_t>(i))));
  return out;
}

// Entries of a small model whose weights are no zeros.
struct Small {
  Program program;
  std::map<std::string, CompiledEntry> entries;

  Small(const std::string& model, const Overrides& set, const std::vector<std::string>& names) {
    load_model(model).build(program, "tiny", set);
    for (CompiledEntry& e : compile_all(program, names, {.threads = 1})) entries.emplace(e.name(), e);
  }
  HostTensor run(const std::string& entry, const TensorMap& inputs, uint64_t step = 0) {
    auto outputs = entries.at(entry).run(inputs, 0, step);
    return outputs.begin()->second;
  }
  void set(const std::string& name, const HostTensor& value) { entries.begin()->second.set_state({{name, value}}); }
  HostTensor state(const std::string& name) { return entries.begin()->second.state().at(name); }
};

void expect_near(const HostTensor& got, const HostTensor& want, double tolerance) {
  ASSERT_EQ(got.count(), want.count());
  for (int64_t i = 0; i < got.count(); ++i) EXPECT_NEAR(got.as<float>()[i], want.as<float>()[i], tolerance) << i;
}

double mean_of(const HostTensor& t) {
  double sum = 0;
  for (int64_t i = 0; i < t.count(); ++i) sum += static_cast<double>(t.as<float>()[i]);
  return sum / static_cast<double>(t.count());
}

TEST(RealNvp, codes_lead_back_and_densities_are_the_loss) {
  Small flow("flow-realnvp", {{"batch", "5"}, {"x", "6"}, {"h", "9"}, {"layers", "3"}},
             {"eval", "density", "encode", "decode"});
  const HostTensor x = numbers({5, 6}, 1);
  const HostTensor code = flow.run("encode", {{"x", x}});
  ASSERT_EQ(code.shape, (Shape{5, 6}));
  expect_near(flow.run("decode", {{"z", code}}), x, 1e-4);
  const double bits = flow.run("eval", {{"x", x}}).as<float>()[0];
  EXPECT_NEAR(-mean_of(flow.run("density", {{"x", x}})) / (6 * std::numbers::ln2), bits, 1e-5);
}

// The determinant of the code's derivative by differences is what the density says it is.
TEST(Glow, codes_lead_back_and_densities_are_the_loss) {
  Small flow("flow-glow", {{"batch", "2"}, {"ch", "2"}, {"size", "4"}, {"steps", "2"}, {"h", "4"}},
             {"eval", "density", "encode", "decode"});
  uint64_t key = 9;
  for (const State& s : flow.program.states())  // actnorms and couplings start as the identity
    if (s.kind == StateKind::parameter &&
        (s.name.find("net.4") != std::string::npos || s.name.find("log_s") != std::string::npos ||
         s.name.find("shift") != std::string::npos))
      flow.set(s.name, numbers(s.shape, ++key, 0.2));
  const HostTensor x = numbers({2, 2, 4, 4}, 1, 0.3);
  const HostTensor code = flow.run("encode", {{"x", x}}), density = flow.run("density", {{"x", x}});
  ASSERT_EQ(code.shape, (Shape{2, 32}));
  expect_near(flow.run("decode", {{"z", code}}), x, 1e-4);
  const double bits = flow.run("eval", {{"x", x}}).as<float>()[0];
  EXPECT_NEAR(-mean_of(density) / (32 * std::numbers::ln2) + 8, bits, 1e-4);

  std::vector<std::vector<double>> slope(32, std::vector<double>(32));  // of image 0
  for (int64_t j = 0; j < 32; ++j) {
    HostTensor up = x, down = x;
    up.as<float>()[j] += 0.01f, down.as<float>()[j] -= 0.01f;
    const double width = static_cast<double>(up.as<float>()[j]) - static_cast<double>(down.as<float>()[j]);
    const HostTensor a = flow.run("encode", {{"x", up}}), b = flow.run("encode", {{"x", down}});
    for (int64_t i = 0; i < 32; ++i)
      slope[static_cast<size_t>(i)][static_cast<size_t>(j)] =
          (static_cast<double>(a.as<float>()[i]) - static_cast<double>(b.as<float>()[i])) / width;
  }
  double expected = 0;  // log |det|, by elimination, and the normal density of the code
  for (size_t k = 0; k < 32; ++k) {
    size_t top = k;
    for (size_t i = k; i < 32; ++i)
      if (std::fabs(slope[i][k]) > std::fabs(slope[top][k])) top = i;
    std::swap(slope[k], slope[top]);
    expected += std::log(std::fabs(slope[k][k]));
    for (size_t i = k + 1; i < 32; ++i) {
      const double f = slope[i][k] / slope[k][k];
      for (size_t j = k; j < 32; ++j) slope[i][j] -= f * slope[k][j];
    }
  }
  for (int64_t i = 0; i < 32; ++i) {
    const double z = code.as<float>()[i];
    expected -= 0.5 * (z * z + log_two_pi);
  }
  EXPECT_NEAR(density.as<float>()[0], expected, 0.05);
}

// With one variance of q for all codes, and no noise of z, a weight is known from reconstruction and code.
TEST(ConvolutionalVae, weighs_a_draw) {
  Small vae("vae-conv", {{"batch", "3"}, {"c", "2"}, {"z", "4"}}, {"log_weight", "encode", "decode", "eval"});
  HostTensor weight = vae.state("to_z.weight"), bias = vae.state("to_z.bias");
  std::fill_n(weight.as<float>() + weight.count() / 2, weight.count() / 2, 0.0f);
  std::fill_n(bias.as<float>() + 4, 4, -20.0f);  // the deviation of q is e^-10: z is its mean
  vae.set("to_z.weight", weight);
  vae.set("to_z.bias", bias);
  const HostTensor x = numbers({3, 1, 32, 32}, 4);
  HostTensor z(DType::f32, {3, 4});
  const HostTensor code = vae.run("encode", {{"x", x}});
  const HostTensor made = vae.run("decode", {{"z", code}});
  ASSERT_EQ(vae.run("log_weight", {{"x", x}}).shape, (Shape{3}));
  // log q(z | x) holds the noise e of the draw: over many draws e^2 is 1 on average.
  double noise = 0;
  constexpr int draws = 400;
  for (uint64_t k = 0; k < draws; ++k) noise += mean_of(vae.run("log_weight", {{"x", x}}, k)) / draws;
  double expected = 0;
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t i = 0; i < 1024; ++i) {
      const double d =
          static_cast<double>(made.as<float>()[b * 1024 + i]) - static_cast<double>(x.as<float>()[b * 1024 + i]);
      expected -= 0.5 * (d * d + log_two_pi) / 3;
    }
    for (int64_t i = 0; i < 4; ++i) {
      const double m = code.as<float>()[b * 4 + i];
      expected += 0.5 * (1 - 20 - m * m) / 3;
    }
  }
  // Half of four squares of normal numbers has variance 2: the mean of 1,200 a deviation of 0.041.
  EXPECT_NEAR(noise, expected, 5 * 0.041);
}

}  // namespace
}  // namespace gmc
