// Random programs under random legal plans: compiled code, in guard mode, against the interpreter.
#include "compiler/transform/pass.h"
#include "tests/support/agree.h"
#include "tests/support/fusion.h"
#include "tests/support/random_program.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>

namespace gmc {
namespace {

using namespace graph;

// Of 1 to 90 nodes, movement and constants counted.
tests::Program program_of(uint64_t seed) { return tests::random_program(seed, 1 + static_cast<int>(seed % 90)); }

// Merges picked at random among the legal ones, as a plan file.
std::string random_plan_of(const Graph& captured, uint64_t seed) {
  const Graph g = transform::run_pipeline(captured);
  const fusion::View view(g);
  return fusion::to_json(view, tests::random_plan(view, seed)).dump();
}

tests::Agreement check(uint64_t seed, const std::string& policy, int threads) {
  SCOPED_TRACE(fmt::format("seed {} policy {} threads {}", seed, policy, threads));
  const tests::Program p = program_of(seed);
  package::Options options = tests::with_policy(policy == "random" ? "none" : policy);
  if (policy == "random") options.plans[p.graph.entry()] = random_plan_of(p.graph, seed);
  return tests::expect_agreement(p.graph, p.inputs, options, threads);
}

// The long run tries five times as many.
uint64_t times() { return std::getenv("GMC_LONG_TESTS") ? 5 : 1; }

TEST(RandomPrograms, WithoutFusion) {
  for (uint64_t seed = 0; seed < 60 * times(); ++seed) check(seed, "none", 1);
}
TEST(RandomPrograms, Greedy) {
  for (uint64_t seed = 0; seed < 200 * times(); ++seed) check(seed, "greedy", 1 + static_cast<int>(seed % 3));
}

// 2000 in twenty parts.
class RandomPlans : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomPlans, agree) {
  tests::Agreement all;
  const uint64_t count = 100 * times();
  for (uint64_t seed = GetParam() * count; seed < (GetParam() + 1) * count; ++seed) {
    const tests::Agreement one = check(seed, "random", 1 + static_cast<int>(seed % 3));
    all.elements += one.elements;
    all.sharp += one.sharp;
  }
  // A bound that says nothing would let everything pass.
  EXPECT_GT(static_cast<double>(all.sharp), 0.9 * static_cast<double>(all.elements));
}
INSTANTIATE_TEST_SUITE_P(Part, RandomPlans, testing::Range<uint64_t>(0, 20));

// ---- what the programs reach ---------------------------------------------------------------------------------------

using Counts = std::map<std::string, int>;

void count_ops(const Graph& g, Counts& ops) {
  for (const Node& n : g.nodes()) {
    ++ops[n.op->name];
    for (const auto& region : n.regions) count_ops(*region, ops);
  }
}

void count_regions(const fusion::View& view, const fusion::Plan& plan, Counts& kinds) {
  for (const fusion::PlanKernel& k : plan.kernels) {
    if (!k.library.empty()) {
      ++kinds[k.library];
      continue;
    }
    if (k.regions.size() > 1) ++kinds["several in a launch"];
    for (const std::vector<int>& ops : k.regions) {
      const auto bound = fusion::bind_region(view, ops, fusion::stored_ops(view, ops));
      const fusion::Binding& binding = std::get<fusion::Binding>(bound);
      std::set<std::string> here;
      for (size_t i = 0; i < ops.size(); ++i) {
        if (view.ops()[static_cast<size_t>(ops[i])].category != Category::reduce) continue;
        const auto kind = fusion::reduction_kind(view, binding, ops, i);
        here.insert(kind == fusion::ReductionKind::row    ? "reduction of rows"
                    : kind == fusion::ReductionKind::rows ? "reduction over rows"
                                                          : "reduction of all");
      }
      if (binding.product >= 0) here.insert(ops.size() > 1 ? "product with ops behind it" : "product");
      if (here.empty()) here.insert(view.ops()[static_cast<size_t>(ops[0])].is_copy ? "copy" : "elementwise");
      for (const std::string& kind : here) ++kinds[kind];
    }
  }
}

void print_counts(const char* title, const Counts& counts) {
  std::printf("%s\n", title);
  for (const auto& [name, count] : counts) std::printf("  %6d %s\n", count, name.c_str());
}

void expect_all(const std::vector<std::string>& names, const Counts& counts) {
  size_t reached = 0;
  for (const std::string& name : names) {
    EXPECT_TRUE(counts.count(name)) << name;
    reached += counts.count(name);
  }
  std::printf("  %zu of %zu reached\n", reached, names.size());
}

TEST(RandomPrograms, ReachEveryPrimitiveRegionAndRule) {
  Counts ops, kinds, rules;
  for (uint64_t seed = 0; seed < 600; ++seed) {
    const tests::Program p = program_of(seed);
    count_ops(p.graph, ops);
    const Graph g = transform::run_pipeline(p.graph);
    const fusion::View view(g);
    count_regions(view, tests::random_plan(view, seed, &rules), kinds);
  }
  std::vector<std::string> primitives;
  for (const OpDef* op : ops::registry())
    if (op->category != Category::composite) primitives.push_back(op->name);
  print_counts("ops", ops);
  expect_all(primitives, ops);
  print_counts("kinds of regions", kinds);
  expect_all({"elementwise", "copy", "reduction of rows", "reduction over rows", "reduction of all", "product",
              "product with ops behind it", "several in a launch", "runtime", "control"},
             kinds);
  print_counts("merges and refusals", rules);
  expect_all({"in one region", "side by side", "L1", "L2", "L4", "L5", "L6", "L7", "L9"}, rules);
}

}  // namespace
}  // namespace gmc
