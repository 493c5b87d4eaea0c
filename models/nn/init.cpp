#include "models/nn/init.h"

#include "runtime/base/error.h"

#include <algorithm>
#include <cmath>

namespace gmc::init {
namespace {

struct Fans {
  double in, out;
};

Fans fans_of(const Shape& weight) {
  if (weight.size() < 2) fail("expected a weight of at least 2 dimensions, got {}", to_string(weight));
  const auto kernel = static_cast<double>(element_count(Shape(weight.begin() + 2, weight.end())));
  // A layer without inputs has a weight without elements, which start with anything.
  return {std::max(1.0, static_cast<double>(weight[1]) * kernel),
          std::max(1.0, static_cast<double>(weight[0]) * kernel)};
}

Initialiser within(double bound) { return uniform(-bound, bound); }

}  // namespace

Initialiser fan_in(const Shape& weight) { return within(1 / std::sqrt(fans_of(weight).in)); }

Initialiser xavier_uniform(const Shape& weight, double gain) {
  const Fans fans = fans_of(weight);
  return within(gain * std::sqrt(6 / (fans.in + fans.out)));
}
Initialiser xavier_normal(const Shape& weight, double gain) {
  const Fans fans = fans_of(weight);
  return normal(0, gain * std::sqrt(2 / (fans.in + fans.out)));
}
Initialiser kaiming_uniform(const Shape& weight, double gain) {
  return within(gain * std::sqrt(3 / fans_of(weight).in));
}
Initialiser kaiming_normal(const Shape& weight, double gain) { return normal(0, gain / std::sqrt(fans_of(weight).in)); }

namespace {

void restart(const Part& module, size_t least_rank, const Callback<Initialiser(const Shape&)>& start) {
  for (const NamedParameter& n : named_parameters(module)) {
    ParameterData& d = *n.parameter.data();
    if (d.program != 0) fail("init: '{}' was given to a program before", d.name);
    if (d.kind == StateKind::parameter && d.shape.size() >= least_rank) d.initialiser = start(d.shape);
  }
}

}  // namespace

void all(const Part& module, const Initialiser& start) {
  restart(module, 0, [&](const Shape&) { return start; });
}
void matrices(const Part& module, const Callback<Initialiser(const Shape&)>& start) { restart(module, 2, start); }

}  // namespace gmc::init
