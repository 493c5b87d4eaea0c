// The generative adversarial network of Goodfellow et al. (2014) with one hidden layer each, non-saturating.
#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 128, x = 784, z = 100, h = 128;
  double lr = 2e-4;
  std::vector<double> betas{0.5, 0.999};
  std::string prepare = "range=-1:1";  // of the data
  GMC_FIELDS(batch, x, z, h, lr, betas, prepare)
};

struct Gan {
  Sequential G, D;
  GMC_PARTS(G, D)

  explicit Gan(const Config& c)
      : G(Linear(c.z, c.h), Relu(), Linear(c.h, c.x), Tanh()), D(Linear(c.x, c.h), LeakyRelu{0.2}, Linear(c.h, 1)) {}

  Tensor d_loss(Tensor x, Tensor z) const {
    Tensor real = D(x), fake = D(stop_gradient(G(z)));
    return mean(bce_with_logits(real, 1)) + mean(bce_with_logits(fake, 0));
  }
  Tensor g_loss(Tensor z) const { return mean(bce_with_logits(D(G(z)), 1)); }
};

GMC_MODEL("gan-mlp", Config, {{"tiny", {}}, {"base", {.batch = 1024, .z = 128, .h = 1024}}})
(Program& p, const Config& c) {
  Gan net(c);
  p.state(net);

  p.entry("step", [&] {
    Tensor d_loss = net.d_loss(input("x", f32, {c.batch, c.x}), normal("z", {c.batch, c.z}));
    minimize(d_loss, parameters(net.D), Adam{.lr = c.lr, .betas = c.betas, .name = "adam_d"});
    Tensor g_loss = net.g_loss(normal("z2", {c.batch, c.z}));  // judged by the discriminator as it is now
    minimize(g_loss, parameters(net.G), Adam{.lr = c.lr, .betas = c.betas, .name = "adam_g"});
    output("d_loss", d_loss);
    output("g_loss", g_loss);
  });
  p.entry("eval", [&] {
    output("d_loss", net.d_loss(input("x", f32, {c.batch, c.x}), normal("z", {c.batch, c.z})));
    output("g_loss", net.g_loss(normal("z2", {c.batch, c.z})));
  });
  p.entry("sample", [&] { output("samples", net.G(normal("z", {64, c.z}))); });
}
