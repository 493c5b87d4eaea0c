// Glow (Kingma & Dhariwal 2018): actnorm, invertible 1 x 1 convolutions as P L U, affine couplings, several scales.
#include <gmc/gmc.h>

#include <cmath>
#include <numbers>
using namespace gmc;

struct Config {
  int64_t batch = 16, ch = 1, size = 16, levels = 2, steps = 4, h = 64, accumulate = 1;
  int64_t warmup = 0, decay = 0;                // of the learning rate
  double lr = 1e-3, wd = 0, clip = 0, ema = 0;  // ema: decay of the weights' average; 0: none
  std::vector<double> betas{0.9, 0.999};
  std::string prepare = "pad=32,pool=2,dequantise,range=-0.5:0.5";  // of the data
  GMC_FIELDS(batch, ch, size, levels, steps, h, accumulate, warmup, decay, lr, wd, clip, ema, betas, prepare)
};

// The elements of every image [n, ..] added up.
Tensor per_image(Tensor x) { return sum(flatten(x, 1), {1}); }
// Log-density of the standard normal, per image.
Tensor standard_normal(Tensor z) { return -0.5 * per_image(square(z) + std::log(2 * std::numbers::pi)); }

// One step of the flow on [n, c, h, w]: every channel scaled and shifted, channels mixed, one half moved by the other.
struct GlowStep {
  Parameter log_s, shift, p, sign, low, up, log_d;
  Sequential net;
  GMC_PARTS(log_s, shift, p, sign, low, up, log_d, net)

  GlowStep(int64_t c, int64_t h)
      : log_s({1, c, 1, 1}, init::zeros()), shift({1, c, 1, 1}, init::zeros()),
        p({c, c}, init::rotation(RotationPart::permutation), StateKind::buffer),
        sign({c}, init::rotation(RotationPart::sign), StateKind::buffer),
        low({c, c}, init::rotation(RotationPart::lower)), up({c, c}, init::rotation(RotationPart::upper)),
        log_d({c}, init::rotation(RotationPart::log_diagonal)) {
    Conv2d last(h, c, 3, {.padding = 1});
    init::all(last, init::zeros());  // the coupling starts as the identity
    net = Sequential(Conv2d(c / 2, h, 3, {.padding = 1}), Relu(), Conv2d(h, h, 1), Relu(), last);
  }

  Tensor mixing() const {  // [c, c]; its determinant is that of the diagonal
    Tensor one = eye(p.shape()[0]);
    return matmul(matmul(p, tril(low, -1) + one), triu(up, 1) + one * (sign * exp(log_d)));
  }
  static Tensor mix(Tensor x, Tensor weight) { return conv(x, reshape(weight, {x.dim(1), x.dim(1), 1, 1})); }
  // Log-scale and shift of the second half, from the first.
  std::pair<Tensor, Tensor> coupling(Tensor kept) const {
    auto st = chunk(net(kept), 2, 1);
    return {tanh(st[0]), st[1]};
  }

  // And the logarithm of the determinant, per image.
  std::pair<Tensor, Tensor> operator()(Tensor x) const {
    const auto area = static_cast<double>(x.dim(2) * x.dim(3));
    auto halves = chunk(mix((x + shift) * exp(log_s), mixing()), 2, 1);
    auto [s, t] = coupling(halves[0]);
    return {concat({halves[0], (halves[1] + t) * exp(s)}, 1), area * (sum(log_s) + sum(log_d)) + per_image(s)};
  }
  Tensor inverse(Tensor x) const {
    auto halves = chunk(x, 2, 1);
    auto [s, t] = coupling(halves[0]);
    x = concat({halves[0], halves[1] * exp(-s) - t}, 1);
    return mix(x, gmc::inverse(mixing())) * exp(-log_s) - shift;
  }
};

struct Glow {
  std::vector<std::vector<GlowStep>> levels;
  GMC_PARTS(levels)

  explicit Glow(const Config& config) : levels(static_cast<size_t>(config.levels)) {
    int64_t c = config.ch;
    for (auto& level : levels) {
      c *= 4;
      for (int64_t i = 0; i < config.steps; ++i) level.emplace_back(c, config.h);
      c /= 2;
    }
  }

  // What leaves for the prior at each level, and the log-likelihood, nats per image.
  std::pair<std::vector<Tensor>, Tensor> operator()(Tensor x) const {
    std::vector<Tensor> z;
    Tensor total = full({x.dim(0)}, 0);
    for (size_t i = 0; i < levels.size(); ++i) {
      x = pixel_unshuffle(x, 2);
      for (const GlowStep& step : levels[i]) {
        auto [y, logdet] = step(x);
        x = y;
        total = total + logdet;
      }
      if (i + 1 == levels.size()) continue;
      auto halves = chunk(x, 2, 1);
      x = halves[0];
      z.push_back(halves[1]);
      total = total + standard_normal(halves[1]);
    }
    z.push_back(x);
    return {z, total + standard_normal(x)};
  }
  Tensor loss(Tensor x) const {  // negative log-likelihood of 256 grey values, bits per dimension
    const auto elements = static_cast<double>(x.dim(1) * x.dim(2) * x.dim(3));
    return (-mean((*this)(x).second) / elements + std::log(256)) / std::numbers::ln2;
  }

  Tensor inverse(const std::vector<Tensor>& z) const {
    Tensor x = z.back();
    for (size_t i = levels.size(); i-- > 0;) {
      if (i + 1 < levels.size()) x = concat({x, z[i]}, 1);
      for (size_t k = levels[i].size(); k-- > 0;) x = levels[i][k].inverse(x);
      x = pixel_shuffle(x, 2);
    }
    return x;
  }
};

GMC_MODEL(
    "flow-glow", Config,
    {{"tiny", {}},
     {"base",
      {.batch = 64, .ch = 3, .size = 32, .levels = 3, .steps = 16, .h = 256, .prepare = "dequantise,range=-0.5:0.5"}}})
(Program& p, const Config& c) {
  Glow net(c), smooth(c);
  p.state(net);
  if (c.ema > 0) {
    as_average(smooth);
    p.state(smooth, "ema");
  }
  const Shape images{c.batch, c.ch, c.size, c.size};
  std::vector<Shape> codes;  // of one image, by level
  for (int64_t i = 0, ch = c.ch, size = c.size; i < c.levels; ++i) {
    ch *= i + 1 == c.levels ? 4 : 2;
    size /= 2;
    codes.push_back({ch, size, size});
  }

  p.entry("step", [&] {
    Tensor loss = net.loss(input("x", f32, images));
    minimize(loss, parameters(net),
             Adam{.lr = schedule::planned(c.lr, {c.warmup, c.decay}),
                  .betas = c.betas,
                  .weight_decay = c.wd,
                  .clip = c.clip,
                  .accumulate = c.accumulate});
    if (c.ema > 0) ema(smooth, net, c.ema);
    output("loss", loss);
  });
  p.entry("eval", [&] { output("loss", net.loss(input("x", f32, images))); });
  p.entry("density", [&] { output("log_likelihood", net(input("x", f32, images)).second); });
  p.entry("encode", [&] {  // the codes of all levels in one row
    std::vector<Tensor> z = net(input("x", f32, images)).first;
    for (Tensor& level : z) level = flatten(level, 1);
    output("code", concat(z, 1));
  });
  p.entry("decode", [&] {
    Tensor rows = input("z", f32, {c.batch, c.ch * c.size * c.size});
    std::vector<Tensor> z;
    int64_t begin = 0;
    for (const Shape& code : codes) {
      const int64_t end = begin + element_count(code);
      z.push_back(reshape(slice(rows, 1, begin, end), {c.batch, code[0], code[1], code[2]}));
      begin = end;
    }
    output("samples", net.inverse(z));
  });
  p.entry("sample", [&] {  // at temperature 0.7
    std::vector<Tensor> z;
    for (const Shape& code : codes)
      z.push_back(normal("z" + std::to_string(z.size()), {16, code[0], code[1], code[2]}, 0, 0.7));
    output("samples", net.inverse(z));
  });
}
