// Measuring, and using a trained model on data.
#include "runtime/files/npy.h"
#include "runtime/files/png.h"
#include "tests/cli/cli.h"

#include <cmath>
#include <sstream>

namespace gmc::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* bigram = GMC_SOURCE_DIR "/tests/cli/models/bigram.cpp";
constexpr const char* plane = GMC_SOURCE_DIR "/tests/cli/models/normal.cpp";

class Eval : public Cli {
protected:
  nlohmann::json measured(const Words& words) const {
    return nlohmann::json::parse(fine(Words{"eval"} + words + Words{"--json"}));
  }
  std::string trained(const Words& more = {}) const {
    fine(Words{"train", "vae-mlp", "--data", "glyphs:600", "--steps", "60", "--out", file("out"), "-q"} + small + more);
    return file("out/last.safetensors");
  }
};

TEST_F(Eval, bounds_the_likelihood) {
  const Words words = Words{"vae-mlp",   "--data",    "glyphs:600",
                            "--prepare", "binarise",  "--importance",
                            "20",        "--weights", trained({"--prepare", "binarise"})} +
                      small;
  const auto j = measured(words);
  const double elbo = j.at("negative_elbo"), bound = j.at("negative_iwae_20");
  EXPECT_LT(bound, elbo);
  EXPECT_GT(bound, 0.8 * elbo);
  // One draw for each of 48 images against twenty: a standard error is 1 %.
  EXPECT_NEAR(elbo / j.at("loss").get<double>(), 1, 0.04);
  EXPECT_NEAR(j.at("negative_elbo_bits_per_dim").get<double>(), elbo / (784 * std::log(2)), 1e-6);
  EXPECT_GT(j.at("reconstruction_mse").get<double>(), 0);
  for (const char* name : {"mmd", "knn_precision", "knn_recall", "knn_density", "knn_coverage"}) {
    EXPECT_TRUE(j.contains(name)) << name;
    EXPECT_TRUE(j.contains(std::string("real_") + name)) << name;
  }
  EXPECT_EQ(fine(Words{"eval"} + words), fine(Words{"eval"} + words + Words{"--threads", "1"}));
  EXPECT_THAT(fine(Words{"eval", "vae-mlp", "--data", "glyphs:600"} + small), HasSubstr("a loss, no likelihood"));
}

// 8 centres at squared distance 8, deviation^2 1/8 per axis: -log p = log(2 pi) + (8 + 2/8) / 2; a standard normal
// distribution hits a mode rarely.
TEST_F(Eval, knows_the_density_of_points) {
  const auto j = measured({plane, "--data", "gaussians8:20000", "--samples", "500"});
  EXPECT_NEAR(j.at("negative_log_likelihood").get<double>(), 1.8379 + 4.125, 0.06);
  EXPECT_NEAR(j.at("gap_to_the_entropy").get<double>(), j.at("negative_log_likelihood").get<double>() - 2.838, 1e-3);
  EXPECT_EQ(j.at("real_modes"), 8);
  EXPECT_GT(j.at("real_modes_share_near").get<double>(), 0.97);
  EXPECT_LT(j.at("modes_share_near").get<double>(), 0.2);
  EXPECT_GT(j.at("mmd").get<double>(), 10 * std::fabs(j.at("real_mmd").get<double>()));
  EXPECT_FALSE(j.contains("negative_log_likelihood_bits_per_dim"));
}

TEST_F(Eval, counts_bits_of_symbols) {
  std::string corpus;
  for (int i = 0; i < 300; ++i) corpus += i % 3 ? "abc " : "dab ";
  write(file("t"), corpus);
  write(file("u"), corpus + "xyz");
  fine({"train", bigram, "--data", "text:" + file("t"), "--steps", "200", "--out", file("out"), "-q"});
  const std::string weights = file("out/last.safetensors");
  const auto j = measured({bigram, "--data", "text:" + file("t"), "--weights", weights});
  const double nats = j.at("loss");
  EXPECT_LT(nats, 0.5);
  EXPECT_NEAR(j.at("perplexity").get<double>(), std::exp(nats), 1e-9);
  EXPECT_NEAR(j.at("bits_per_symbol").get<double>(), nats / std::log(2), 1e-9);
  EXPECT_THAT(refused(1, {"eval", bigram, "--data", "text:" + file("u"), "--weights", weights}),
              HasSubstr("was trained with another vocabulary"));
  const std::string text = fine({"sample", bigram, "--weights", weights, "-n", "3"});
  EXPECT_EQ(lines_of(text), 3);
  EXPECT_EQ(fine({"sample", bigram, "--weights", weights, "-n", "3", "-o", "-"}), text);
}

TEST_F(Eval, refuses_what_cannot_be_measured) {
  EXPECT_THAT(refused(1, Words{"eval", "vae-mlp", "--data", "moons"} + small), HasSubstr("do not fit into a batch of"));
  EXPECT_THAT(refused(2, Words{"eval", "vae-mlp", "--data", "glyphs:600", "--ema"} + small),
              HasSubstr("--ema: expected --weights"));
  EXPECT_THAT(refused(1, Words{"eval", "vae-mlp", "--data", "glyphs:600", "--ema", "--weights", trained()} + small),
              HasSubstr("holds no averages"));
}

TEST_F(Eval, averages_take_the_place_of_weights) {
  TensorMap both;
  for (const auto& [name, tensor] : files::load_safetensors(trained())) {
    if (name.rfind("adam.", 0) == 0) continue;
    both["ema." + name] = tensor;
    both[name] = HostTensor(tensor.dtype, tensor.shape);
  }
  files::save_safetensors(file("both"), both);
  const Words sample = Words{"sample", "vae-mlp", "-n", "3"} + small;
  const auto drawn = [&](const Words& more) {
    fine(sample + more + Words{"-o", file("s.txt")});
    return read(file("s.txt"));
  };
  const std::string expected = drawn({"--weights", file("out/last.safetensors")});
  EXPECT_TRUE(drawn({"--weights", file("both"), "--ema"}) == expected);
  EXPECT_THAT(gmc(sample + Words{"--weights", file("both")}).output, HasSubstr("'ema.fc1.bias' is no state"));
}

TEST_F(Eval, runs_entries_on_data) {
  const std::string weights = trained();
  const Words run = Words{"run", "vae-mlp", "--data", "glyphs:600", "--weights", weights} + small;
  fine(run + Words{"--entry", "reconstruct", "--output", "reconstruction=" + file("r.png"), "-n", "36"});
  EXPECT_EQ(files::load_png(file("r.png")).shape, (Shape{6 * 28 + 5 * 2, 6 * 28 + 5 * 2, 1}));
  fine(run + Words{"--entry", "encode", "--output", "code=" + file("c.npy"), "-n", "50"});
  EXPECT_EQ(files::load_npy(file("c.npy")).shape, (Shape{50, 3}));
  fine(run + Words{"--entry", "encode", "--output", "code=" + file("d.npy"), "-n", "5"});
  const HostTensor many = files::load_npy(file("c.npy")), few = files::load_npy(file("d.npy"));
  EXPECT_TRUE(std::equal(few.bytes.begin(), few.bytes.end(), many.bytes.begin()));
  fine(run + Words{"--entry", "log_weight", "--output", "log_weight=" + file("w.txt"), "-n", "1000"});
  EXPECT_EQ(lines_of(read(file("w.txt"))), 60);  // all that there is
  EXPECT_THAT(refused(2, run + Words{"--entry", "encode", "--part", "test"}), HasSubstr("part"));
  EXPECT_THAT(refused(2, run + Words{"--entry", "encode", "--input", "x=" + file("c.npy")}),
              HasSubstr("--data and --input exclude each other"));
}

// The ends of every row are the reconstructions of two samples.
TEST_F(Eval, interpolates_between_samples) {
  const Words sample = Words{"sample", "vae-mlp", "--weights", trained()} + small;
  fine(sample + Words{"--interpolate", "5", "--data", "glyphs:600", "-o", file("i.npy")});
  EXPECT_EQ(files::load_npy(file("i.npy")).shape, (Shape{25, 784}));
  EXPECT_THAT(refused(2, sample + Words{"--interpolate", "5"}), HasSubstr("expected --data to go between"));
  fine(sample + Words{"--interpolate", "1", "--data", "glyphs:600", "-o", file("one.npy")});
  const HostTensor row = files::load_npy(file("i.npy")), one = files::load_npy(file("one.npy"));
  EXPECT_TRUE(std::equal(one.bytes.begin(), one.bytes.end(), row.bytes.begin()));
}

}  // namespace
}  // namespace gmc::test
