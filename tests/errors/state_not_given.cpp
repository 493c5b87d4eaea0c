#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 8;
  GMC_FIELDS(batch)
};

GMC_MODEL("state_not_given", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  Linear fc(3, 4);
  p.entry("eval", [&] { output("y", fc(input("x", f32, {c.batch, 3}))); });
}
