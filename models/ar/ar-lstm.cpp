// A character-level recurrent network (Karpathy 2015; Graves 2013): an embedding, layers of LSTM, a softmax.
#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 32, t = 64, vocab = 65, d = 128, layers = 2, gen = 64;
  double lr = 2e-3, wd = 0, clip = 5;
  std::vector<double> betas{0.9, 0.999};
  GMC_FIELDS(batch, t, vocab, d, layers, gen, lr, wd, clip, betas)
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

  // Ancestral sampling: [1] -> [gen, 1], one token a trip.
  Tensor sample(Tensor first, int64_t gen) const {
    auto begin = rnn.begin(1);
    return loop(gen, carry(first, begin.h, begin.c),
                [&](Tensor token, Tensor h, Tensor c) {
                  auto [y, next] = rnn.step(emb(token), {h, c});
                  return carry(inverse_cdf(softmax(head(y)), uniform("u", {1})), next.h, next.c);
                })
        .collect<0>()[0];
  }
};

GMC_MODEL("ar-lstm", Config, {{"tiny", {}}, {"base", {.batch = 128, .t = 128, .d = 512, .gen = 256}}})
(Program& p, const Config& c) {
  CharLstm net(c);
  p.state(net);

  p.entry("step", [&] {
    Tensor loss = net.loss(input("ids", i64, {c.batch, c.t}), input("targets", i64, {c.batch, c.t}));
    minimize(loss, parameters(net), Adam{.lr = c.lr, .betas = c.betas, .weight_decay = c.wd, .clip = c.clip});
    output("loss", loss);
  });
  p.entry("eval",
          [&] { output("loss", net.loss(input("ids", i64, {c.batch, c.t}), input("targets", i64, {c.batch, c.t}))); });
  p.entry("sample", [&] {
    Tensor first = randint("ids", {1, 1}, 0, c.vocab);
    output("samples", reshape(net.sample(reshape(first, {1}), c.gen), {1, c.gen}));
  });
}
