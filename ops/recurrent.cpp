// One step of recurrent layers, with PyTorch's gates and weights: x [n, i], states [n, h], w_ih [gates h, i], w_hh
// [gates h, h], b_ih and b_hh [gates h].
#include "ops/rules.h"

#include <array>

namespace gmc::ops {
namespace {

// Operands: x, `states` states, w_ih, w_hh, b_ih, b_hh.
void check_cell(Types t, size_t states, int64_t gates) {
  check_same_dtype(t);
  check_rank(t[0], 2);
  check_rank(t[1], 2);
  const int64_t n = t[0].shape[0], inputs = t[0].shape[1], hidden = t[1].shape[1], rows = checked_mul(gates, hidden);
  const auto expect = [&](size_t i, const char* name, const Shape& shape) {
    if (t[i].shape != shape) fail("expected {} of shape {}, got {}", name, to_string(shape), to_string(t[i].shape));
  };
  for (size_t i = 1; i <= states; ++i) expect(i, "a state", {n, hidden});
  expect(states + 1, "w_ih", {rows, inputs});
  expect(states + 2, "w_hh", {rows, hidden});
  expect(states + 3, "b_ih", {rows});
  expect(states + 4, "b_hh", {rows});
}
Var linear(Var x, Var w, Var b) { return matmul(x, w, false, true) + b; }
Var gate(Var gates, int64_t i, int64_t hidden) { return slice(gates, 1, i * hidden, (i + 1) * hidden); }

std::vector<Sample> cell_samples(size_t states, int64_t gates, const Attributes& a = {}) {
  std::vector<Sample> samples;
  for (auto [n, i, h] : {std::array<int64_t, 3>{2, 3, 2}, {1, 1, 1}, {0, 2, 1}, {3, 1, 2}}) {
    Sample s{{{f32, {n, i}}}, a};
    for (size_t k = 0; k < states; ++k) s.inputs.push_back({f32, {n, h}});
    for (const Shape& shape : {Shape{gates * h, i}, Shape{gates * h, h}, Shape{gates * h}, Shape{gates * h}})
      s.inputs.push_back({f32, shape});
    samples.push_back(std::move(s));
  }
  return samples;
}
std::vector<BadSample> cell_bad_samples(size_t states, int64_t gates, const Attributes& a = {}) {
  std::vector<TensorType> good = cell_samples(states, gates, a)[0].inputs, wide = good, short_ = good, deep = good;
  wide[states + 1].shape[1] = 9;
  short_[states + 4].shape[0] = 7;
  deep[0].shape = {3};
  return {{wide, a, "expected w_ih of shape"},
          {short_, a, "expected b_hh of shape"},
          {deep, a, "expected 2 dimensions, got f32[3]"}};
}

}  // namespace

// tanh (or relu, flag `relu`) of W_ih x + b_ih + W_hh h + b_hh. Operands: x, h, w_ih, w_hh, b_ih, b_hh.
const OpDef rnn_cell_op{.name = "rnn_cell",
                        .category = Category::composite,
                        .arity = 6,
                        .infer = [](Types t, const Attributes&) -> Results {
                          check_cell(t, 1, 1);
                          return {t[1]};
                        },
                        .expand =
                            [](Graph&, const Node& n, Operands x) {
                              const Var y = linear(x[0], x[2], x[4]) + linear(x[1], x[3], x[5]);
                              return Vars{n.flag("relu") ? apply(relu_op, {y}) : tanh(y)};
                            },
                        .samples = [] { return joined(cell_samples(1, 1), cell_samples(1, 1, {{"relu", true}})); },
                        .bad_samples = [] { return cell_bad_samples(1, 1); }};

// Gates r, z, n: h' = (1 - z) n + z h, n = tanh(W_in x + b_in + r (W_hn h + b_hn)). Operands: x, h, w_ih, w_hh, b_ih,
// b_hh.
const OpDef gru_cell_op{.name = "gru_cell",
                        .category = Category::composite,
                        .arity = 6,
                        .infer = [](Types t, const Attributes&) -> Results {
                          check_cell(t, 1, 3);
                          return {t[1]};
                        },
                        .expand =
                            [](Graph&, const Node&, Operands x) {
                              const int64_t h = x[1].shape()[1];
                              const Var in = linear(x[0], x[2], x[4]), rec = linear(x[1], x[3], x[5]);
                              const Var r = sigmoid(gate(in, 0, h) + gate(rec, 0, h)),
                                        z = sigmoid(gate(in, 1, h) + gate(rec, 1, h));
                              const Var next = tanh(gate(in, 2, h) + r * gate(rec, 2, h));
                              return Vars{(1.0 - z) * next + z * x[1]};
                            },
                        .samples = [] { return cell_samples(1, 3); },
                        .bad_samples = [] { return cell_bad_samples(1, 3); }};

// Gates i, f, g, o: c' = f c + i g, h' = o tanh(c') (Hochreiter & Schmidhuber 1997; Gers et al. 2000). Operands: x, h,
// c, w_ih, w_hh, b_ih, b_hh; results h', c'.
const OpDef lstm_cell_op{.name = "lstm_cell",
                         .category = Category::composite,
                         .arity = 7,
                         .infer = [](Types t, const Attributes&) -> Results {
                           check_cell(t, 2, 4);
                           return {t[1], t[2]};
                         },
                         .expand =
                             [](Graph&, const Node&, Operands x) {
                               const int64_t h = x[1].shape()[1];
                               const Var gates = linear(x[0], x[3], x[5]) + linear(x[1], x[4], x[6]);
                               const Var c = sigmoid(gate(gates, 1, h)) * x[2] +
                                             sigmoid(gate(gates, 0, h)) * tanh(gate(gates, 2, h));
                               return Vars{sigmoid(gate(gates, 3, h)) * tanh(c), c};
                             },
                         .samples = [] { return cell_samples(2, 4); },
                         .bad_samples = [] { return cell_bad_samples(2, 4); }};

}  // namespace gmc::ops
