#include "runtime/execute/random.h"

#include <math.h>

namespace gmc::execute {

double normal_of(uint32_t word) {
  const double sign = word >> 31 ? -1.0 : 1.0;
  const double p = (static_cast<double>(word & 0x7fffffffu) + 0.5) * 0x1p-31;
  // Solve erf(z / sqrt 2) = p by Newton's method from a rough start; erfc keeps the tail accurate.
  const double q = (static_cast<double>(~word & 0x7fffffffu) + 0.5) * 0x1p-31;  // 1 - p, without cancellation
  const double w = sqrt(-2.0 * log(0.5 * q));
  double z = p < 0.5 ? p * 1.2533141373155003 : w - (2.30753 + 0.27061 * w) / (1.0 + w * (0.99229 + w * 0.04481));
  for (int i = 0; i < 6; ++i) {
    const double density = 0.79788456080286535588 * exp(-0.5 * z * z);
    const double error = p < 0.5 ? erf(z * 0.70710678118654752440) - p : q - erfc(z * 0.70710678118654752440);
    const double step = error / density;
    z -= step / (1.0 + 0.5 * z * step);  // Halley: the second derivative of the distribution is -z times its density
  }
  return sign * z;
}

}  // namespace gmc::execute
