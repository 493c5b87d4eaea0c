// Every NAME.graph of this folder: `// pass NAME` (or `// pipeline`), a graph, `// expected`, the graph that must come
// out.
#include "compiler/graph/core_ops.h"
#include "compiler/graph/text.h"
#include "compiler/transform/pass.h"
#include "ops/registry.h"
#include "runtime/base/error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace gmc {
namespace {

const std::string folder = std::string(GMC_SOURCE_DIR) + "/tests/transform/";

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.path().extension() == ".graph") names.push_back(file.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}

class PassText : public testing::TestWithParam<std::string> {};

TEST_P(PassText, turns_the_input_into_the_expected_graph) {
  std::ifstream file(folder + GetParam() + ".graph");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string marker = "// expected\n";
  const size_t middle = text.find(marker);
  ASSERT_NE(middle, std::string::npos);
  const graph::Graph input = graph::parse(text.substr(0, middle), ops::registry());
  const std::string first = text.substr(0, text.find('\n'));
  const graph::Graph got =
      first == "// pipeline" ? transform::run_pipeline(input) : transform::pass_named(first.substr(8)).run(input);
  graph::verify(got);
  EXPECT_EQ(graph::print(got), text.substr(middle + marker.size()));
}

INSTANTIATE_TEST_SUITE_P(Texts, PassText, testing::ValuesIn(cases()), [](const auto& name) { return name.param; });

// Nodes that stay keep their names unless a new one has taken it.
TEST(Rebuild, names_are_unique) {
  const std::string from = "graph g\n"
                           "%0 = input {dtype=\"f32\", name=\"x\", role=\"data\", shape=[2]} : f32[2] \"x\"\n"
                           "%1 = exp %0 : f32[2] \"exp\"\n"
                           "%2 = neg %1 : f32[2] \"neg.2\"\n"
                           "%3 = neg %2 : f32[2] \"neg.3\"\n"
                           "output \"y\" %3\n";
  const graph::Graph got = transform::rebuild(
      graph::parse(from, ops::registry()),
      [](graph::Graph&, const graph::Node& node, std::span<const graph::Var> inputs) -> transform::Replacements {
        if (node.name != "exp") return {};
        return {-(-inputs[0])};
      });
  std::vector<std::string> names;
  for (const graph::Node& node : got.nodes()) names.push_back(node.name);
  EXPECT_EQ(names, (std::vector<std::string>{"x", "neg", "neg.2", "neg.2.2", "neg.3"}));
}

TEST(Passes, unknown_name_lists_the_known_ones) {
  try {
    transform::pass_named("simplfy");
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("simplify"), std::string::npos);
    EXPECT_TRUE(e.usage());
  }
}

}  // namespace
}  // namespace gmc
