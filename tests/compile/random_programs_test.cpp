// Random programs under random legal plans: compiled code, in guard mode, against the interpreter.
#include "compiler/transform/pass.h"
#include "tests/compile/agree.h"
#include "tests/support/fusion.h"
#include "tests/support/random_graph.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>

namespace gmc {
namespace {

using namespace graph;

// Merges picked at random among the legal ones, as a plan file.
std::string random_plan_of(const Graph& captured, uint64_t seed) {
  const Graph g = transform::run_pipeline(captured);
  const fusion::View view(g);
  return fusion::to_json(view, tests::random_plan(view, seed)).dump();
}

void check(uint64_t seed, const std::string& policy, int threads) {
  SCOPED_TRACE(fmt::format("seed {} policy {} threads {}", seed, policy, threads));
  const Graph g = tests::random_graph(seed, 6 + static_cast<int>(seed % 30));
  package::Options options = tests::with_policy(policy == "random" ? "none" : policy);
  if (policy == "random") options.plans[g.entry()] = random_plan_of(g, seed);
  tests::expect_agreement(g, options, threads, seed);
}

// How many graphs: the long run tries more of them.
uint64_t graphs() { return std::getenv("GMC_LONG_TESTS") ? 10000 : 60; }

TEST(RandomPrograms, WithoutFusion) {
  for (uint64_t seed = 0; seed < graphs() / 3; ++seed) check(seed, "none", 1);
}
TEST(RandomPrograms, Greedy) {
  for (uint64_t seed = 0; seed < graphs(); ++seed) check(seed, "greedy", 1 + static_cast<int>(seed % 3));
}
TEST(RandomPrograms, UnderRandomPlans) {
  for (uint64_t seed = 0; seed < graphs(); ++seed) check(seed, "random", 1 + static_cast<int>(seed % 3));
}

}  // namespace
}  // namespace gmc
