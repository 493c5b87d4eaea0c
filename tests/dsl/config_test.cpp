#include "compiler/dsl/config.h"
#include "models/load.h"
#include "runtime/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc {
namespace {

struct Config {
  int64_t batch = 128;
  double lr = 1e-3;
  bool bias = true;
  std::string act = "relu";
  std::vector<int64_t> widths{1, 2};
  std::vector<double> betas{0.9};
  GMC_FIELDS(batch, lr, bias, act, widths, betas)
};

std::string error_of(Config& c, const std::string& name, const std::string& text) {
  try {
    set_field(c.gmc_fields(), name, text);
  } catch (const Error& e) {
    EXPECT_TRUE(e.usage());
    return e.what();
  }
  return "accepted";
}

TEST(Config, sets_and_lists_fields_of_every_kind) {
  Config c;
  const std::pair<const char*, const char*> settings[] = {{"batch", "64"}, {"lr", "0.5"},       {"bias", "false"},
                                                          {"act", "gelu"}, {"widths", "3,4,5"}, {"betas", "0.5,0.9"}};
  for (const auto& [name, value] : settings) set_field(c.gmc_fields(), name, value);
  EXPECT_EQ(c.batch, 64);
  EXPECT_EQ(c.lr, 0.5);
  EXPECT_FALSE(c.bias);
  EXPECT_EQ(c.act, "gelu");
  EXPECT_EQ(c.widths, (std::vector<int64_t>{3, 4, 5}));
  for (const Field& f : c.gmc_fields())
    for (const auto& [name, value] : settings) {
      if (f.name != name) continue;
      EXPECT_EQ(value_of(f), value);
    }
}

TEST(Config, reads_json) {
  Config c;
  set_fields_from_json(c.gmc_fields(), R"({"batch": 2, "lr": 1e-2, "bias": false, "act": "x", "betas": [0.1, 0.2]})",
                       "case");
  EXPECT_EQ(c.batch, 2);
  EXPECT_EQ(c.lr, 0.01);
  EXPECT_FALSE(c.bias);
  EXPECT_EQ(c.betas, (std::vector<double>{0.1, 0.2}));
  EXPECT_THROW(set_fields_from_json(c.gmc_fields(), "[1]", "case"), Error);
  EXPECT_THROW(set_fields_from_json(c.gmc_fields(), R"({"batch": null})", "case"), Error);
  EXPECT_THROW(set_fields_from_json(c.gmc_fields(), R"({"batch": 1.5})", "case"), Error);
}

TEST(Config, refuses_unknown_names_and_malformed_values) {
  Config c;
  EXPECT_EQ(error_of(c, "bach", "1"),
            "unknown field 'bach': did you mean 'batch'? expected one of batch, lr, bias, act, widths, betas");
  EXPECT_EQ(error_of(c, "batch", "12x"), "field 'batch': expected integer, got '12x'");
  EXPECT_EQ(error_of(c, "batch", "99999999999999999999"),
            "field 'batch': expected integer, got '99999999999999999999'");
  EXPECT_EQ(error_of(c, "lr", ""), "field 'lr': expected number, got ''");
  EXPECT_EQ(error_of(c, "bias", "yes"), "field 'bias': expected flag, got 'yes'");
  EXPECT_EQ(error_of(c, "widths", "1,,2"), "field 'widths': expected integers, got '1,,2'");
  EXPECT_EQ(c.batch, 128);
}

TEST(Model, unknown_names_and_sizes_are_refused_with_the_nearest) {
  try {
    load_model("vae-mpl");
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("unknown model 'vae-mpl': did you mean 'vae-mlp'?"));
  }
  const ModelDefinition& vae = load_model("vae-mlp");
  EXPECT_EQ(vae.sizes, (std::vector<std::string>{"tiny", "base"}));
  EXPECT_EQ(vae.values("base", {{"z", "8"}})[3], (std::pair<std::string, std::string>{"z", "8"}));
  Program p;
  EXPECT_THROW(vae.build(p, "huge"), Error);
}

}  // namespace
}  // namespace gmc
