// Recurrent layers, unrolled: a step for each time.
#include "tools/onnx/build.h"

#include <array>
#include <map>
#include <set>

namespace gmc::onnx {
namespace {

using graph::reshape;

// One activation of a gate, with its parameters.
struct Activation {
  std::string name;
  double alpha = 0, beta = 0;
};

Var apply(const Activation& a, Var x) {
  const auto nothing = [&] { return number_like(x, 0); };
  if (a.name == "relu") return maximum(x, nothing());
  if (a.name == "tanh") return apply_named("tanh", {x});
  if (a.name == "sigmoid") return apply_named("sigmoid", {x});
  if (a.name == "affine") return x * a.alpha + a.beta;
  if (a.name == "leakyrelu") return graph::select(graph::less(x, nothing()), x * a.alpha, x);
  if (a.name == "thresholdedrelu") return graph::select(graph::less(x, number_like(x, a.alpha)), nothing(), x);
  if (a.name == "scaledtanh") return apply_named("tanh", {x * a.beta}) * a.alpha;
  if (a.name == "hardsigmoid") return maximum(minimum(x * a.alpha + a.beta, number_like(x, 1)), nothing());
  if (a.name == "elu")
    return graph::select(graph::less(x, nothing()), apply_named("expm1", {minimum(x, nothing())}) * a.alpha, x);
  if (a.name == "softsign") return x / (apply_named("abs", {x}) + 1.0);
  if (a.name == "softplus") return apply_named("softplus", {x});
  fail("attribute 'activations': there is no '{}'", plain_name(a.name));
}

std::vector<Activation> activations(Call& c, std::vector<std::string> names) {
  std::vector<Activation> out;
  if (const Attribute* given = c.find("activations")) {
    if (given->texts.size() != names.size())
      fail("attribute 'activations' has {} names, expected {}", given->texts.size(), names.size());
    names = given->texts;
  }
  const std::vector<double> alphas = c.numbers("activation_alpha"), betas = c.numbers("activation_beta");
  size_t alpha = 0, beta = 0;  // they are given for those that take them, in their order
  for (const std::string& name : names) {
    Activation a;
    for (const char letter : name) a.name += static_cast<char>(tolower(letter));
    static const std::map<std::string, std::pair<double, double>> defaults{
        {"leakyrelu", {0.01, 0}}, {"thresholdedrelu", {1, 0}}, {"hardsigmoid", {0.2, 0.5}},
        {"elu", {1, 0}},          {"affine", {1, 0}},          {"scaledtanh", {1, 1}}};
    if (const auto it = defaults.find(a.name); it != defaults.end()) std::tie(a.alpha, a.beta) = it->second;
    static const std::set<std::string> with_beta{"hardsigmoid", "affine", "scaledtanh"};
    if (defaults.count(a.name) && alpha < alphas.size()) a.alpha = alphas[alpha++];
    if (with_beta.count(a.name) && beta < betas.size()) a.beta = betas[beta++];
    out.push_back(a);
  }
  return out;
}

// A layer in one direction. x: [time, batch, input] seen from front to back; gates g stacked in the weights.
struct Layer {
  Var x, weights, recurrent, bias, recurrent_bias;  // [g*h, input], [g*h, h], [g*h] or not there
  Var hidden, cell, peephole;                       // [batch, h], [batch, h], [3*h] or not there
  Var lengths;                                      // [batch] or not there
  bool reverse = false;
  int64_t size = 0;
  double clip = 0;
  std::vector<Activation> f;
};

Var part(Var stacked, int64_t i, int64_t size) {
  return graph::slice(stacked, std::ssize(stacked.shape()) - 1, i * size, (i + 1) * size);
}
Var clipped(Var x, double limit) {
  return limit > 0 ? maximum(minimum(x, number_like(x, limit)), number_like(x, -limit)) : x;
}
Var plus(Var x, Var bias) { return bias.valid() ? x + bias : x; }

// One step: the new hidden state (and cell) from the input's share of the gates.
using Step = void (*)(const Layer&, Var input, Var& hidden, Var& cell, bool linear_before_reset, bool coupled);

void step_rnn(const Layer& l, Var input, Var& hidden, Var&, bool, bool) {
  const Var sum = plus(input + graph::matmul(hidden, l.recurrent, false, true), l.recurrent_bias);
  hidden = apply(l.f[0], clipped(sum, l.clip));
}

// Gates i, o, f, c.
void step_lstm(const Layer& l, Var input, Var& hidden, Var& cell, bool, bool coupled) {
  const Var all = plus(input + graph::matmul(hidden, l.recurrent, false, true), l.recurrent_bias);
  const auto gate = [&](int64_t i) { return part(all, i, l.size); };
  const auto peep = [&](Var sum, int64_t i, Var from) {
    return l.peephole.valid() ? sum + part(l.peephole, i, l.size) * from : sum;
  };
  const Var i = apply(l.f[0], clipped(peep(gate(0), 0, cell), l.clip));
  const Var f = coupled ? number_like(i, 1) - i : apply(l.f[0], clipped(peep(gate(2), 2, cell), l.clip));
  const Var c = apply(l.f[1], clipped(gate(3), l.clip));
  cell = f * cell + i * c;
  const Var o = apply(l.f[0], clipped(peep(gate(1), 1, cell), l.clip));
  hidden = o * apply(l.f[2], cell);
}

// Gates z, r, h.
void step_gru(const Layer& l, Var input, Var& hidden, Var&, bool linear_before_reset, bool) {
  const auto rows = [&](Var stacked, int64_t from, int64_t to) {
    return graph::slice(stacked, 0, from * l.size, to * l.size);
  };
  const auto bias = [&](int64_t from, int64_t to) {
    return l.recurrent_bias.valid() ? rows(l.recurrent_bias, from, to) : Var{};
  };
  const Var gates = plus(
      graph::slice(input, 1, 0, 2 * l.size) + graph::matmul(hidden, rows(l.recurrent, 0, 2), false, true), bias(0, 2));
  const Var z = apply(l.f[0], clipped(part(gates, 0, l.size), l.clip)),
            r = apply(l.f[0], clipped(part(gates, 1, l.size), l.clip));
  const Var last = rows(l.recurrent, 2, 3);
  const Var from = linear_before_reset ? r * plus(graph::matmul(hidden, last, false, true), bias(2, 3))
                                       : plus(graph::matmul(r * hidden, last, false, true), bias(2, 3));
  const Var h = apply(l.f[1], clipped(part(input, 2, l.size) + from, l.clip));
  hidden = (number_like(z, 1) - z) * h + z * hidden;
}

// [time, batch, h], and the last states.
Var run(Layer& l, Step step, bool linear_before_reset, bool coupled) {
  const Shape s = l.x.shape();
  const int64_t time = s[0], batch = s[1];
  // The input's share of all gates, of all times at once.
  Var shares = graph::matmul(reshape(l.x, {time * batch, s[2]}), l.weights, false, true);
  shares = reshape(plus(shares, l.bias), {time, batch, l.weights.shape()[0]});
  std::vector<Var> out(static_cast<size_t>(time));
  for (int64_t i = 0; i < time; ++i) {
    const int64_t t = l.reverse ? time - 1 - i : i;
    Var hidden = l.hidden, cell = l.cell;
    step(l, reshape(graph::slice(shares, 0, t, t + 1), {batch, shares.shape()[2]}), hidden, cell, linear_before_reset,
         coupled);
    Var written = hidden;
    if (l.lengths.valid()) {
      // Beyond a sequence's end the states stay and nothing is written.
      const Var alive = reshape(graph::less(number_like(l.lengths, static_cast<double>(t)), l.lengths), {batch, 1});
      written = graph::select(alive, hidden, number_like(hidden, 0));
      hidden = graph::select(alive, hidden, l.hidden);
      if (cell.valid()) cell = graph::select(alive, cell, l.cell);
    }
    l.hidden = hidden;
    l.cell = cell;
    out[static_cast<size_t>(t)] = unsqueezed(written, 0);
  }
  return concat(out, 0);
}

std::vector<Value> recurrent(Call& c, int64_t gates, std::vector<std::string> names, Step step) {
  const bool lstm = gates == 4, batch_first = c.integer("layout", 0) != 0;
  if (c.rank(0) != 3 || c.rank(1) != 3 || c.rank(2) != 3)
    fail("operands {}, {}, {}", to_string(c[0].shape()), to_string(c[1].shape()), to_string(c[2].shape()));
  const Var x = batch_first ? graph::transpose(c[0], {1, 0, 2}) : c[0];
  const Shape s = x.shape();
  if (s[0] < 1) fail("the sequence is empty");
  if (s[0] > 4096) unsupported("a sequence of {} steps", s[0]);
  const std::string direction = c.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    fail("attribute 'direction': there is no '{}'", plain_name(direction));
  const int64_t directions = direction == "bidirectional" ? 2 : 1, size = c.integer("hidden_size", c[2].shape()[2]);
  if (c[1].shape() != Shape{directions, gates * size, s[2]} || c[2].shape() != Shape{directions, gates * size, size})
    fail("weights {} and {} of {} hidden units for {}", to_string(c[1].shape()), to_string(c[2].shape()), size,
         to_string(s));
  if (directions == 2) {
    const auto once = names;
    names.insert(names.end(), once.begin(), once.end());
  }
  const std::vector<Activation> f = activations(c, names);
  const auto of = [&](size_t i, int64_t d) {  // direction d of a stacked operand
    const Var all = c[i];
    if (all.shape().empty() || all.shape()[0] != directions) fail("input {} is {}", i, to_string(all.shape()));
    return squeezed(graph::slice(all, 0, d, d + 1), 0);
  };
  const auto state_of = [&](size_t i, int64_t d) {
    const Shape wanted{s[1], size};
    if (!c.has(i)) return graph::constant(c.graph(), 0, {x.type().dtype, wanted});
    const Var all = batch_first ? graph::transpose(c[i], {1, 0, 2}) : c[i];
    if (all.shape() != Shape{directions, s[1], size}) fail("input {} is {}", i, to_string(all.shape()));
    return reshape(graph::slice(all, 0, d, d + 1), wanted);
  };
  std::vector<Var> all, last, cells;
  for (int64_t d = 0; d < directions; ++d) {
    Layer l;
    l.x = x;
    l.weights = of(1, d);
    l.recurrent = of(2, d);
    l.size = size;
    l.clip = c.number("clip", 0);
    if (c.has(3)) {
      const Var b = of(3, d);
      if (b.shape() != Shape{2 * gates * size}) fail("a bias {}", to_string(c[3].shape()));
      l.bias = graph::slice(b, 0, 0, gates * size);
      l.recurrent_bias = graph::slice(b, 0, gates * size, 2 * gates * size);
    }
    if (c.has(4)) l.lengths = c[4];
    l.hidden = state_of(5, d);
    if (lstm) l.cell = state_of(6, d);
    if (lstm && c.has(7)) l.peephole = of(7, d);
    l.reverse = direction == "reverse" || d == 1;
    const auto count = static_cast<ptrdiff_t>(f.size()) / directions;
    l.f.assign(f.begin() + d * count, f.begin() + (d + 1) * count);
    all.push_back(
        unsqueezed(run(l, step, c.integer("linear_before_reset", 0) != 0, c.integer("input_forget", 0) != 0), 1));
    last.push_back(unsqueezed(l.hidden, 0));
    if (lstm) cells.push_back(unsqueezed(l.cell, 0));
  }
  const Var y = concat(all, 1);  // [time, directions, batch, h]
  const auto placed = [&](const std::vector<Var>& v) {
    const Var stacked = concat(v, 0);
    return batch_first ? graph::transpose(stacked, {1, 0, 2}) : stacked;
  };
  std::vector<Value> out{{batch_first ? graph::transpose(y, {2, 0, 1, 3}) : y, nullptr}, {placed(last), nullptr}};
  if (lstm) out.push_back({placed(cells), nullptr});
  return out;
}

constexpr Row rows[] = {
    {"GRU", [](Call& c) { return recurrent(c, 3, {"Sigmoid", "Tanh"}, step_gru); }},
    {"LSTM", [](Call& c) { return recurrent(c, 4, {"Sigmoid", "Tanh", "Tanh"}, step_lstm); }},
    {"RNN", [](Call& c) { return recurrent(c, 1, {"Tanh"}, step_rnn); }},
};

}  // namespace

std::span<const Row> rnn_rows() { return rows; }

}  // namespace gmc::onnx
