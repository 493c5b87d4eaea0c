#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 8;
  GMC_FIELDS(batch)
};

GMC_MODEL("loss_without_parameters", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  Linear fc(3, 4);
  p.state(fc);
  p.entry("step", [&] {
    Tensor x = input("x", f32, {c.batch, 3});
    minimize(sum(square(x)) + sum(stop_gradient(fc(x))), parameters(fc), Adam{});
  });
}
