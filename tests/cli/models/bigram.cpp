// A table of what follows what: the smallest model of text.
#include <gmc/gmc.h>
using namespace gmc;
struct Config {
  int64_t batch = 8, t = 16, vocab = 20, gen = 12;
  double lr = 0.05;
  GMC_FIELDS(batch, t, vocab, gen, lr)
};
struct Net {
  Parameter next;
  GMC_PARTS(next)
  explicit Net(const Config& c) : next({c.vocab, c.vocab}, init::zeros()) {}
  Tensor loss(Tensor ids, Tensor targets) const {
    return cross_entropy(reshape(embedding(ids, next), {-1, next.shape()[1]}), reshape(targets, {-1}));
  }
};
GMC_MODEL("bigram", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  Net net(c);
  p.state(net);
  p.entry("step", [&] {
    Tensor loss = net.loss(input("ids", i64, {c.batch, c.t}), input("targets", i64, {c.batch, c.t}));
    minimize(loss, parameters(net), Adam{.lr = c.lr});
    output("loss", loss);
  });
  p.entry("eval",
          [&] { output("loss", net.loss(input("ids", i64, {c.batch, c.t}), input("targets", i64, {c.batch, c.t}))); });
  p.entry("sample", [&] {
    Tensor first = cast(floor(uniform("first", {1}) * static_cast<double>(c.vocab)), i64);
    auto [tokens] = loop(c.gen, carry(first), [&](Tensor, Tensor token) {
                      Tensor p = softmax(embedding(token, net.next));
                      Tensor next = sum(cast(less(cumsum(p), uniform("u", {1, 1})), i64), {-1});
                      return carry(minimum(next, c.vocab - 1));
                    }).collect<0>();
    output("samples", reshape(tokens, {1, c.gen}));
  });
}
