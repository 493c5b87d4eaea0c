#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 8;
  GMC_FIELDS(batch)
};

GMC_MODEL("output_given_twice", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  p.entry("eval", [&] {
    Tensor x = input("x", f32, {c.batch});
    output("y", x);
    output("y", exp(x));
  });
}
