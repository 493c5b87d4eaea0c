#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 8;
  GMC_FIELDS(batch)
};

GMC_MODEL("gradient_of_a_vector", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  Linear fc(3, 4);
  p.state(fc, "fc");
  p.entry("step", [&] {
    Tensor y = fc(input("x", f32, {c.batch, 3}));
    minimize(y, parameters(fc), Sgd{.lr = 0.1});
  });
}
