// A program on random inputs: compiled code in guard mode against the interpreter.
#pragma once

#include "compiler/codegen/target.h"
#include "compiler/graph/interpret.h"
#include "compiler/graph/text.h"
#include "compiler/package/session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace gmc::tests {

// Inputs uniform in [-1, 1). Outputs and updated states must agree to 2e-5 (1 + |expected|). Or, `exact`: inputs are
// whole numbers from -4 to 4, and outputs must be equal.
inline void expect_agreement(const graph::Graph& g, const package::Options& options, int threads = 1, uint64_t seed = 1,
                             bool exact = false) {
  package::Source source{"program", "{}", {}, {g}};
  std::map<std::string, graph::Reference> values;
  TensorMap inputs, states;
  std::mt19937_64 random(seed);
  for (const graph::Node& n : g.nodes()) {
    if (n.op->category != graph::Category::input) continue;
    const std::string& name = n.text("name");
    HostTensor t(DType::f32, n.types[0].shape);
    graph::Reference r{t.shape, std::vector<double>(static_cast<size_t>(t.count()))};
    for (size_t i = 0; i < r.values.size(); ++i)
      r.values[i] = t.as<float>()[i] =
          exact ? static_cast<float>(random() % 9) - 4 : static_cast<float>(random() >> 40) * 0x1p-23f - 1;
    values[name] = r;
    const bool is_state = n.text("role") == "state";
    if (is_state) source.states.push_back({name, n.types[0], true, false});
    (is_state ? states : inputs)[name] = t;
  }
  package::Session session(package::compile(source, options), {threads, true});
  session.set_state(states, true);
  const TensorMap got = session.run(g.entry(), inputs);
  const TensorMap after = session.state();
  const graph::Interpretation expected = graph::interpret(g, values);
  auto compare = [&](const TensorMap& have, const std::map<std::string, graph::Reference>& want) {
    for (const auto& [name, reference] : want)
      for (size_t i = 0; i < reference.values.size(); ++i)
        ASSERT_NEAR(have.at(name).as<float>()[i], reference.values[i],
                    exact ? 0 : 2e-5 * (1 + std::fabs(reference.values[i])))
            << name << " " << i << "\n"
            << graph::print(g);
  };
  compare(got, expected.outputs);
  compare(after, expected.updates);
}

inline package::Options with_policy(const std::string& policy) {
  return {codegen::host_target(), policy, {}, "", 1, false};
}

}  // namespace gmc::tests
