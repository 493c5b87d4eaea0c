#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 8;
  GMC_FIELDS(batch)
};

GMC_MODEL("shapes_do_not_broadcast", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  p.entry("eval", [&] {
    Tensor x = input("x", f32, {c.batch, 3}), y = input("y", f32, {c.batch, 4});
    output("z", relu(x) * 2 + exp(-y));
  });
}
