// Attention and rotary positions.
#include "tools/onnx/build.h"
#include "tools/onnx/importer.h"

#include <cmath>
#include <limits>

namespace gmc::onnx {
namespace {

using graph::cast;
using graph::less;
using graph::reshape;
using graph::select;

constexpr double infinity = std::numeric_limits<double>::infinity();

// Queries [b, h, t, d], keys [b, g, s, d] and values [b, g, s, e]: each head of keys serves h / g heads of queries.
struct Heads {
  Var q, k, v;
};

void check(const Heads& x) {
  const Shape &q = x.q.shape(), &k = x.k.shape(), &v = x.v.shape();
  if (q.size() != 4 || k.size() != 4 || v.size() != 4)
    fail("queries {}, keys {} and values {}", to_string(q), to_string(k), to_string(v));
  if (q[0] != k[0] || q[3] != k[3]) fail("queries {} and keys {} do not fit", to_string(q), to_string(k));
  if (v[0] != k[0] || v[1] != k[1] || v[2] != k[2])
    fail("keys {} and values {} do not fit", to_string(k), to_string(v));
  if (k[1] < 1 || q[1] % k[1] != 0) fail("{} heads of keys do not divide {} of queries", k[1], q[1]);
}

// [b, t, heads * d] -> [b, heads, t, d]
Var split_heads(Call& c, size_t operand, const char* attribute) {
  const Shape s = c[operand].shape();
  const int64_t heads = c.integer(attribute);
  if (heads < 1 || s[2] % heads != 0) fail("attribute '{}' is {} for {}", attribute, heads, to_string(s));
  return graph::transpose(reshape(c[operand], {s[0], s[1], heads, s[2] / heads}), {0, 2, 1, 3});
}

// a [b, h, t, n] times b [b, g, n, m], each matrix of which serves h / g of a side by side.
Var grouped(Var a, Var b, bool transpose_b) {
  const Shape s = a.shape();
  const int64_t groups = b.shape()[1];
  const Var out = graph::matmul(reshape(a, {s[0], groups, s[1] / groups * s[2], s[3]}), b, false, transpose_b);
  return reshape(out, {s[0], s[1], s[2], out.shape()[3]});
}

// Both operands are scaled, by the root, so that sums of halves stay in range.
Var scores_of(Call& c, const Heads& x) {
  const double scale = c.find("scale") ? c.number("scale", 1) : 1 / std::sqrt(static_cast<double>(x.q.shape()[3]));
  if (!(scale >= 0)) fail("attribute 'scale' is {}", scale);
  return grouped(x.q * std::sqrt(scale), x.k * std::sqrt(scale), true);
}

DType softmax_dtype(Call& c, DType otherwise) {
  if (!c.find("softmax_precision")) return otherwise;
  const int64_t element = c.integer("softmax_precision");
  if (element != 1 && element != 10 && element != 11 && element != 16)
    fail("attribute 'softmax_precision' is {}, no floating type", element);
  return need_dtype(static_cast<Element>(element));
}

// What keeps queries from keys: four dimensions that broadcast to those of the scores, or nothing.
struct Bias {
  Var allowed, added;  // bool; floating
  void allow(Var v) { allowed = allowed.valid() ? both(allowed, v) : v; }
};

// The places of queries and keys, i64: [b or 1, 1, t, 1] counted in the keys, and [1, 1, 1, s].
struct Places {
  Var query, key;
};

void add_mask(Call& c, Bias& bias, const Shape& scores) {
  if (!c.has(3)) return;
  Var mask = c[3];
  const bool floating = is_float(mask.type().dtype);
  if (!floating && mask.type().dtype != DType::boolean) fail("a mask of {}", name_of(mask.type().dtype));
  if (mask.shape().empty() || mask.shape().size() > 4) fail("a mask {}", to_string(mask.shape()));
  std::vector<int64_t> low(mask.shape().size(), 0), high = low;
  high.back() = scores[3] - mask.shape().back();  // keys that a short one does not reach
  if (high.back() > 0) mask = graph::pad(mask, low, high, floating ? -infinity : 0);
  if (graph::broadcast_shape(mask.shape(), scores) != scores)
    fail("a mask {} for scores {}", to_string(c[3].shape()), to_string(scores));
  mask = with_rank(mask, 4);
  if (floating)
    bias.added = cast(mask, c[0].type().dtype);
  else
    bias.allow(mask);
}

void add_places(Call& c, Bias& bias, const Places& at) {
  const int64_t left = c.integer("left_window_size", -1), right = c.integer("right_window_size", -1);
  if (left < -1 || right < -1) fail("a window of {} to the left and {} to the right", left, right);
  if (c.integer("is_causal", 0) != 0) bias.allow(negated(less(at.query, at.key)));
  if (left >= 0) bias.allow(negated(less(at.key, at.query - static_cast<double>(left))));
  if (right >= 0) bias.allow(negated(less(at.query + static_cast<double>(right), at.key)));
}

// True for queries, [.., 1], that may attend to nothing.
Var nothing_allowed(const Bias& bias, Var like) {
  Var all = bias.added.valid() ? bias.added : number_like(like, 0);
  if (bias.allowed.valid()) all = select(bias.allowed, all, number_like(like, -infinity));
  const Var most = reduce_kept(all, "max", {std::ssize(all.shape()) - 1});
  return graph::equal(most, number_like(most, -infinity));
}

std::vector<Value> attention(Call& c) {
  Heads x{c[0], c[1], c[2]};
  const bool packed = c.rank(0) == 3;
  if (packed) {
    if (c.rank(1) != 3 || c.rank(2) != 3)
      fail("queries {}, keys {} and values {}", to_string(c[0].shape()), to_string(c[1].shape()),
           to_string(c[2].shape()));
    x = {split_heads(c, 0, "q_num_heads"), split_heads(c, 1, "kv_num_heads"), split_heads(c, 2, "kv_num_heads")};
  }
  if (c.has(4) != c.has(5)) fail("past keys and past values are given together");
  int64_t past = 0;
  if (c.has(4)) {
    if (c.rank(4) != 4) fail("past keys {}", to_string(c[4].shape()));
    past = c[4].shape()[2];
    x.k = concat({c[4], x.k}, 2);
    x.v = concat({c[5], x.v}, 2);
  }
  check(x);
  Var scores = scores_of(c, x);
  const Shape shape = scores.shape();
  const DType dtype = scores.type().dtype;
  const int64_t mode = c.integer("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3) fail("attribute 'qk_matmul_output_mode' is {}", mode);
  std::vector<Var> stages{scores};
  if (const double cap = c.number("softcap", 0); cap != 0) {
    if (!(cap > 0)) fail("attribute 'softcap' is {}", cap);
    scores = apply_named("tanh", {scores / cap}) * cap;
  }
  stages.push_back(scores);

  Bias bias;
  Places at{along(iota(c.graph(), shape[2], DType::i64), 2, 4) + static_cast<double>(past),
            along(iota(c.graph(), shape[3], DType::i64), 3, 4)};
  add_mask(c, bias, shape);
  if (c.has(6)) {
    if (c.has(4)) fail("past keys, and lengths of keys that are filled from outside");
    if (c[6].shape() != Shape{shape[0]}) fail("lengths of keys {}", to_string(c[6].shape()));
    const Var filled = along(cast(c[6], DType::i64), 0, 4);
    at.query = at.query + (filled - static_cast<double>(shape[2]));
    bias.allow(less(at.key, filled));
  }
  // Causality alone leaves every query the first key.
  const bool may_be_empty = c.has(3) || c.has(6) || c.find("left_window_size") || c.find("right_window_size");
  add_places(c, bias, at);
  if (bias.added.valid()) scores = scores + bias.added;
  if (bias.allowed.valid()) scores = select(bias.allowed, scores, number_like(scores, -infinity));
  stages.push_back(scores);

  Var weights = cast(softmax(cast(scores, softmax_dtype(c, dtype)), 3), dtype);
  if (may_be_empty && (bias.added.valid() || bias.allowed.valid()))
    weights = select(nothing_allowed(bias, scores), number_like(weights, 0), weights);
  stages.push_back(weights);

  Var y = cast(grouped(cast(weights, x.v.type().dtype), x.v, false), dtype);
  if (packed) y = reshape(graph::transpose(y, {0, 2, 1, 3}), {shape[0], shape[2], shape[1] * y.shape()[3]});
  return {{y, nullptr}, {x.k, nullptr}, {x.v, nullptr}, {stages[static_cast<size_t>(mode)], nullptr}};
}

// What a graph of the node makes of x, of the same type.
Var modified(Call& c, const char* attribute, Var x) {
  if (!c.find(attribute)) return x;
  const std::vector<Value> out = c.importer().run(c.graph(attribute), {Value{x, nullptr}});
  if (out.size() != 1 || !out[0].var.valid() || !(out[0].var.type() == x.type()))
    fail("attribute '{}' does not give one {}", attribute, to_string(x.type()));
  return out[0].var;
}

std::vector<Value> flex_attention(Call& c) {
  const Heads x{c[0], c[1], c[2]};
  check(x);
  const DType own = x.q.type().dtype, dtype = softmax_dtype(c, own == DType::f64 ? own : DType::f32);
  const Var scores = modified(c, "score_mod", cast(scores_of(c, x), dtype));
  const Var weights = modified(c, "prob_mod", softmax(scores, 3));
  return one(cast(grouped(weights, cast(x.v, dtype), false), x.v.type().dtype));
}

// Pairs of elements turned by the angles of their place (Su et al. 2021).
std::vector<Value> rotary_embedding(Call& c) {
  const Shape given = c[0].shape();
  Var x = c[0];
  int64_t heads_at = 1;
  if (given.size() == 3) {  // [b, t, heads * d]
    const int64_t heads = c.integer("num_heads");
    if (heads < 1 || given[2] % heads != 0) fail("attribute 'num_heads' is {} for {}", heads, to_string(given));
    x = reshape(x, {given[0], given[1], heads, given[2] / heads});
    heads_at = 2;
  }
  const Shape s = x.shape();
  if (s.size() != 4) fail("expected 3 or 4 dimensions, got {}", to_string(given));
  const int64_t wanted = c.integer("rotary_embedding_dim", 0), turned = wanted == 0 ? s[3] : wanted;
  if (turned < 0 || turned > s[3] || turned % 2 != 0)
    fail("attribute 'rotary_embedding_dim' is {} for heads of {}", turned, s[3]);
  const Shape angles{s[0], s[heads_at == 1 ? 2 : 1], turned / 2};
  const auto table = [&](size_t i) {
    Var t = c[i];
    if (c.has(3)) {
      if (c.rank(i) != 2) fail("angles {} for places {}", to_string(t.shape()), to_string(c[3].shape()));
      t = take(t, c[3], 0);
    }
    if (t.shape() != angles) fail("angles {}, expected {}", to_string(t.shape()), to_string(angles));
    return unsqueezed(t, heads_at);
  };
  const Var cosine = table(1), sine = table(2);
  const bool interleaved = c.integer("interleaved", 0) != 0;
  const auto of_pair = [&](int64_t i) {
    return interleaved ? graph::slice(x, 3, i, turned, 2)
                       : graph::slice(x, 3, i * (turned / 2), (i + 1) * (turned / 2));
  };
  const Var a = of_pair(0), b = of_pair(1);
  Var out;
  if (interleaved) {
    out = concat({unsqueezed(cosine * a - sine * b, 4), unsqueezed(sine * a + cosine * b, 4)}, 4);
    out = reshape(out, {s[0], s[1], s[2], turned});
  } else {
    out = concat({cosine * a - sine * b, sine * a + cosine * b}, 3);
  }
  if (turned < s[3]) out = concat({out, graph::slice(x, 3, turned, s[3])}, 3);
  return one(reshape(out, given));
}

constexpr Row rows[] = {
    {"Attention", attention},
    {"RotaryEmbedding", rotary_embedding},
};
constexpr Row preview[] = {
    {"FlexAttention", flex_attention},
};

}  // namespace

std::span<const Row> attention_rows() { return rows; }
std::span<const Row> preview_rows() { return preview; }

}  // namespace gmc::onnx
