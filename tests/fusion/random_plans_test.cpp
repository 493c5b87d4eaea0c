// Random graphs under random legal plans: what legality offers the checker admits and lowering compiles.
#include "compiler/graph/interpret.h"
#include "compiler/graph/text.h"
#include "compiler/lower/lower.h"
#include "compiler/transform/pass.h"
#include "tests/support/fusion.h"
#include "tests/support/random_graph.h"
#include "tests/support/run_kernels.h"

#include <nlohmann/json.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace gmc {
namespace {

using fusion::Plan;
using fusion::View;

void expect_lowers(const View& view, const Plan& plan) {
  const auto steps = lower::lower(view, plan);
  ASSERT_EQ(steps.size(), plan.kernels.size());
  for (const lower::Step& step : steps) {
    EXPECT_EQ(step.values.size(), step.kernel.parameters.size());
    if (!step.library.empty()) continue;
    const std::string text = kernel::print(step.kernel);
    EXPECT_EQ(kernel::print(kernel::parse(text)), text);
  }
}

TEST(RandomPlans, EveryLegalPlanIsAdmittedAndLowered) {
  int kernels = 0, ops = 0;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    const graph::Graph g = transform::run_pipeline(tests::random_graph(seed, 12 + static_cast<int>(seed % 50)));
    const View view(g);
    for (uint64_t run = 0; run < 2; ++run) {
      const Plan plan = tests::random_plan(view, seed * 7 + run);
      ASSERT_NO_THROW(fusion::check_plan(view, plan)) << graph::print(g) << fusion::to_json(view, plan).dump(1);
      ASSERT_NO_THROW(expect_lowers(view, plan)) << graph::print(g) << fusion::to_json(view, plan).dump(1);
      kernels += static_cast<int>(plan.kernels.size());
    }
    ops += 2 * static_cast<int>(view.ops().size());
  }
  EXPECT_LT(kernels, ops * 3 / 4);  // the plans do fuse
}

// Policies ask the cheap question first: what it rules out has to be illegal.
TEST(RandomPlans, WhatMightNotFuseIsRefused) {
  int refused = 0, ruled_out = 0;
  for (uint64_t seed = 0; seed < 120; ++seed) {
    const graph::Graph g = transform::run_pipeline(tests::random_graph(seed + 3000, 10 + static_cast<int>(seed % 30)));
    const View view(g);
    fusion::PlanBuilder builder(view);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 4; ++round) {
      std::vector<fusion::Merge> legal;
      const std::vector<int> kernels = builder.kernels();
      for (int a : kernels)
        for (int b : kernels) {
          if (a >= b) continue;
          const auto verdict = builder.try_merge(a, b, false);
          const auto* merge = std::get_if<fusion::Merge>(&verdict);
          ruled_out += builder.might_fuse(a, b) ? 0 : 1;
          if (merge) {
            EXPECT_TRUE(builder.might_fuse(a, b)) << seed << ", kernels " << a << " and " << b << '\n'
                                                  << graph::print(g);
            legal.push_back(*merge);
          } else {
            ++refused;
          }
        }
      if (legal.empty()) break;
      builder.merge(legal[random() % legal.size()]);
    }
  }
  EXPECT_GT(ruled_out, refused / 10);
}

TEST(RandomPlans, ComputeWhatTheGraphMeans) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const graph::Graph g = transform::run_pipeline(tests::random_graph(seed + 1000, 8 + static_cast<int>(seed % 30)));
    const View view(g);
    const Plan plan = seed % 3 ? tests::random_plan(view, seed) : fusion::policy_greedy(view);
    EXPECT_LT(tests::lowering_error(g, lower::lower(view, plan), tests::random_inputs(g, seed)), 1e-9)
        << seed << '\n'
        << graph::print(g) << fusion::to_json(view, plan).dump(1);
  }
}

// Plans that nobody checked while they were made: what the checker admits lowers and computes the graph.
TEST(RandomPlans, AdmittedPlansComputeWhoeverMadeThem) {
  int admitted = 0, refused = 0;
  for (uint64_t seed = 0; seed < 600; ++seed) {
    const graph::Graph g = transform::run_pipeline(tests::random_graph(seed + 5000, 10));
    const View view(g);
    std::mt19937_64 random(seed);
    Plan plan = fusion::policy_none(view);
    for (int joins = 0; joins < 2 && plan.kernels.size() > 1; ++joins) {
      const size_t to = random() % (plan.kernels.size() - 1), from = to + 1 + random() % (plan.kernels.size() - 1 - to);
      auto& region = plan.kernels[to].regions[0];
      for (int op : plan.kernels[from].regions[0]) region.push_back(op);
      std::sort(region.begin(), region.end());
      plan.kernels.erase(plan.kernels.begin() + static_cast<std::ptrdiff_t>(from));
    }
    const std::string error = tests::error_of([&] { fusion::check_plan(view, plan); });
    ++(error.empty() ? admitted : refused);
    if (!error.empty()) continue;
    fusion::order_kernels(view, plan);
    double worst = 1;
    EXPECT_NO_THROW(worst = tests::lowering_error(g, lower::lower(view, plan), tests::random_inputs(g, seed)))
        << seed << graph::print(g) << fusion::to_json(view, plan).dump(1);
    EXPECT_LT(worst, 1e-9) << seed << graph::print(g) << fusion::to_json(view, plan).dump(1);
  }
  EXPECT_GT(admitted, 100);
  EXPECT_GT(refused, 100);
}

TEST(RandomPlans, EveryPolicyCoversEveryOpOnce) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const graph::Graph g = transform::run_pipeline(tests::random_graph(seed, 30));
    const View view(g);
    for (const fusion::Policy& policy : fusion::policies()) {
      const Plan plan = policy.make(view, "");
      std::vector<int> times(view.ops().size(), 0);
      for (const auto& kernel : plan.kernels)
        for (const auto& region : kernel.regions)
          for (int op : region) ++times[static_cast<size_t>(op)];
      EXPECT_EQ(std::count(times.begin(), times.end(), 1), static_cast<std::ptrdiff_t>(times.size())) << policy.name;
      ASSERT_NO_THROW(fusion::check_plan(view, plan)) << policy.name << graph::print(g);
      ASSERT_NO_THROW(expect_lowers(view, plan)) << policy.name << graph::print(g);
      const Plan with_library = policy.make(view, "onednn");
      ASSERT_NO_THROW(fusion::check_plan(view, with_library)) << policy.name << graph::print(g);
      ASSERT_NO_THROW(expect_lowers(view, with_library)) << policy.name << graph::print(g);
    }
  }
}

TEST(RandomPlans, SurviveTheirTextForm) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const graph::Graph g = transform::run_pipeline(tests::random_graph(seed, 30));
    const View view(g);
    const Plan plan = tests::random_plan(view, seed);
    const auto json = fusion::to_json(view, plan);
    const Plan again = fusion::plan_from_json(view, nlohmann::json::parse(json.dump()));
    ASSERT_EQ(again.kernels.size(), plan.kernels.size());
    for (size_t k = 0; k < plan.kernels.size(); ++k) {
      EXPECT_EQ(again.kernels[k].id, plan.kernels[k].id);
      EXPECT_EQ(again.kernels[k].regions, plan.kernels[k].regions);
      EXPECT_EQ(again.kernels[k].library, plan.kernels[k].library);
      EXPECT_EQ(again.kernels[k].reason, plan.kernels[k].reason);
    }
    EXPECT_EQ(again.entry, plan.entry);
    EXPECT_EQ(again.policy, plan.policy);
    EXPECT_EQ(again.graph, plan.graph);
    EXPECT_EQ(again.decisions.size(), plan.decisions.size());
  }
}

TEST(RandomGraphs, AreDeterministicFiniteAndLive) {
  EXPECT_EQ(graph::print(tests::random_graph(3, 40)), graph::print(tests::random_graph(3, 40)));
  EXPECT_NE(graph::print(tests::random_graph(3, 40)), graph::print(tests::random_graph(4, 40)));
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const graph::Graph g = tests::random_graph(seed, 30);
    graph::verify(g);
    EXPECT_FALSE(g.outputs().empty());
    for (size_t i = 0; i < g.nodes().size(); ++i)
      if (g.nodes()[i].op->category != graph::Category::input) {
        EXPECT_GT(graph::use_counts(g)[i][0], 0) << seed;
      }
    for (const auto& [name, value] : graph::interpret(g, tests::random_inputs(g, seed)).outputs)
      for (double v : value.values) ASSERT_LT(std::fabs(v), 4) << seed << ' ' << name;
  }
}

}  // namespace
}  // namespace gmc
