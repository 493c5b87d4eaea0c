// A convolutional variational autoencoder on 32 x 32 images: Gaussian likelihood of unit variance, analytic KL (Kingma
// & Welling 2014).
#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 64, ch = 1, c = 32, z = 64;
  double lr = 1e-3, wd = 0, clip = 0;
  std::vector<double> betas{0.9, 0.999};
  std::string prepare = "pad=32";  // of the data
  GMC_FIELDS(batch, ch, c, z, lr, wd, clip, betas, prepare)
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
};

GMC_MODEL("vae-conv", Config, {{"tiny", {}}, {"base", {.batch = 256, .ch = 3, .c = 64, .z = 128}}})
(Program& p, const Config& c) {
  Vae net(c);
  p.state(net);

  p.entry("step", [&] {
    Tensor loss = net.loss(input("x", f32, {c.batch, c.ch, 32, 32}));
    minimize(loss, parameters(net), Adam{.lr = c.lr, .betas = c.betas, .weight_decay = c.wd, .clip = c.clip});
    output("loss", loss);
  });
  p.entry("eval", [&] { output("loss", net.loss(input("x", f32, {c.batch, c.ch, 32, 32}))); });
  p.entry("encode", [&] { output("code", net.mean(input("x", f32, {c.batch, c.ch, 32, 32}))); });
  p.entry("decode", [&] { output("samples", net.decode(input("z", f32, {c.batch, c.z}))); });
  p.entry("reconstruct",
          [&] { output("reconstruction", net.decode(net.mean(input("x", f32, {c.batch, c.ch, 32, 32})))); });
  p.entry("sample", [&] { output("samples", net.decode(normal("z", {64, c.z}))); });
}
