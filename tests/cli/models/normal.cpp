// A standard normal distribution in the plane, moved by a parameter: what is measured of it is known.
#include <gmc/gmc.h>

#include <cmath>
#include <numbers>
using namespace gmc;

struct Config {
  int64_t batch = 100;
  GMC_FIELDS(batch)
};
struct Net {
  Parameter centre;
  GMC_PARTS(centre)
  Net() : centre({2}, init::zeros()) {}
  Tensor log_likelihood(Tensor x) const { return -0.5 * sum(square(x - centre), {1}) - std::log(2 * std::numbers::pi); }
};
GMC_MODEL("normal", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  Net net;
  p.state(net);
  p.entry("step", [&] {
    Tensor loss = -mean(net.log_likelihood(input("x", f32, {c.batch, 2})));
    minimize(loss, parameters(net), Adam{});
    output("loss", loss);
  });
  p.entry("density", [&] { output("log_likelihood", net.log_likelihood(input("x", f32, {c.batch, 2}))); });
  p.entry("sample", [&] { output("samples", normal("z", {c.batch, 2}) + net.centre); });
}
