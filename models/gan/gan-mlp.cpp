// The generative adversarial network of Goodfellow et al. (2014) with one hidden layer each, non-saturating; or, by
// configuration, deeper and with the loss of Huang et al. (2024).
#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 128, x = 784, z = 100, h = 128, layers = 1, accumulate = 1;
  int64_t warmup = 0, decay = 0;  // of the learning rate
  double lr = 2e-4;
  std::vector<double> betas{0.5, 0.999};
  bool paired = false;                 // judge each real sample against the made one beside it
  double gamma = 0;                    // weight of the discriminator's squared slope
  double ema = 0;                      // decay of the generator's average; 0: none
  bool bounded = true;                 // samples in [-1, 1]
  std::string prepare = "range=-1:1";  // of the data
  GMC_FIELDS(batch, x, z, h, layers, accumulate, warmup, decay, lr, betas, paired, gamma, ema, bounded, prepare)
};

template <class Activation>
Sequential mlp(int64_t in, int64_t h, int64_t layers, int64_t out, Activation activation) {
  Sequential net;
  for (int64_t i = 0; i < layers; ++i) {
    net.add(Linear(i == 0 ? in : h, h));
    net.add(activation);
  }
  net.add(Linear(layers == 0 ? in : h, out));
  return net;
}

// The squared slope of logits [n, 1] at x [n, ..], mean over the batch.
Tensor squared_slope(Tensor logits, Tensor x) { return mean(sum(square(gradients(sum(logits), {x})[0]), {1})); }

struct Gan {
  Sequential G, D;
  bool paired;
  double gamma;
  GMC_PARTS(G, D)

  explicit Gan(const Config& c)
      : G(mlp(c.z, c.h, c.layers, c.x, Relu())), D(mlp(c.x, c.h, c.layers, 1, LeakyRelu{0.2})), paired(c.paired),
        gamma(c.gamma) {
    if (c.bounded) G.add(Tanh());
  }

  Tensor d_loss(Tensor x, Tensor z) const {
    Tensor real = D(x), made = stop_gradient(G(z)), fake = D(made);
    Tensor loss =
        paired ? mean(softplus(fake - real)) : mean(bce_with_logits(real, 1)) + mean(bce_with_logits(fake, 0));
    if (gamma == 0) return loss;
    return loss + gamma / 2 * (squared_slope(real, x) + squared_slope(fake, made));  // R1 and R2
  }
  Tensor g_loss(Tensor x, Tensor z) const {
    Tensor fake = D(G(z));
    return paired ? mean(softplus(D(x) - fake)) : mean(bce_with_logits(fake, 1));
  }
};

GMC_MODEL("gan-mlp", Config, {{"tiny", {}}, {"base", {.batch = 1024, .z = 128, .h = 1024}}})
(Program& p, const Config& c) {
  Gan net(c), smooth(c);
  p.state(net);
  if (c.ema > 0) {
    as_average(smooth.G);
    p.state(smooth.G, "ema.G");
  }

  p.entry("step", [&] {
    Tensor z = normal("z", {c.batch, c.z}), x = input("x", f32, {c.batch, c.x});
    const At lr = schedule::planned(c.lr, {c.warmup, c.decay});
    const auto adam = [&](const std::string& name) {
      return Adam{.lr = lr, .betas = c.betas, .accumulate = c.accumulate, .name = name};
    };
    Tensor d_loss = net.d_loss(x, z);
    minimize(d_loss, parameters(net.D), adam("adam_d"));
    Tensor g_loss = net.g_loss(x, normal("z2", {c.batch, c.z}));  // judged by the discriminator as it is now
    minimize(g_loss, parameters(net.G), adam("adam_g"));
    if (c.ema > 0) ema(smooth.G, net.G, c.ema);
    output("d_loss", d_loss);
    output("g_loss", g_loss);
  });
  p.entry("eval", [&] {
    Tensor z = normal("z", {c.batch, c.z}), x = input("x", f32, {c.batch, c.x});
    output("d_loss", net.d_loss(x, z));
    output("g_loss", net.g_loss(x, normal("z2", {c.batch, c.z})));
  });
  p.entry("sample", [&] { output("samples", net.G(normal("z", {64, c.z}))); });
}
