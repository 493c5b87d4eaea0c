// GPT-2 (Radford et al. 2019): pre-norm Transformer blocks, learned positions, a head tied to the embedding.
#include <gmc/gmc.h>

#include <cmath>

#include "runtime/base/error.h"
using namespace gmc;

struct Config {
  int64_t batch = 12, t = 64, vocab = 65, d = 128, layers = 4, heads = 4, gen = 64;
  int64_t accumulate = 1, warmup = 0, decay = 0, top_k = 0;
  double lr = 1e-3, floor = 0, wd = 0.1, clip = 1, temperature = 1, top_p = 1;
  std::vector<double> betas{0.9, 0.99};
  GMC_FIELDS(batch, t, vocab, d, layers, heads, gen, accumulate, warmup, decay, top_k, lr, floor, wd, clip, temperature,
             top_p, betas)
};

struct Block {
  int64_t heads;
  LayerNorm ln_1;
  Linear attn, proj;
  LayerNorm ln_2;
  Linear fc, fc_proj;
  GMC_PARTS(ln_1, attn, proj, ln_2, fc, fc_proj)

  explicit Block(const Config& c)
      : heads(c.heads), ln_1(c.d), attn(c.d, 3 * c.d), proj(c.d, c.d), ln_2(c.d), fc(c.d, 4 * c.d),
        fc_proj(4 * c.d, c.d) {}

  // Queries, keys and values of x [b, t, d]: [b, heads, t, d / heads] each.
  std::vector<Tensor> qkv(Tensor x) const {
    std::vector<Tensor> parts = chunk(attn(ln_1(x)), 3, 2);
    for (Tensor& y : parts) y = transpose(reshape(y, {x.dim(0), x.dim(1), heads, -1}), {0, 2, 1, 3});
    return parts;
  }
  // What follows on attention's result y.
  Tensor rest(Tensor x, Tensor y) const {
    x = x + proj(reshape(transpose(y, {0, 2, 1, 3}), x.shape()));
    return x + fc_proj(gelu_tanh(fc(ln_2(x))));
  }
  Tensor operator()(Tensor x) const {
    auto p = qkv(x);
    return rest(x, attention(p[0], p[1], p[2], {.causal = true}));
  }
};

struct Gpt {
  Embedding wte, wpe;
  std::vector<Block> h;
  LayerNorm ln_f;
  GMC_PARTS(wte, wpe, h, ln_f)

  explicit Gpt(const Config& c) : wte(c.vocab, c.d), wpe(c.t, c.d), h(), ln_f(c.d) {
    for (int64_t i = 0; i < c.layers; ++i) h.emplace_back(c);
    init::matrices(*this, [](const Shape&) { return init::normal(0, 0.02); });
  }

  // Scores of the next token: x [b, t, d] -> [b t, vocab].
  Tensor head(Tensor x) const { return matmul(reshape(ln_f(x), {-1, x.dim(2)}), wte.weight, false, true); }

  Tensor loss(Tensor ids, Tensor targets) const {  // nats per token
    Tensor x = wte(ids) + wpe(arange(ids.dim(1)));
    for (const Block& block : h) x = block(x);
    return cross_entropy(head(x), flatten(targets));
  }

  // One symbol a trip, with a cache of keys and values [1, heads, n, d / heads] per block.
  template <class Next>
  Tensor write(Tensor first, int64_t n, Next next) const {
    const int64_t places = wpe.weight.shape()[0], d = wpe.weight.shape()[1], heads = h[0].heads;
    if (n > places)
      fail_at(first, "gen=" + std::to_string(n) + ": there are " + std::to_string(places) + " places (t)");
    std::vector<Tensor> carries(1 + 2 * h.size(), full({1, heads, n, d / heads}, 0));
    carries[0] = first;
    return loop(n, carries,
                [&](Tensor i, std::vector<Tensor> carry) {
                  Tensor now = equal(arange(n), i), past = less_equal(arange(n), i);
                  Tensor x = reshape(wte(carry[0]) + wpe(i), {1, 1, d});
                  for (size_t l = 0; l < h.size(); ++l) {
                    auto p = h[l].qkv(x);
                    Tensor& k = carry[1 + 2 * l];
                    Tensor& v = carry[2 + 2 * l];
                    k = select(expand_dims(now, -1), p[1], k);
                    v = select(expand_dims(now, -1), p[2], v);
                    x = h[l].rest(x, attention(p[0], k, v, past));
                  }
                  carry[0] = next(i, head(x));
                  return carry;
                },
                {0})[0];
  }
};

GMC_MODEL("ar-gpt", Config,
          {{"tiny", {}},
           {"base", {.batch = 64, .t = 256, .d = 384, .layers = 6, .heads = 6, .gen = 256}},
           {"gpt2",
            {.batch = 8,
             .t = 1024,
             .vocab = 50257,
             .d = 768,
             .layers = 12,
             .heads = 12,
             .gen = 256,
             .lr = 6e-4,
             .betas = {0.9, 0.95}}}})
(Program& p, const Config& c) {
  if (c.layers < 1 || c.heads < 1 || c.d < 1) fail("layers, heads and d: expected at least 1");
  language_model(p, Gpt(c), c);
}
