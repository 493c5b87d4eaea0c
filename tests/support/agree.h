// A program on given or random inputs: compiled code in guard mode against the interpreter, within the bound of a
// running error analysis.
#pragma once

#include "compiler/codegen/target.h"
#include "compiler/graph/interpret.h"
#include "compiler/graph/text.h"
#include "compiler/package/session.h"
#include "tests/support/convert.h"
#include "tests/support/error_bound.h"
#include "tests/support/random_graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace gmc::tests {

// How sharp the comparisons were.
struct Agreement {
  size_t elements = 0, sharp = 0;  // all; those judged to within 1e-3 (1 + |expected|), or as NaN
};

// Rounds the inputs to their dtypes, runs, compares outputs and updated states.
inline Agreement expect_agreement(const graph::Graph& g, std::map<std::string, graph::Reference> values,
                                  const package::Options& options, int threads = 1) {
  package::Source source{"program", "{}", {}, {g}};
  TensorMap inputs, states;
  for (const graph::Node& n : g.nodes()) {
    if (n.op->category != graph::Category::input) continue;
    const std::string& name = n.text("name");
    graph::Reference& value = values.at(name);
    const HostTensor t = to_host(value, n.types[0].dtype);
    for (size_t e = 0; e < value.values.size(); ++e) value.values[e] = element_of(t, e);
    const bool is_state = n.text("role") == "state";
    if (is_state) source.states.push_back({name, n.types[0], true, false});
    (is_state ? states : inputs)[name] = t;
  }
  package::Session session(package::compile(source, options), {threads, true});
  session.set_state(states, true);
  const TensorMap got = session.run(g.entry(), inputs), after = session.state();
  Agreement agreement;
  auto compare = [&](const std::string& name, const HostTensor& have, const Bounded& want) {
    for (size_t e = 0; e < want.error.size(); ++e) {
      const double expected = want.value.values[e], is = element_of(have, e);
      ++agreement.elements;
      agreement.sharp += std::isnan(expected) || want.error[e] <= 1e-3 * (1 + std::fabs(expected));
      if (is == expected || (std::isnan(expected) && std::isnan(is))) continue;
      ASSERT_LE(std::fabs(is - expected), want.error[e])
          << name << " element " << e << ": " << is << ", expected " << expected << '\n'
          << graph::print(g);
    }
  };
  const std::map<std::string, Bounded> expected = ErrorBound::run(g, values);
  for (const graph::Output& o : g.outputs()) {
    compare(o.name, (o.is_state ? after : got).at(o.name), expected.at(o.name));
    if (testing::Test::HasFatalFailure()) break;
  }
  return agreement;
}

// Inputs uniform in [-1, 1). Or, `exact`: they are whole numbers from -4 to 4, and outputs must be equal.
inline void expect_agreement(const graph::Graph& g, const package::Options& options, int threads = 1, uint64_t seed = 1,
                             bool exact = false) {
  std::map<std::string, graph::Reference> values = random_inputs(g, seed);
  if (!exact) return void(expect_agreement(g, std::move(values), options, threads));
  std::mt19937_64 random(seed);
  for (auto& [name, value] : values)
    for (double& v : value.values) v = static_cast<double>(random() % 9) - 4;
  package::Session session(package::compile({"program", "{}", {}, {g}}, options), {threads, true});
  TensorMap inputs;
  for (const auto& [name, value] : values) inputs[name] = to_host(value, f32);
  const TensorMap got = session.run(g.entry(), inputs);
  for (const auto& [name, want] : graph::interpret(g, values).outputs)
    for (size_t e = 0; e < want.values.size(); ++e)
      ASSERT_EQ(element_of(got.at(name), e), want.values[e]) << name << ' ' << e << '\n' << graph::print(g);
}

inline package::Options with_policy(const std::string& policy) {
  return {codegen::host_target(), policy, {}, "", 1, false};
}

}  // namespace gmc::tests
