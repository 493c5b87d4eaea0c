// Gradients of several calls in one update: the same as one call on all of their samples.
#include "compiler/graph/interpret.h"
#include "models/gmc.h"
#include "runtime/base/error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace gmc {
namespace {

using Tensors = std::map<std::string, graph::Reference>;

struct Net {
  Parameter w, b;
  GMC_PARTS(w, b)
  Net() : w({3, 2}, init::zeros()), b({2}, init::zeros()) {}
};

template <class Optimizer>
void build(Program& p, int64_t batch, const Optimizer& optimizer) {
  Net net;
  p.state(net);
  p.entry("step", [&] {
    Tensor x = input("x", f32, {batch, 3});
    Tensor loss = mean(square(tanh(matmul(x, net.w) + net.b) - 0.7));
    minimize(loss, parameters(net), optimizer);
    output("loss", loss);
  });
}

graph::Reference samples(int64_t first, int64_t count) {
  graph::Reference r{{count, 3}, {}};
  for (int64_t i = 3 * first; i < 3 * (first + count); ++i)
    r.values.push_back(std::sin(1.0 + 0.37 * static_cast<double>(i * i % 101)));
  return r;
}

Tensors start(const Program& p) {
  Tensors out;
  for (const State& s : p.states()) {
    graph::Reference r{s.shape, {}};
    for (int64_t i = 0; i < element_count(s.shape); ++i)
      r.values.push_back(s.kind == StateKind::parameter ? 0.1 * static_cast<double>(i + 1) : s.initialiser.a);
    out[s.name] = r;
  }
  return out;
}

void step(const Program& p, Tensors& states, const graph::Reference& x) {
  Tensors inputs = states;
  inputs["x"] = x;
  for (const auto& [name, value] : graph::interpret(*p.entry_named("step").graph, inputs).updates) states[name] = value;
}

template <class Optimizer>
void compare(Optimizer optimizer) {
  Program whole, parts;
  build(whole, 12, optimizer);
  optimizer.accumulate = 3;
  build(parts, 4, optimizer);
  Tensors a = start(whole), b = start(parts);
  for (int64_t k = 0; k < 5; ++k) {
    step(whole, a, samples(12 * k, 12));
    for (int64_t part = 0; part < 3; ++part) {
      const Tensors before = b;
      step(parts, b, samples(12 * k + 4 * part, 4));
      for (const char* name : {"w", "b"}) EXPECT_EQ(before.at(name).values == b.at(name).values, part < 2) << name << k;
    }
    for (const auto& [name, value] : a)
      for (size_t i = 0; i < value.values.size(); ++i)
        EXPECT_NEAR(b.at(name).values[i], value.values[i], 1e-12) << name << " after " << k;
  }
}

TEST(Accumulate, is_a_larger_batch_for_every_optimizer) {
  compare(Sgd{.lr = 0.1, .momentum = 0.9, .clip = 0.05});
  compare(Adam{.lr = 0.01, .weight_decay = 0.1, .clip = 0.05});
  compare(Adamax{.lr = 0.01});
  compare(RmsProp{.lr = 0.01, .momentum = 0.5});
  compare(Adagrad{.lr = 0.05, .lr_decay = 0.1});
  compare(Lion{.lr = 0.01, .clip_value = 0.01});
}

TEST(Accumulate, must_be_positive) {
  Program p;
  EXPECT_THROW(build(p, 4, Adam{.accumulate = 0}), Error);
}

}  // namespace
}  // namespace gmc
