// Denoising diffusion (Ho, Jain & Abbeel 2020): a U-Net that predicts the noise, sampled by DDIM (Song et al. 2021) or
// step by step; with classes, guided without a classifier (Ho & Salimans 2022).
#include <gmc/gmc.h>

#include <cmath>
#include <variant>

#include "runtime/base/error.h"
using namespace gmc;

struct Config {
  int64_t batch = 16, ch = 1, size = 32, c = 32;
  std::vector<int64_t> mult{1, 2};
  int64_t blocks = 1, ddim = 10, n = 4, accumulate = 1;
  int64_t warmup = 0, decay = 0;  // of the learning rate
  bool ancestral = false;         // sample by Ho et al.'s algorithm 2, not by DDIM; either over `ddim` of the times
  int64_t classes = 0;            // that labels tell apart; 0: the images have none
  double drop = 0.1;              // the share of labels that training hides
  double guidance = 0;            // 0: as the labels say, -1: as if there were none, more: more so
  std::vector<int64_t> labels{};  // of the samples, in turn; none: drawn
  double lr = 2e-4, wd = 0, clip = 1, ema = 0.9999;
  std::vector<double> betas{0.9, 0.999};
  std::string prepare = "pad=32,range=-1:1";  // of the data
  GMC_FIELDS(batch, ch, size, c, mult, blocks, ddim, n, accumulate, warmup, decay, ancestral, classes, drop, guidance,
             labels, lr, wd, clip, ema, betas, prepare)
};

constexpr int64_t steps = 1000;  // of the noise

// The share of the image that is left after each step: running products of 1 - beta, beta linear.
std::vector<double> signal_left() {
  std::vector<double> left;
  for (int64_t t = 0; t < steps; ++t) {
    const double beta = 1e-4 + (0.02 - 1e-4) * static_cast<double>(t) / (steps - 1);
    left.push_back((t > 0 ? left.back() : 1) * (1 - beta));
  }
  return left;
}

// t [n] -> [n, d]: sines, then cosines, at wavelengths from 2 pi to nearly 10000 2 pi.
Tensor time_embedding(Tensor t, int64_t d) {
  std::vector<double> rates;
  for (int64_t i = 0; i < d / 2; ++i)
    rates.push_back(std::exp(-std::log(10000.0) * static_cast<double>(i) / static_cast<double>(d / 2)));
  Tensor angles = cast(expand_dims(t, -1), f64) * table(rates, {d / 2}, f64);
  return cast(concat({sin(angles), cos(angles)}, 1), f32);
}

Conv2d conv3(int64_t in, int64_t out, int64_t step = 1) { return Conv2d(in, out, 3, {.step = step, .padding = 1}); }

struct ResBlock {
  GroupNorm n1;
  Conv2d c1;
  Linear t;
  GroupNorm n2;
  Conv2d c2, skip;
  GMC_PARTS(n1, c1, t, n2, c2, skip)

  ResBlock(int64_t in, int64_t out, int64_t d)
      : n1(8, in), c1(conv3(in, out)), t(d, out), n2(8, out), c2(conv3(out, out)) {
    if (in != out) skip = Conv2d(in, out, 1);
  }
  Tensor operator()(Tensor x, Tensor time) const {
    Tensor h = c1(silu(n1(x))) + reshape(t(time), {x.dim(0), -1, 1, 1});
    return (skip.valid() ? skip(x) : x) + c2(silu(n2(h)));
  }
};

struct AttnBlock {
  GroupNorm n;
  Conv2d qkv, proj;
  GMC_PARTS(n, qkv, proj)

  explicit AttnBlock(int64_t c) : n(8, c), qkv(c, 3 * c, 1), proj(c, c, 1) {}

  Tensor operator()(Tensor x) const {  // one head over all places
    const int64_t b = x.dim(0), c = x.dim(1), places = x.dim(2) * x.dim(3);
    auto p = chunk(transpose(reshape(qkv(n(x)), {b, 3, c, places}), {0, 1, 3, 2}), 3, 1);  // [b, 1, places, c] each
    return x + proj(reshape(transpose(attention(p[0], p[1], p[2])), x.shape()));
  }
};

// A block, or a convolution that changes the resolution.
struct Stage {
  std::variant<ResBlock, Conv2d> layer;
  Parts gmc_parts() const {
    return std::visit([](const auto& l) { return l.gmc_parts(); }, layer);
  }
  const ResBlock* block() const { return std::get_if<ResBlock>(&layer); }
  const Conv2d& resample() const { return std::get<Conv2d>(layer); }
};

struct UNet {
  int64_t c, classes;
  Linear t1, t2;
  Embedding label;  // the last one is that of no class
  Conv2d inp;
  std::vector<Stage> down;
  ResBlock mid1;
  AttnBlock attn;
  ResBlock mid2;
  std::vector<Stage> up;
  GroupNorm norm;
  Conv2d out;
  GMC_PARTS(t1, t2, label, inp, down, mid1, attn, mid2, up, norm, out)

  explicit UNet(const Config& config)
      : c(config.c), classes(config.classes), t1(c, 4 * c), t2(4 * c, 4 * c), inp(conv3(config.ch, c)),
        mid1(c * config.mult.back(), c * config.mult.back(), 4 * c), attn(c * config.mult.back()),
        mid2(c * config.mult.back(), c * config.mult.back(), 4 * c), norm(8, c * config.mult.front()),
        out(conv3(c * config.mult.front(), config.ch)) {
    if (classes > 0) label = Embedding(classes + 1, 4 * c);
    const size_t resolutions = config.mult.size();
    std::vector<int64_t> channels{c};  // of what the way up joins
    for (size_t i = 0; i < resolutions; ++i) {
      for (int64_t k = 0; k < config.blocks; ++k) {
        down.push_back({ResBlock(channels.back(), c * config.mult[i], 4 * c)});
        channels.push_back(c * config.mult[i]);
      }
      if (i + 1 == resolutions) continue;
      down.push_back({conv3(channels.back(), channels.back(), 2)});
      channels.push_back(channels.back());
    }
    int64_t now = channels.back();
    for (size_t i = resolutions; i-- > 0;) {
      for (int64_t k = 0; k <= config.blocks; ++k) {
        up.push_back({ResBlock(now + channels.back(), c * config.mult[i], 4 * c)});
        channels.pop_back();
        now = c * config.mult[i];
      }
      if (i > 0) up.push_back({conv3(now, now)});
    }
  }

  // The noise in x [n, ch, size, size] at times t [n]; with classes, of images of classes y [n].
  Tensor operator()(Tensor x, Tensor t, Tensor y) const {
    Tensor time = t2(silu(t1(time_embedding(t, c))));
    time = silu(label.valid() ? time + label(y) : time);
    Tensor h = inp(x);
    std::vector<Tensor> skips{h};
    for (const Stage& stage : down) {
      h = stage.block() ? (*stage.block())(h, time) : stage.resample()(h);
      skips.push_back(h);
    }
    h = mid2(attn(mid1(h, time)), time);
    for (const Stage& stage : up) {
      if (!stage.block()) {
        h = stage.resample()(resize(h, {2 * h.dim(2), 2 * h.dim(3)}));
        continue;
      }
      h = (*stage.block())(concat({h, skips.back()}, 1), time);
      skips.pop_back();
    }
    return out(silu(norm(h)));
  }

  Tensor loss(Tensor x, Tensor y) const {  // squared error of the noise, per element
    Tensor noise = normal("eps", x.shape()), t = randint("t", {x.dim(0)}, 0, steps);
    Tensor left = reshape(take(table(signal_left(), {steps}), t), {x.dim(0), 1, 1, 1});
    return mse_loss((*this)(sqrt(left) * x + sqrt(1 - left) * noise, t, y), noise);
  }

  // (1 + guidance) times the noise of a class less guidance times that of none (Ho & Salimans 2022, equation 6).
  Tensor guided(Tensor x, Tensor t, Tensor y, double guidance) const {
    if (!y.valid() || guidance == 0) return (*this)(x, t, y);
    Tensor none = broadcast_to(cast(classes, i64), y.shape());
    auto noise = chunk((*this)(concat({x, x}, 0), concat({t, t}, 0), concat({y, none}, 0)), 2, 0);
    return (1 + guidance) * noise[0] - guidance * noise[1];
  }

  // From noise x, over `ddim` of the times from the last to 0: by DDIM without new noise, or by algorithm 2 of Ho et
  // al. with the variance of the posterior.
  Tensor sample(Tensor x, Tensor y, const Config& config) const {
    const int64_t trips = config.ddim;
    const std::vector<double> all = signal_left();
    std::vector<double> times, left;
    for (int64_t i = 0; i < trips; ++i) {
      const int64_t t = trips == 1 ? steps - 1 : (steps - 1) * (trips - 1 - i) / (trips - 1);
      times.push_back(static_cast<double>(t));
      left.push_back(all[static_cast<size_t>(t)]);
    }
    left.push_back(1);
    return loop(trips, carry(x), [&](Tensor i, Tensor now) {
      Tensor t = take(table(times, {trips}, i64), i), levels = table(left, {trips + 1});
      Tensor a = take(levels, i), b = take(levels, i + 1);
      Tensor noise = guided(now, broadcast_to(t, {x.dim(0)}), y, config.guidance);
      Tensor image = clamp((now - sqrt(1 - a) * noise) / sqrt(a), -1, 1);
      if (!config.ancestral) return sqrt(b) * image + sqrt(1 - b) * noise;
      Tensor kept = a / b, lost = 1 - kept;                                           // alpha and beta of this step
      Tensor mean = (sqrt(b) * lost * image + sqrt(kept) * (1 - b) * now) / (1 - a);  // equation 7
      return mean + sqrt((1 - b) / (1 - a) * lost) * normal("noise", x.shape());
    });
  }
};

// The classes of the samples, [n].
Tensor chosen_labels(const Config& c) {
  if (c.labels.empty()) return randint("labels", {c.n}, 0, c.classes);
  std::vector<double> turns;
  for (size_t i = 0; i < static_cast<size_t>(c.n); ++i)
    turns.push_back(static_cast<double>(c.labels[i % c.labels.size()]));
  return table(turns, {c.n}, i64);
}

void check(const Config& c) {
  if (c.mult.empty()) fail("mult: expected at least one number");
  if (c.ddim < 1 || c.ddim > steps) fail("ddim: expected 1 to {}, got {}", steps, c.ddim);
  if (c.classes < 0) fail("classes: expected at least 0, got {}", c.classes);
  if (c.classes == 0 && (c.guidance != 0 || !c.labels.empty())) fail("guidance and labels: expected classes, got 0");
  for (const int64_t label : c.labels)
    if (label < 0 || label >= c.classes) fail("labels: expected 0 to {}, got {}", c.classes - 1, label);
}

GMC_MODEL("diffusion-ddpm", Config,
          {{"tiny", {}},
           {"base", {.batch = 128, .ch = 3, .c = 128, .mult = {1, 2, 2}, .blocks = 2, .ddim = 50, .n = 16}}})
(Program& p, const Config& c) {
  check(c);
  UNet net(c), smooth(c);
  as_average(smooth);
  p.state(net);
  p.state(smooth, "ema");
  const auto labels = [&](int64_t n) { return c.classes > 0 ? input("labels", i64, {n}) : Tensor(); };

  p.entry("step", [&] {
    const Snapshot before(net);
    Tensor x = input("x", f32, {c.batch, c.ch, c.size, c.size}), y = labels(c.batch);
    if (c.classes > 0) y = select(less(uniform("drop", {c.batch}), c.drop), cast(c.classes, i64), y);
    Tensor loss = net.loss(x, y);
    minimize(loss, parameters(net),
             Adam{.lr = schedule::planned(c.lr, {c.warmup, c.decay}),
                  .betas = c.betas,
                  .weight_decay = c.wd,
                  .clip = c.clip,
                  .accumulate = c.accumulate});
    ema(smooth, net, c.ema, before);
    output("loss", loss);
  });
  p.entry("eval", [&] {
    Tensor x = input("x", f32, {c.batch, c.ch, c.size, c.size});
    output("loss", net.loss(x, labels(c.batch)));
  });
  p.entry("noise", [&] {  // what the network sees in images x at times t
    Tensor x = input("x", f32, {c.n, c.ch, c.size, c.size}), t = input("t", i64, {c.n});
    output("noise", net(x, t, labels(c.n)));
  });
  p.entry("sample", [&] {
    Tensor x = normal("x", {c.n, c.ch, c.size, c.size});
    output("samples", net.sample(x, c.classes > 0 ? chosen_labels(c) : Tensor(), c));
  });
}
