#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 8;
  GMC_FIELDS(batch)
};

GMC_MODEL("input_outside_an_entry", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  Tensor x = input("x", f32, {c.batch});
  p.entry("eval", [&] { output("y", exp(x)); });
}
