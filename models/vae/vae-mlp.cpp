// The variational autoencoder of Kingma & Welling (2014): 784-400-20, Bernoulli likelihood, analytic KL.
#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 128, x = 784, h = 400, z = 20;
  double lr = 1e-3, wd = 0, clip = 0;
  std::vector<double> betas{0.9, 0.999};
  GMC_FIELDS(batch, x, h, z, lr, wd, clip, betas)
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
};

GMC_MODEL("vae-mlp", Config, {{"tiny", {}}, {"base", {.batch = 1024, .h = 1024, .z = 64}}})
(Program& p, const Config& c) {
  Vae net(c);
  p.state(net);

  p.entry("step", [&] {
    Tensor x = input("x", f32, {c.batch, c.x});
    Tensor loss = net.loss(x);
    // Updates the state in place, inside this entry.
    minimize(loss, parameters(net), Adam{.lr = c.lr, .betas = c.betas, .weight_decay = c.wd, .clip = c.clip});
    output("loss", loss);
  });
  p.entry("eval", [&] { output("loss", net.loss(input("x", f32, {c.batch, c.x}))); });
  p.entry("sample", [&] { output("samples", sigmoid(net.decode(normal("z", {64, c.z})))); });
}
