// Attention and rotary positions.
#include "ops/rules.h"

namespace gmc::ops {
namespace {

Attributes attending(bool causal) { return {{"causal", causal}, {"scale", 0.6}}; }

// [b, h, ..] -> [b, h * times, ..], each head repeated.
Var repeat_heads(Var x, int64_t times) {
  if (times == 1) return x;
  Shape apart = x.shape(), to = x.shape();
  apart.insert(apart.begin() + 2, times);
  to[1] *= times;
  return reshape(broadcast(x, apart, {0, 1, 3, 4}), to);
}

}  // namespace

// softmax(q k^T scale + mask) v (Vaswani et al. 2017): q [b, h, t, d], k [b, g, s, d], v [b, g, s, e], result [b, h, t,
// e]. g divides h: each head of k and v serves h / g heads of q. The mask is optional: what broadcasts to [b, h, t, s],
// added if floating, or bool, true where attention is allowed. `causal`: place i attends to places up to i. A row that
// may attend to nothing is NaN.
const OpDef attention_op{
    .name = "attention",
    .category = Category::composite,
    .arity = -1,
    .infer = [](Types t, const Attributes& a) -> Results {
      if (t.size() < 3 || t.size() > 4) fail("expected 3 to 4 operands, got {}", t.size());
      get<double>(a, "scale");
      check_same_dtype(t.first(3));
      for (const TensorType& x : t.first(3)) check_rank(x, 4);
      const Shape &q = t[0].shape, &k = t[1].shape, &v = t[2].shape;
      if (q[0] != k[0] || q[3] != k[3]) fail("queries {} and keys {} do not fit", to_string(q), to_string(k));
      if (v[0] != k[0] || v[1] != k[1] || v[2] != k[2])
        fail("keys {} and values {} do not fit", to_string(k), to_string(v));
      if (k[1] < 1 || q[1] % k[1] != 0) fail("{} heads of keys do not divide {} of queries", k[1], q[1]);
      if (t.size() == 4) {
        if (t[3].dtype != boolean && t[3].dtype != t[0].dtype)
          fail("expected a mask of bool or {}, got {}", name_of(t[0].dtype), name_of(t[3].dtype));
        const Shape scores{q[0], q[1], q[2], k[2]};
        if (broadcast_shape(t[3].shape, scores) != scores)
          fail("the mask {} does not broadcast to {}", to_string(t[3].shape), to_string(scores));
      }
      return {TensorType{t[0].dtype, {q[0], q[1], q[2], v[3]}}};
    },
    .expand =
        [](Graph& g, const Node& n, Operands x) {
          const int64_t times = x[0].shape()[1] / x[1].shape()[1];
          Var scores = matmul(x[0], repeat_heads(x[1], times), false, true) * n.number("scale");
          const Shape shape = scores.shape();
          const Var never = number(scores, -infinity);
          if (x.size() == 4) scores = x[3].type().dtype == boolean ? select(x[3], scores, never) : scores + x[3];
          if (n.flag("causal"))
            scores = select(less(index(g, 2, {i32, shape}), index(g, 3, {i32, shape})), never, scores);
          const Var weights = apply(softmax_op, {scores}, {{"axis", int64_t{3}}});
          return Vars{matmul(weights, repeat_heads(x[2], times))};
        },
    .cost = 1000,
    .samples =
        [] {
          return std::vector<Sample>{
              {{{f32, {1, 2, 3, 2}}, {f32, {1, 2, 5, 2}}, {f32, {1, 2, 5, 3}}}, attending(false)},
              {{{f32, {2, 2, 3, 2}}, {f32, {2, 1, 3, 2}}, {f32, {2, 1, 3, 2}}}, attending(true)},
              {{{f32, {1, 2, 3, 2}}, {f32, {1, 1, 4, 2}}, {f32, {1, 1, 4, 1}}, {f32, {3, 4}}}, attending(false)},
              {{{f32, {1, 1, 1, 1}}, {f32, {1, 1, 1, 1}}, {f32, {1, 1, 1, 1}}}, attending(true)},
              {{{f32, {0, 1, 2, 2}}, {f32, {0, 1, 3, 2}}, {f32, {0, 1, 3, 2}}}, attending(false)}};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {1, 2, 3, 2}}, {f32, {1, 2, 5, 3}}, {f32, {1, 2, 5, 3}}},
               attending(false),
               "queries [1, 2, 3, 2] and keys [1, 2, 5, 3] do not fit"},
              {{{f32, {1, 3, 3, 2}}, {f32, {1, 2, 5, 2}}, {f32, {1, 2, 5, 3}}},
               attending(false),
               "2 heads of keys do not divide 3 of queries"},
              {{{f32, {1, 2, 3, 2}}, {f32, {1, 2, 5, 2}}, {f32, {1, 2, 4, 3}}},
               attending(false),
               "keys [1, 2, 5, 2] and values [1, 2, 4, 3] do not fit"},
              {{{f32, {1, 1, 3, 2}}, {f32, {1, 1, 5, 2}}, {f32, {1, 1, 5, 2}}, {f32, {2, 3, 5}}},
               attending(false),
               "the mask [2, 3, 5] does not broadcast to [1, 1, 3, 5]"}};
        }};

// Rotary positions (Su et al. 2021): pairs of elements of the last dimension of x [.., t, d] turned by angles given as
// cosines and sines [t, d / 2]. A pair is (i, i + d / 2), or (2 i, 2 i + 1) with flag `interleaved`.
const OpDef rotary_op{
    .name = "rotary",
    .category = Category::composite,
    .arity = 3,
    .infer = [](Types t, const Attributes&) -> Results {
      check_same_dtype(t);
      const Shape& x = t[0].shape;
      if (x.size() < 2 || x.back() % 2 != 0) fail("expected [.., t, an even number], got {}", to_string(x));
      const Shape angles{x[x.size() - 2], x.back() / 2};
      for (const TensorType& table : t.subspan(1))
        if (table.shape != angles)
          fail("expected angles of shape {}, got {}", to_string(angles), to_string(table.shape));
      return {t[0]};
    },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const Shape shape = x[0].shape();
          const auto rank = std::ssize(shape);
          const bool interleaved = n.flag("interleaved");
          // The pairs as [.., 2, d / 2] or [.., d / 2, 2].
          Shape pairs = shape, one = shape;
          one.back() /= 2;
          pairs.back() = interleaved ? shape.back() / 2 : 2;
          pairs.push_back(interleaved ? 2 : shape.back() / 2);
          const int64_t axis = interleaved ? rank : rank - 1;
          const Var p = reshape(x[0], pairs);
          const Var a = reshape(slice(p, axis, 0, 1), one), b = reshape(slice(p, axis, 1, 2), one);
          const Shape row = with_extent(pairs, axis, 1);
          const Var turned = apply(concat_op, {reshape(a * x[1] - b * x[2], row), reshape(a * x[2] + b * x[1], row)},
                                   {{"axis", axis}});
          return Vars{reshape(turned, shape)};
        },
    .samples =
        [] {
          const auto with = [](Shape x, bool interleaved) {
            const TensorType angles{f32, {x[x.size() - 2], x.back() / 2}};
            return Sample{{{f32, std::move(x)}, angles, angles}, {{"interleaved", interleaved}}};
          };
          return std::vector<Sample>{with({3, 4}, false), with({2, 3, 6}, true), with({1, 2, 5, 2}, false),
                                     with({0, 2}, false), with({1, 2}, true)};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {3, 5}}, {f32, {3, 2}}, {f32, {3, 2}}}, {}, "expected [.., t, an even number], got [3, 5]"},
              {{{f32, {3, 4}}, {f32, {2, 2}}, {f32, {3, 2}}}, {}, "expected angles of shape [3, 2], got [2, 2]"},
              {{{f32, {3, 4}}, {f64, {3, 2}}, {f32, {3, 2}}}, {}, "expected operands of one dtype, got f32 and f64"}};
        }};

}  // namespace gmc::ops
