// Every family of images from the command line: trained, averaged, measured, sampled.
#include "runtime/files/npy.h"
#include "tests/cli/cli.h"

#include <cmath>

namespace gmc::test {
namespace {

Words set(const Words& fields) {
  Words out;
  for (const std::string& field : fields) out = out + Words{"--set", field};
  return out;
}

// A model, the data, its configuration, and what `gmc eval` says of it beside measures of samples.
struct Family {
  const char* model;
  const char* data;
  Words fields, scores;
};

class Families : public Cli, public testing::WithParamInterface<Family> {};

TEST_P(Families, train_average_measure_and_sample) {
  const Family& f = GetParam();
  const Words model = Words{f.model} + set(f.fields), data{"--data", f.data};
  const std::string weights = file("out/last.safetensors");
  fine(Words{"train"} + model + data + Words{"--steps", "5", "-q", "--no-events", "--out", file("out")});
  const Words eval = Words{"eval"} + model + data + Words{"--weights", weights, "--importance", "3", "--json"};
  const auto now = nlohmann::json::parse(fine(eval)), smooth = nlohmann::json::parse(fine(eval + Words{"--ema"}));
  for (const std::string& score : f.scores) {
    ASSERT_TRUE(now.contains(score)) << score;
    EXPECT_TRUE(std::isfinite(now.at(score).get<double>())) << score;
  }
  EXPECT_NE(now.at("mmd"), smooth.at("mmd"));
  for (const Words& more : {Words{}, Words{"--ema"}}) {
    fine(Words{"sample"} + model + Words{"--weights", weights, "-n", "9", "-o", file("s.npy")} + more);
    const HostTensor s = files::load_npy(file("s.npy"));
    EXPECT_EQ(s.shape[0], 9);
    for (int64_t i = 0; i < s.count(); ++i) ASSERT_TRUE(std::isfinite(s.as<float>()[i])) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Images, Families,
    testing::Values(Family{"vae-mlp",
                           "glyphs:200",
                           {"h=16", "z=3", "batch=8", "ema=0.9"},
                           {"loss", "negative_elbo", "negative_iwae_3", "reconstruction_mse"}},
                    Family{"vae-conv",
                           "shapes:200",
                           {"c=4", "z=3", "batch=4", "ema=0.9"},
                           {"loss", "negative_elbo", "negative_iwae_3", "reconstruction_mse"}},
                    Family{"gan-mlp",
                           "gaussians8:500",
                           {"x=2", "z=2", "h=16", "batch=16", "bounded=false", "ema=0.9", "prepare="},
                           {"d_loss", "g_loss", "modes", "modes_share_near"}},
                    Family{"gan-dc", "shapes:200", {"c=2", "z=3", "batch=4", "ema=0.9"}, {"d_loss", "g_loss"}},
                    Family{"flow-realnvp",
                           "glyphs:200",
                           {"h=16", "layers=2", "batch=8", "ema=0.9"},
                           {"loss", "negative_log_likelihood_bits_per_dim"}},
                    Family{"flow-glow",
                           "shapes:200",
                           {"steps=1", "h=4", "batch=4", "ema=0.9"},
                           {"loss", "negative_log_likelihood_bits_per_dim"}},
                    Family{"diffusion-ddpm",
                           "glyphs:200",
                           {"size=8", "c=8", "batch=2", "ddim=2", "n=4", "classes=10", "guidance=1", "labels=3,1",
                            "ema=0.9", "prepare=pad=32,pool=4,range=-1:1"},
                           {"loss"}}),
    [](const auto& one) {
      std::string name = one.param.model;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace gmc::test
