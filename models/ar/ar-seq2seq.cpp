// The encoder-decoder Transformer (Vaswani et al. 2017): post-norm layers, ReLU, sinusoidal positions, label smoothing.
#include <gmc/gmc.h>

#include <cmath>
#include <limits>
using namespace gmc;

struct Config {
  int64_t batch = 16, t = 32, vocab = 128, d = 128, heads = 4, layers = 2, ff = 512, gen = 32;
  int64_t start = 0, beam = 1, accumulate = 1, warmup = 0, decay = 0;
  double lr = 5e-4, floor = 0, smoothing = 0.1, wd = 0, clip = 0;
  std::vector<double> betas{0.9, 0.98};
  GMC_FIELDS(batch, t, vocab, d, heads, layers, ff, gen, start, beam, accumulate, warmup, decay, lr, floor, smoothing,
             wd, clip, betas)
};

struct EncoderLayer {
  MultiheadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  GMC_PARTS(self_attn, linear1, linear2, norm1, norm2)

  explicit EncoderLayer(const Config& c)
      : self_attn(c.d, c.heads), linear1(c.d, c.ff), linear2(c.ff, c.d), norm1(c.d), norm2(c.d) {}

  Tensor operator()(Tensor x) const {
    x = norm1(x + self_attn(x));
    return norm2(x + linear2(relu(linear1(x))));
  }
};

struct DecoderLayer {
  MultiheadAttention self_attn, multihead_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2, norm3;
  GMC_PARTS(self_attn, multihead_attn, linear1, linear2, norm1, norm2, norm3)

  explicit DecoderLayer(const Config& c)
      : self_attn(c.d, c.heads), multihead_attn(c.d, c.heads), linear1(c.d, c.ff), linear2(c.ff, c.d), norm1(c.d),
        norm2(c.d), norm3(c.d) {}

  // What follows on self-attention's result y.
  Tensor rest(Tensor x, Tensor y, const KeysValues& memory) const {
    x = norm1(x + y);
    x = norm2(x + multihead_attn.attend(x, memory));
    return norm3(x + linear2(relu(linear1(x))));
  }
  Tensor operator()(Tensor x, Tensor memory) const {
    return rest(x, self_attn(x, true), multihead_attn.keys_values(memory));
  }
};

template <class Layer>
struct Stack {
  std::vector<Layer> layers;
  LayerNorm norm;
  GMC_PARTS(layers, norm)

  explicit Stack(const Config& c) : norm(c.d) {
    for (int64_t i = 0; i < c.layers; ++i) layers.emplace_back(c);
  }
};

struct Core {
  Stack<EncoderLayer> encoder;
  Stack<DecoderLayer> decoder;
  GMC_PARTS(encoder, decoder)

  explicit Core(const Config& c) : encoder(c), decoder(c) {
    init::matrices(*this, [](const Shape& s) { return init::xavier_uniform(s); });
  }
};

struct Seq2Seq {
  Embedding src, tgt;
  Core core;
  Linear head;
  GMC_PARTS(src, tgt, core, head)

  explicit Seq2Seq(const Config& c) : src(c.vocab, c.d), tgt(c.vocab, c.d), core(c), head(c.d, c.vocab) {}

  // sin and cos of places [t] at wavelengths 2 pi to 10000 2 pi, by turns: [t, d].
  static Tensor positions(Tensor places, int64_t d) {
    std::vector<double> rates;
    for (int64_t i = 0; i < d; i += 2)
      rates.push_back(std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(d)));
    Tensor angles = cast(expand_dims(places, -1), f64) * table(rates, {d / 2}, f64);
    return cast(flatten(stack({sin(angles), cos(angles)}, -1), -2), f32);
  }
  // Tokens [n, t] at places [t]: [n, t, d].
  static Tensor embed(const Embedding& table, Tensor ids, Tensor places) {
    const int64_t d = table.weight.shape()[1];
    return table(ids) * std::sqrt(static_cast<double>(d)) + positions(places, d);
  }

  Tensor encode(Tensor ids) const {
    Tensor x = embed(src, ids, arange(ids.dim(1)));
    for (const EncoderLayer& layer : core.encoder.layers) x = layer(x);
    return core.encoder.norm(x);
  }

  // Scores of what follows each of ids [n, t], which is the targets' beginning: [n t, vocab].
  Tensor scores(Tensor from, Tensor ids) const {
    Tensor memory = encode(from), x = embed(tgt, ids, arange(ids.dim(1)));
    for (const DecoderLayer& layer : core.decoder.layers) x = layer(x, memory);
    return flatten(head(core.decoder.norm(x)), 0, 1);
  }

  // The likeliest text for from [1, t], [1, gen] with the symbol `start` in front: by taking the likeliest symbol again
  // and again, or by beam search, which goes on with the `beam` likeliest texts. A trip decodes one symbol, with a
  // cache of keys and values [beam, heads, gen, d / heads] per layer.
  Tensor decode(Tensor from, const Config& c) const {
    if (c.beam < 1) fail_at(from, "beam=" + std::to_string(c.beam) + ": expected at least 1");
    if (c.start < 0 || c.start >= c.vocab)
      fail_at(from, "start=" + std::to_string(c.start) + ": expected 0 to " + std::to_string(c.vocab - 1));
    const bool greedy = c.beam == 1;
    const auto start = static_cast<double>(c.start);
    Tensor memory = encode(from);
    std::vector<KeysValues> memories;
    for (const DecoderLayer& layer : core.decoder.layers) {
      KeysValues kv = layer.multihead_attn.keys_values(memory);
      const Shape all{c.beam, c.heads, from.dim(1), c.d / c.heads};
      memories.push_back(greedy ? kv : KeysValues{broadcast_to(kv.keys, all), broadcast_to(kv.values, all)});
    }
    Tensor zeros = full({c.beam, c.heads, c.gen, c.d / c.heads}, 0);
    std::vector<Tensor> carries(1 + 2 * memories.size(), zeros);
    carries[0] = full({c.beam, 1}, start, i64);
    const size_t texts = carries.size(), logs = texts + 1;  // of a beam: [beam, gen - 1] and [beam]
    if (!greedy) {
      carries.push_back(full({c.beam, c.gen - 1}, 0, i64));
      // One text, and places for more.
      carries.push_back(select(equal(arange(c.beam), 0), full({c.beam}, 0), -std::numeric_limits<double>::infinity()));
    }
    auto step = [&](Tensor i, std::vector<Tensor> carry) {
      Tensor now = expand_dims(equal(arange(c.gen), i), -1), past = less_equal(arange(c.gen), i);
      Tensor x = embed(tgt, carry[0], reshape(i, {1}));
      for (size_t l = 0; l < memories.size(); ++l) {
        const DecoderLayer& layer = core.decoder.layers[l];
        KeysValues own = layer.self_attn.keys_values(x), all{carry[1 + 2 * l], carry[2 + 2 * l]};
        all = {select(now, own.keys, all.keys), select(now, own.values, all.values)};
        x = layer.rest(x, layer.self_attn.attend(x, all, past), memories[l]);
        carry[1 + 2 * l] = all.keys, carry[2 + 2 * l] = all.values;
      }
      Tensor scores = head(core.decoder.norm(x));
      if (greedy) {
        carry[0] = argmax(scores);
        return carry;
      }
      Beams best = best_continuations(carry[logs], log_softmax(reshape(scores, {c.beam, c.vocab})));
      for (size_t k = 1; k <= texts; ++k) carry[k] = take(carry[k], best.parents);
      carry[0] = reshape(best.symbols, {c.beam, 1});
      carry[texts] = select(equal(arange(c.gen - 1), i), carry[0], carry[texts]);
      carry[logs] = best.scores;
      return carry;
    };
    std::vector<Tensor> ends = loop(c.gen - 1, carries, step, greedy ? std::vector<size_t>{0} : std::vector<size_t>{});
    Tensor text = greedy ? reshape(ends[0], {1, c.gen - 1}) : slice(ends[texts], 0, 0, 1);
    return concat({full({1, 1}, start, i64), text}, 1);
  }
};

GMC_MODEL("ar-seq2seq", Config,
          {{"tiny", {}},
           {"base", {.batch = 64, .t = 128, .vocab = 8192, .d = 512, .heads = 8, .layers = 6, .ff = 2048, .gen = 64}}})
(Program& p, const Config& c) {
  Seq2Seq net(c);
  p.state(net);

  const Shape shape{c.batch, c.t};
  auto batch = [&] {
    Tensor scores = net.scores(input("src", i64, shape), input("ids", i64, shape));
    return std::pair{scores, flatten(input("targets", i64, shape))};
  };
  p.entry("step", [&] {
    auto [scores, targets] = batch();
    Tensor loss = cross_entropy(scores, targets, {.label_smoothing = c.smoothing});
    minimize(loss, parameters(net),
             Adam{.lr = schedule::planned(c.lr, {c.warmup, c.decay, c.floor}),
                  .betas = c.betas,
                  .weight_decay = c.wd,
                  .clip = c.clip,
                  .accumulate = c.accumulate});
    output("loss", loss);
  });
  p.entry("eval", [&] {
    auto [scores, targets] = batch();
    output("loss", cross_entropy(scores, targets, {.label_smoothing = c.smoothing}));  // nats per symbol, smoothed
    output("nll", cross_entropy(scores, targets));
    // Texts that greedy decoding gets right to the last symbol: those of which every symbol is the likeliest after the
    // right ones before it.
    Tensor right = reshape(equal(argmax(scores), targets), shape);
    output("exact", mean(cast(all(right, {1}), f32)));
  });
  p.entry("sample", [&] { output("samples", net.decode(randint("src", {1, c.t}, 0, c.vocab), c)); });
  p.entry("continue", [&] { output("samples", net.decode(input("prompt", i64, {1, c.t}), c)); });
}
