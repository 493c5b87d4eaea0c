// What models of texts have in common: how they are trained, measured, and made to write.
#pragma once

#include "compiler/dsl/program.h"
#include "models/nn/optimizer.h"
#include "models/nn/sampler.h"
#include "models/nn/schedule.h"
#include "ops/ops.h"

namespace gmc {

// Declares the state and the entries of `net`, which has
//   Tensor loss(Tensor ids, Tensor targets)     nats per symbol; i64 [batch, t], the second one symbol later
//   Tensor write(Tensor first, int64_t n, next)  a loop of n trips, from the symbol first [1]: i64 [n, 1]. Trip i ends
//                                               with the symbol next(i, scores [1, vocab]), [1]
// The configuration has batch, t, vocab, gen; lr, warmup, decay, floor (schedule.h), betas, wd, clip, accumulate
// (optimizer.h); temperature, top_k, top_p (sampler.h).
//   step, eval  `ids`, `targets` -> `loss`
//   sample      draw `ids` [1, 1]: the first symbol -> `samples` [1, gen]: those after it
//   continue    `prompt` [1, gen], of which the first `length` [1] (at least 1) count -> `samples` [1, gen]: from the
//               second symbol on, the rest of the prompt and what follows it
template <class Net, class Config>
void language_model(Program& p, const Net& net, const Config& c) {
  p.state(net);

  const auto loss = [&] { return net.loss(input("ids", i64, {c.batch, c.t}), input("targets", i64, {c.batch, c.t})); };
  p.entry("step", [&] {
    Tensor l = loss();
    minimize(l, parameters(net),
             Adam{.lr = schedule::planned(c.lr, {c.warmup, c.decay, c.floor}),
                  .betas = c.betas,
                  .weight_decay = c.wd,
                  .clip = c.clip,
                  .accumulate = c.accumulate});
    output("loss", l);
  });
  p.entry("eval", [&] { output("loss", loss()); });

  const Sampling how{c.temperature, c.top_k, c.top_p};
  p.entry("sample", [&] {
    Tensor first = randint("ids", {1, 1}, 0, c.vocab);
    Tensor text =
        net.write(reshape(first, {1}), c.gen, [&](Tensor, Tensor scores) { return next_symbol(scores, how); });
    output("samples", reshape(text, {1, c.gen}));
  });
  p.entry("continue", [&] {
    Tensor prompt = reshape(input("prompt", i64, {1, c.gen}), {c.gen}), length = input("length", i64, {1});
    Tensor text = net.write(slice(prompt, 0, 0, 1), c.gen, [&](Tensor i, Tensor scores) {
      Tensor given = take(prompt, reshape(i + 1, {1}));  // the last one again behind the end, where it is not read
      return select(less(i + 1, length), given, next_symbol(scores, how));
    });
    output("samples", reshape(text, {1, c.gen}));
  });
}

}  // namespace gmc
