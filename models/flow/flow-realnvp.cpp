// RealNVP (Dinh, Sohl-Dickstein & Bengio 2017) on vectors: affine couplings with alternating halves.
#include <gmc/gmc.h>

#include <cmath>
#include <numbers>
using namespace gmc;

struct Config {
  int64_t batch = 128, x = 64, h = 256, layers = 6, accumulate = 1;
  int64_t warmup = 0, decay = 0;                // of the learning rate
  double lr = 1e-3, wd = 0, clip = 0, ema = 0;  // ema: decay of the weights' average; 0: none
  std::vector<double> betas{0.9, 0.999};
  std::string prepare = "pad=32,pool=4,dequantise,range=-2:2";  // of the data
  GMC_FIELDS(batch, x, h, layers, accumulate, warmup, decay, lr, wd, clip, ema, betas, prepare)
};

struct RealNvp {
  std::vector<Sequential> nets;
  GMC_PARTS(nets)

  explicit RealNvp(const Config& c) {
    const int64_t n = c.x / 2;
    for (int64_t i = 0; i < c.layers; ++i)
      nets.emplace_back(Linear(n, c.h), Relu(), Linear(c.h, c.h), Relu(), Linear(c.h, 2 * n));
  }

  // The half that layer i keeps, and the half that it moves; and both put together again.
  static std::pair<Tensor, Tensor> halves(Tensor x, size_t i) {
    const auto half = chunk(x, 2, 1);
    return {half[i % 2], half[1 - i % 2]};
  }
  static Tensor whole(Tensor kept, Tensor moved, size_t i) {
    return i % 2 == 0 ? concat({kept, moved}, 1) : concat({moved, kept}, 1);
  }
  // Log-scale and shift of what is moved.
  std::pair<Tensor, Tensor> coupling(Tensor kept, size_t i) const {
    const auto st = chunk(nets[i](kept), 2, 1);
    return {tanh(st[0]), st[1]};
  }

  // What x is in the space of the normal distribution, and the logarithm of the determinant, per sample.
  std::pair<Tensor, Tensor> operator()(Tensor x) const {
    Tensor logdet = full({x.dim(0)}, 0);
    for (size_t i = 0; i < nets.size(); ++i) {
      auto [kept, moved] = halves(x, i);
      auto [s, t] = coupling(kept, i);
      x = whole(kept, moved * exp(s) + t, i);
      logdet = logdet + sum(s, {1});
    }
    return {x, logdet};
  }
  Tensor log_likelihood(Tensor x) const {  // [batch], nats
    auto [z, logdet] = (*this)(x);
    return -0.5 * sum(square(z) + std::log(2 * std::numbers::pi), {1}) + logdet;
  }
  Tensor loss(Tensor x) const {  // negative log-likelihood, bits per dimension
    return -mean(log_likelihood(x)) / (static_cast<double>(x.dim(1)) * std::numbers::ln2);
  }

  Tensor inverse(Tensor x) const {
    for (size_t i = nets.size(); i-- > 0;) {
      auto [kept, moved] = halves(x, i);
      auto [s, t] = coupling(kept, i);
      x = whole(kept, (moved - t) * exp(-s), i);
    }
    return x;
  }
};

GMC_MODEL("flow-realnvp", Config,
          {{"tiny", {}},
           {"base", {.batch = 1024, .x = 784, .h = 1024, .layers = 8, .prepare = "dequantise,range=-2:2"}}})
(Program& p, const Config& c) {
  RealNvp net(c), smooth(c);
  p.state(net);
  if (c.ema > 0) {
    as_average(smooth);
    p.state(smooth, "ema");
  }

  p.entry("step", [&] {
    Tensor loss = net.loss(input("x", f32, {c.batch, c.x}));
    minimize(loss, parameters(net),
             Adam{.lr = schedule::planned(c.lr, {c.warmup, c.decay}),
                  .betas = c.betas,
                  .weight_decay = c.wd,
                  .clip = c.clip,
                  .accumulate = c.accumulate});
    if (c.ema > 0) ema(smooth, net, c.ema);
    output("loss", loss);
  });
  p.entry("eval", [&] { output("loss", net.loss(input("x", f32, {c.batch, c.x}))); });
  p.entry("density", [&] { output("log_likelihood", net.log_likelihood(input("x", f32, {c.batch, c.x}))); });
  p.entry("encode", [&] { output("code", net(input("x", f32, {c.batch, c.x})).first); });
  p.entry("decode", [&] { output("samples", net.inverse(input("z", f32, {c.batch, c.x}))); });
  p.entry("sample", [&] { output("samples", net.inverse(normal("z", {64, c.x}))); });
}
