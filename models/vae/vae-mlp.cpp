// The variational autoencoder of Kingma & Welling (2014): 784-400-20, Bernoulli likelihood, analytic KL.
#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 128, x = 784, h = 400, z = 20, accumulate = 1;
  int64_t warmup = 0, decay = 0;                // of the learning rate
  double lr = 1e-3, wd = 0, clip = 0, ema = 0;  // ema: decay of the weights' average; 0: none
  std::vector<double> betas{0.9, 0.999};
  GMC_FIELDS(batch, x, h, z, accumulate, warmup, decay, lr, wd, clip, ema, betas)
};

struct Vae {
  Linear fc1, mu, logvar, fc3, fc4;
  GMC_PARTS(fc1, mu, logvar, fc3, fc4)

  explicit Vae(const Config& c) : fc1(c.x, c.h), mu(c.h, c.z), logvar(c.h, c.z), fc3(c.z, c.h), fc4(c.h, c.x) {}

  Tensor decode(Tensor z) const { return fc4(relu(fc3(z))); }

  Tensor loss(Tensor x) const {  // negative ELBO, nats per image
    Tensor h = relu(fc1(x)), m = mu(h), lv = logvar(h);
    Tensor z = m + normal("eps", m.shape()) * exp(0.5 * lv);
    Tensor bce = sum(bce_with_logits(decode(z), x));
    Tensor kl = -0.5 * sum(1 + lv - square(m) - exp(lv));
    return (bce + kl) / x.dim(0);
  }

  // log p(x, z) / q(z | x) of one z of q for each image, in nats: what the importance-weighted bound averages (Burda,
  // Grosse & Salakhutdinov 2016, equation 8).
  Tensor log_weight(Tensor x) const {
    Tensor h = relu(fc1(x)), m = mu(h), lv = logvar(h);
    Tensor e = normal("eps", m.shape());
    Tensor z = m + e * exp(0.5 * lv);
    Tensor log_likelihood = -sum(bce_with_logits(decode(z), x), {1});
    return log_likelihood + 0.5 * sum(square(e) + lv - square(z), {1});
  }
};

GMC_MODEL("vae-mlp", Config, {{"tiny", {}}, {"base", {.batch = 1024, .h = 1024, .z = 64}}})
(Program& p, const Config& c) {
  Vae net(c), smooth(c);
  p.state(net);
  if (c.ema > 0) {
    as_average(smooth);
    p.state(smooth, "ema");
  }

  p.entry("step", [&] {
    Tensor x = input("x", f32, {c.batch, c.x});
    Tensor loss = net.loss(x);
    // Updates the state in place, inside this entry.
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
  p.entry("log_weight", [&] { output("log_weight", net.log_weight(input("x", f32, {c.batch, c.x}))); });
  p.entry("encode", [&] { output("code", net.mu(relu(net.fc1(input("x", f32, {c.batch, c.x}))))); });
  p.entry("decode", [&] { output("samples", sigmoid(net.decode(input("z", f32, {c.batch, c.z})))); });
  p.entry("reconstruct", [&] {
    Tensor code = net.mu(relu(net.fc1(input("x", f32, {c.batch, c.x}))));
    output("reconstruction", sigmoid(net.decode(code)));
  });
  p.entry("sample", [&] { output("samples", sigmoid(net.decode(normal("z", {64, c.z})))); });
}
