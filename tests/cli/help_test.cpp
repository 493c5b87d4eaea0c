// What the command says about itself, and that its machine-readable output parses.
#include "compiler/graph/text.h"
#include "compiler/kernel/kernel.h"
#include "ops/registry.h"
#include "tests/cli/cli.h"

#include <sstream>

namespace gmc::test {
namespace {

using testing::HasSubstr;

const char* const verbs[] = {"train",  "sample", "eval",    "compile", "run",
                             "verify", "bench",  "inspect", "list",    "import"};

class Help : public Cli {};

TEST_F(Help, names_every_verb) {
  const std::string text = fine({"--help"});
  for (const char* verb : verbs) EXPECT_THAT(text, HasSubstr(std::string("\n  ") + verb + " "));
  EXPECT_EQ(fine({"help"}), text);
}

TEST_F(Help, of_a_verb_has_an_example) {
  for (const std::string verb : verbs) {
    const std::string text = fine({verb, "--help"});
    EXPECT_THAT(text, HasSubstr("Example"));
    EXPECT_THAT(text, HasSubstr("gmc " + verb + " "));
    EXPECT_EQ(fine({"help", verb}), text);
  }
}

TEST_F(Help, lists_parse) {
  for (const char* what : {"models", "ops", "passes", "policies", "targets", "data"}) {
    const auto rows = nlohmann::json::parse(fine({"list", what, "--json"}));
    ASSERT_FALSE(rows.empty()) << what;
    for (const auto& row : rows) EXPECT_THAT(fine({"list", what}), HasSubstr(row.at("name").get<std::string>()));
  }
  EXPECT_THAT(nlohmann::json::parse(fine({"list", "models", "--json"})).dump(), HasSubstr("\"name\":\"vae-mlp\""));
}

TEST_F(Help, bench_gives_its_keys) {
  const std::string text =
      fine(Words{"bench", "vae-mlp", "--what", "step,sample", "--seconds", "0.01", "--json"} + small);
  std::istringstream lines(text);
  for (const char* what : {"step", "sample"}) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    const auto j = nlohmann::json::parse(line);
    EXPECT_EQ(j.at("workload"), "vae-mlp");
    EXPECT_EQ(j.at("size"), "tiny");
    EXPECT_EQ(j.at("device"), "cpu");
    EXPECT_EQ(j.at("what"), what);
    EXPECT_GE(j.at("threads").get<int>(), 1);
    for (const char* positive : {"ms", "ms_min", "compile_s", "peak_mb"}) EXPECT_GT(j.at(positive).get<double>(), 0);
    EXPECT_LE(j.at("ms_min").get<double>(), j.at("ms").get<double>());
  }
}

TEST_F(Help, inspected_graphs_parse_back) {
  for (const char* stage : {"graph", "transformed"}) {
    const std::string text = fine(Words{"inspect", "vae-mlp", "--entry", "step", "--stage", stage} + small);
    const graph::Graph g = graph::parse(text, ops::registry());
    EXPECT_EQ(g.entry(), "step");
    EXPECT_EQ(graph::print(g), text);
  }
}

TEST_F(Help, inspected_kernels_parse_back) {
  const std::string text = fine(Words{"inspect", "vae-mlp", "--entry", "step", "--stage", "kernel"} + small);
  int count = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    ASSERT_EQ(text.compare(at, 3, "// "), 0) << text.substr(at, 80);
    const size_t begin = text.find('\n', at) + 1, end = std::min(text.find("\n// ", begin), text.size() - 1) + 1;
    const std::string one = text.substr(begin, end - begin);
    EXPECT_EQ(kernel::print(kernel::parse(one)), one);
    at = end;
  }
  EXPECT_GT(count, 5);
  const auto summary =
      nlohmann::json::parse(fine(Words{"inspect", "vae-mlp", "--entry", "step", "--json"} + small)).at("entries").at(0);
  EXPECT_EQ(count, summary.at("generated_kernels").get<int>() + summary.at("products").get<int>());
}

}  // namespace
}  // namespace gmc::test
