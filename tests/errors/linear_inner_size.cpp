#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 128, x = 784, h = 400;
  GMC_FIELDS(batch, x, h)
};

struct Net {
  Linear fc1, fc2;
  GMC_PARTS(fc1, fc2)
  explicit Net(const Config& c) : fc1(512, c.h), fc2(c.h, 1) {}
  Tensor operator()(Tensor x) const { return fc2(relu(fc1(x))); }
};

GMC_MODEL("linear-inner-size", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  Net net(c);
  p.state(net);
  p.entry("eval", [&] { output("y", net(input("x", f32, {c.batch, c.x}))); });
}
