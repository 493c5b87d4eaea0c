// A character-level recurrent network (Karpathy 2015; Graves 2013): an embedding, layers of LSTM, a softmax.
#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 32, t = 64, vocab = 65, d = 128, layers = 2, gen = 64;
  int64_t accumulate = 1, warmup = 0, decay = 0, top_k = 0;
  double lr = 2e-3, floor = 0, wd = 0, clip = 5, temperature = 1, top_p = 1;
  std::vector<double> betas{0.9, 0.999};
  GMC_FIELDS(batch, t, vocab, d, layers, gen, accumulate, warmup, decay, top_k, lr, floor, wd, clip, temperature, top_p,
             betas)
};

struct CharLstm {
  Embedding emb;
  Lstm rnn;
  Linear head;
  GMC_PARTS(emb, rnn, head)

  explicit CharLstm(const Config& c) : emb(c.vocab, c.d), rnn(c.d, c.d, c.layers), head(c.d, c.vocab) {}

  Tensor loss(Tensor ids, Tensor targets) const {  // nats per token
    return cross_entropy(flatten(head(rnn(emb(ids))), 0, 1), flatten(targets));
  }

  // One symbol a trip.
  template <class Next>
  Tensor write(Tensor first, int64_t n, Next next) const {
    auto begin = rnn.begin(1);
    return loop(n, carry(first, begin.h, begin.c),
                [&](Tensor i, Tensor symbol, Tensor h, Tensor c) {
                  auto [y, state] = rnn.step(emb(symbol), {h, c});
                  return carry(next(i, head(y)), state.h, state.c);
                })
        .template collect<0>()[0];
  }
};

GMC_MODEL("ar-lstm", Config, {{"tiny", {}}, {"base", {.batch = 128, .t = 128, .d = 512, .gen = 256}}})
(Program& p, const Config& c) { language_model(p, CharLstm(c), c); }
