// DCGAN (Radford, Metz & Chintala 2016) at 32 x 32: transposed convolutions against convolutions, batch norm between.
#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 32, ch = 1, z = 64, c = 32, accumulate = 1;
  int64_t warmup = 0, decay = 0;  // of the learning rate
  double lr = 2e-4, ema = 0;      // ema: decay of the generator's average; 0: none
  std::vector<double> betas{0.5, 0.999};
  std::string prepare = "pad=32,range=-1:1";  // of the data
  GMC_FIELDS(batch, ch, z, c, accumulate, warmup, decay, lr, ema, betas, prepare)
};

struct Gan {
  Sequential G, D;
  GMC_PARTS(G, D)

  explicit Gan(const Config& config) {
    const int64_t c = config.c;
    const Conv2dOptions half{.step = 2, .padding = 1, .bias = false}, whole{.bias = false};  // of 4 x 4
    G = Sequential(ConvTranspose2d(config.z, 4 * c, 4, whole), BatchNorm2d(4 * c), Relu(),
                   ConvTranspose2d(4 * c, 2 * c, 4, half), BatchNorm2d(2 * c), Relu(),
                   ConvTranspose2d(2 * c, c, 4, half), BatchNorm2d(c), Relu(), ConvTranspose2d(c, config.ch, 4, half),
                   Tanh());
    D = Sequential(Conv2d(config.ch, c, 4, half), LeakyRelu{0.2}, Conv2d(c, 2 * c, 4, half), BatchNorm2d(2 * c),
                   LeakyRelu{0.2}, Conv2d(2 * c, 4 * c, 4, half), BatchNorm2d(4 * c), LeakyRelu{0.2},
                   Conv2d(4 * c, 1, 4, whole), Flatten());
  }

  Tensor d_loss(Tensor x, Tensor z) const {
    Tensor real = D(x), fake = D(stop_gradient(G(z)));
    return mean(bce_with_logits(real, 1)) + mean(bce_with_logits(fake, 0));
  }
  Tensor g_loss(Tensor z) const { return mean(bce_with_logits(D(G(z)), 1)); }
};

GMC_MODEL("gan-dc", Config, {{"tiny", {}}, {"base", {.batch = 128, .ch = 3, .z = 100, .c = 64}}})
(Program& p, const Config& c) {
  Gan net(c), smooth(c);
  p.state(net);
  if (c.ema > 0) {
    as_average(smooth.G);
    p.state(smooth.G, "ema.G");
  }

  p.entry("step", [&] {
    const At lr = schedule::planned(c.lr, {c.warmup, c.decay});
    const auto adam = [&](const std::string& name) {
      return Adam{.lr = lr, .betas = c.betas, .accumulate = c.accumulate, .name = name};
    };
    Tensor d_loss = net.d_loss(input("x", f32, {c.batch, c.ch, 32, 32}), normal("z", {c.batch, c.z, 1, 1}));
    minimize(d_loss, parameters(net.D), adam("adam_d"));
    Tensor g_loss = net.g_loss(normal("z2", {c.batch, c.z, 1, 1}));  // judged by the discriminator as it is now
    minimize(g_loss, parameters(net.G), adam("adam_g"));
    if (c.ema > 0) ema(smooth.G, net.G, c.ema);
    output("d_loss", d_loss);
    output("g_loss", g_loss);
  });
  p.entry("eval", [&] {
    const Evaluation mode;  // running statistics
    output("d_loss", net.d_loss(input("x", f32, {c.batch, c.ch, 32, 32}), normal("z", {c.batch, c.z, 1, 1})));
    output("g_loss", net.g_loss(normal("z2", {c.batch, c.z, 1, 1})));
  });
  p.entry("sample", [&] { output("samples", net.G(normal("z", {64, c.z, 1, 1}))); });
}
