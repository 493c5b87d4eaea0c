#include "models/nn/lstm.h"

#include "compiler/dsl/control.h"
#include "compiler/dsl/program.h"
#include "models/nn/init.h"
#include "ops/ops.h"
#include "runtime/base/error.h"

#include <fmt/format.h>

#include <cmath>

namespace gmc {
namespace {

// The gates i, f, g, o, of which `gates` [n, 4 hidden] is what they are before their nonlinearities, let c become c'
// and h'.
Lstm::State next(const Tensor& gates, const Tensor& c) {
  const std::vector<Tensor> g = chunk(gates, 4, 1);
  const Tensor kept = sigmoid(g[1]) * c + sigmoid(g[0]) * tanh(g[2]);
  return {sigmoid(g[3]) * tanh(kept), kept};
}

}  // namespace

Lstm::Lstm(int64_t in, int64_t hidden, int64_t layers, std::source_location made) : in_(in), hidden_(hidden) {
  if (in < 1 || hidden < 1 || layers < 1) fail("Lstm({}, {}, {}): expected numbers of at least 1", in, hidden, layers);
  const double bound = 1 / std::sqrt(static_cast<double>(hidden));
  const auto parameter = [&](Shape shape) {
    return Parameter(std::move(shape), init::uniform(-bound, bound), StateKind::parameter, made);
  };
  for (int64_t l = 0; l < layers; ++l)
    layers_.push_back({parameter({4 * hidden, l == 0 ? in : hidden}), parameter({4 * hidden, hidden}),
                       parameter({4 * hidden}), parameter({4 * hidden})});
}

Parts Lstm::gmc_parts() const {
  Parts parts;
  const auto add = [&](const char* name, size_t layer, const Parameter& p) {
    parts.emplace_back(p);
    parts.back().name = fmt::format("{}_l{}", name, layer);
  };
  for (size_t l = 0; l < layers_.size(); ++l) {
    add("weight_ih", l, layers_[l].weight_ih);
    add("weight_hh", l, layers_[l].weight_hh);
    add("bias_ih", l, layers_[l].bias_ih);
    add("bias_hh", l, layers_[l].bias_hh);
  }
  return parts;
}

Lstm::State Lstm::begin(int64_t n, std::source_location where) const {
  const Tensor zeros = full({std::ssize(layers_), n, hidden_}, 0, f32, where);
  return {zeros, zeros};
}

Tensor Lstm::operator()(At x) const {
  const Scope scope(*this, x, fmt::format("Lstm({}, {}, {})", in_, hidden_, layers_.size()));
  if (x.rank() != 3 || x.dim(2) != in_)
    fail_at(x, fmt::format("Lstm: expected [n, time, {}], got {}", in_, to_string(x.shape())));
  const int64_t n = x.dim(0), time = x.dim(1);
  const Tensor zeros = full({n, hidden_}, 0);
  Tensor y = transpose(x, {1, 0, 2});  // time first
  for (const Layer& l : layers_) {
    // The inputs' share of the gates does not wait for the state: one product for all steps.
    const Tensor rows = reshape(y, {time * n, y.dim(2)});
    const Tensor in = matmul(rows, l.weight_ih, false, true) + (l.bias_ih + l.bias_hh);
    const auto results = scan(over(reshape(in, {time, n, 4 * hidden_})), carry(zeros, zeros),
                              [&](const Tensor& gates, const Tensor& h, const Tensor& c) {
                                const State s = next(gates + matmul(h, l.weight_hh, false, true), c);
                                return carry(s.h, s.c).emit(s.h);
                              });
    y = results[2];
  }
  return transpose(y, {1, 0, 2});
}

Lstm::Result Lstm::step(At x, const State& state) const {
  const Scope scope(*this, x, fmt::format("Lstm({}, {}, {})", in_, hidden_, layers_.size()));
  if (x.rank() != 2 || x.dim(1) != in_)
    fail_at(x, fmt::format("Lstm: expected [n, {}], got {}", in_, to_string(x.shape())));
  Tensor y = x;
  std::vector<Tensor> hs, cs;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& l = layers_[i];
    const auto at = static_cast<int64_t>(i);
    const State s = next(matmul(y, l.weight_ih, false, true) + (l.bias_ih + l.bias_hh) +
                             matmul(select_index(state.h, 0, at), l.weight_hh, false, true),
                         select_index(state.c, 0, at));
    y = s.h;
    hs.push_back(s.h);
    cs.push_back(s.c);
  }
  return {y, {stack(hs), stack(cs)}};
}

}  // namespace gmc
