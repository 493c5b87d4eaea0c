// Denoising diffusion (Ho, Jain & Abbeel 2020): a U-Net that predicts the noise, sampled by DDIM (Song et al. 2021).
#include <gmc/gmc.h>

#include <cmath>
#include <variant>
using namespace gmc;

struct Config {
  int64_t batch = 16, ch = 1, size = 32, c = 32;
  std::vector<int64_t> mult{1, 2};
  int64_t blocks = 1, ddim = 10, n = 4;
  double lr = 2e-4, wd = 0, clip = 1, ema = 0.9999;
  std::vector<double> betas{0.9, 0.999};
  std::string prepare = "pad=32,range=-1:1";  // of the data
  GMC_FIELDS(batch, ch, size, c, mult, blocks, ddim, n, lr, wd, clip, ema, betas, prepare)
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
  int64_t c;
  Linear t1, t2;
  Conv2d inp;
  std::vector<Stage> down;
  ResBlock mid1;
  AttnBlock attn;
  ResBlock mid2;
  std::vector<Stage> up;
  GroupNorm norm;
  Conv2d out;
  GMC_PARTS(t1, t2, inp, down, mid1, attn, mid2, up, norm, out)

  explicit UNet(const Config& config)
      : c(config.c), t1(c, 4 * c), t2(4 * c, 4 * c), inp(conv3(config.ch, c)),
        mid1(c * config.mult.back(), c * config.mult.back(), 4 * c), attn(c * config.mult.back()),
        mid2(c * config.mult.back(), c * config.mult.back(), 4 * c), norm(8, c * config.mult.front()),
        out(conv3(c * config.mult.front(), config.ch)) {
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

  // The noise in x [n, ch, size, size] at times t [n].
  Tensor operator()(Tensor x, Tensor t) const {
    Tensor time = silu(t2(silu(t1(time_embedding(t, c)))));
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

  Tensor loss(Tensor x) const {  // squared error of the noise, per element
    Tensor noise = normal("eps", x.shape()), t = randint("t", {x.dim(0)}, 0, steps);
    Tensor left = reshape(take(table(signal_left(), {steps}), t), {x.dim(0), 1, 1, 1});
    return mse_loss((*this)(sqrt(left) * x + sqrt(1 - left) * noise, t), noise);
  }

  // DDIM without new noise, from noise x, over `trips` times from the last to 0.
  Tensor sample(Tensor x, int64_t trips) const {
    const std::vector<double> all = signal_left();
    std::vector<double> times, left;
    for (int64_t i = 0; i < trips; ++i) {
      const int64_t t = (steps - 1) * (trips - 1 - i) / std::max<int64_t>(trips - 1, 1);
      times.push_back(static_cast<double>(t));
      left.push_back(all[static_cast<size_t>(t)]);
    }
    left.push_back(1);
    return loop(trips, carry(x), [&](Tensor i, Tensor now) {
      Tensor t = take(table(times, {trips}, i64), i), levels = table(left, {trips + 1});
      Tensor a = take(levels, i), b = take(levels, i + 1);
      Tensor noise = (*this)(now, broadcast_to(t, {x.dim(0)}));
      Tensor image = clamp((now - sqrt(1 - a) * noise) / sqrt(a), -1, 1);
      return sqrt(b) * image + sqrt(1 - b) * noise;
    });
  }
};

GMC_MODEL("diffusion-ddpm", Config,
          {{"tiny", {}},
           {"base", {.batch = 128, .ch = 3, .c = 128, .mult = {1, 2, 2}, .blocks = 2, .ddim = 50, .n = 16}}})
(Program& p, const Config& c) {
  UNet net(c), smooth(c);
  as_average(smooth);
  p.state(net);
  p.state(smooth, "ema");

  p.entry("step", [&] {
    const Snapshot before(net);
    Tensor loss = net.loss(input("x", f32, {c.batch, c.ch, c.size, c.size}));
    minimize(loss, parameters(net), Adam{.lr = c.lr, .betas = c.betas, .weight_decay = c.wd, .clip = c.clip});
    ema(smooth, net, c.ema, before);
    output("loss", loss);
  });
  p.entry("eval", [&] { output("loss", net.loss(input("x", f32, {c.batch, c.ch, c.size, c.size}))); });
  p.entry("sample", [&] { output("samples", net.sample(normal("x", {c.n, c.ch, c.size, c.size}), c.ddim)); });
}
