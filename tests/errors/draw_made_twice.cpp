#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 8;
  GMC_FIELDS(batch)
};

GMC_MODEL("draw_made_twice", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  p.entry("eval", [&] {
    Tensor a = normal("eps", {c.batch});
    output("y", a + normal("eps", {c.batch}));
  });
}
