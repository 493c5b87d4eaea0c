#include <gmc/gmc.h>
using namespace gmc;

struct Config {
  int64_t batch = 8;
  GMC_FIELDS(batch)
};

GMC_MODEL("tensor_of_another_entry", Config, {{"tiny", {}}})
(Program& p, const Config& c) {
  Tensor x;
  p.entry("first", [&] {
    x = input("x", f32, {c.batch});
    output("y", x);
  });
  p.entry("second", [&] { output("y", exp(x)); });
}
