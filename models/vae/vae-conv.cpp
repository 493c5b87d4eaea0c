// A convolutional variational autoencoder on 32 x 32 images: Gaussian likelihood of unit variance, analytic KL (Kingma
// & Welling 2014).
#include <gmc/gmc.h>

#include <cmath>
#include <numbers>
using namespace gmc;

struct Config {
  int64_t batch = 64, ch = 1, c = 32, z = 64, accumulate = 1;
  int64_t warmup = 0, decay = 0;                // of the learning rate
  double lr = 1e-3, wd = 0, clip = 0, ema = 0;  // ema: decay of the weights' average; 0: none
  std::vector<double> betas{0.9, 0.999};
  std::string prepare = "pad=32";  // of the data
  GMC_FIELDS(batch, ch, c, z, accumulate, warmup, decay, lr, wd, clip, ema, betas, prepare)
};

// Half and twice the height and width.
Conv2d down(int64_t in, int64_t out) { return Conv2d(in, out, 4, {.step = 2, .padding = 1}); }
ConvTranspose2d up(int64_t in, int64_t out) { return ConvTranspose2d(in, out, 4, {.step = 2, .padding = 1}); }

struct Vae {
  int64_t c;
  Sequential enc;
  Linear to_z, from_z;
  Sequential dec;
  GMC_PARTS(enc, to_z, from_z, dec)

  explicit Vae(const Config& config)
      : c(config.c), enc(down(config.ch, c), Silu(), down(c, 2 * c), Silu(), down(2 * c, 4 * c), Silu(), Flatten()),
        to_z(4 * c * 16, 2 * config.z), from_z(config.z, 4 * c * 16),
        dec(Silu(), up(4 * c, 2 * c), Silu(), up(2 * c, c), Silu(), up(c, config.ch)) {}

  Tensor mean(Tensor x) const { return chunk(to_z(enc(x)), 2, 1)[0]; }  // of the code
  Tensor decode(Tensor z) const { return dec(reshape(from_z(z), {z.dim(0), 4 * c, 4, 4})); }

  Tensor loss(Tensor x) const {  // negative ELBO, nats per image but for a constant
    auto moments = chunk(to_z(enc(x)), 2, 1);
    Tensor m = moments[0], lv = moments[1];
    Tensor z = m + normal("eps", m.shape()) * exp(0.5 * lv);
    Tensor kl = -0.5 * sum(1 + lv - square(m) - exp(lv));
    return (0.5 * sum(square(decode(z) - x)) + kl) / x.dim(0);
  }

  // log p(x, z) / q(z | x) of one z of q for each image, in nats, the constant included (Burda, Grosse & Salakhutdinov
  // 2016, equation 8).
  Tensor log_weight(Tensor x) const {
    auto moments = chunk(to_z(enc(x)), 2, 1);
    Tensor m = moments[0], lv = moments[1], e = normal("eps", m.shape());
    Tensor z = m + e * exp(0.5 * lv);
    Tensor log_likelihood = -0.5 * sum(square(decode(z) - x) + std::log(2 * std::numbers::pi), {1, 2, 3});
    return log_likelihood + 0.5 * sum(square(e) + lv - square(z), {1});
  }
};

GMC_MODEL("vae-conv", Config, {{"tiny", {}}, {"base", {.batch = 256, .ch = 3, .c = 64, .z = 128}}})
(Program& p, const Config& c) {
  Vae net(c), smooth(c);
  p.state(net);
  if (c.ema > 0) {
    as_average(smooth);
    p.state(smooth, "ema");
  }

  p.entry("step", [&] {
    Tensor loss = net.loss(input("x", f32, {c.batch, c.ch, 32, 32}));
    minimize(loss, parameters(net),
             Adam{.lr = schedule::planned(c.lr, {c.warmup, c.decay}),
                  .betas = c.betas,
                  .weight_decay = c.wd,
                  .clip = c.clip,
                  .accumulate = c.accumulate});
    if (c.ema > 0) ema(smooth, net, c.ema);
    output("loss", loss);
  });
  p.entry("eval", [&] { output("loss", net.loss(input("x", f32, {c.batch, c.ch, 32, 32}))); });
  p.entry("log_weight", [&] { output("log_weight", net.log_weight(input("x", f32, {c.batch, c.ch, 32, 32}))); });
  p.entry("encode", [&] { output("code", net.mean(input("x", f32, {c.batch, c.ch, 32, 32}))); });
  p.entry("decode", [&] { output("samples", net.decode(input("z", f32, {c.batch, c.z}))); });
  p.entry("reconstruct",
          [&] { output("reconstruction", net.decode(net.mean(input("x", f32, {c.batch, c.ch, 32, 32})))); });
  p.entry("sample", [&] { output("samples", net.decode(normal("z", {64, c.z}))); });
}
