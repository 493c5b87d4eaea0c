// What the optimisers share: gradients, clipping, the names of states, the checks of options.
#pragma once

#include "compiler/dsl/program.h"
#include "models/nn/optimizer.h"

#include <string>
#include <vector>

namespace gmc::optimizers {

struct Learned {
  Parameter parameter;
  Tensor gradient;
};

struct Clipping {
  double norm, value;  // 0: none
  int64_t accumulate;  // how many calls give one gradient
};

// One use of an optimiser in an entry.
//
// In an entry of precision f16 the loss is scaled before it is differentiated and the gradients are scaled back, so
// that small ones do not vanish (Micikevicius et al. 2018, section 3.2). A step whose gradients are not all finite
// changes nothing but halves the scale; `growth_interval` good steps in a row double it.
class Descent {
public:
  static constexpr double first_scale = 65536, largest_scale = 1 << 24, growth_interval = 2000;

  // Differentiates `loss` by the parameters it depends on, clips the gradients and records them. Throws as `minimize`.
  Descent(const At& loss, const std::vector<Parameter>& parameters, const Clipping&, const std::string& name);

  const std::vector<Learned>& learned() const { return learned_; }
  // t, a scalar, from 1: the state NAME.t, which this updates. To be called once.
  Tensor count() const;
  // The state NAME.WHAT.PARAMETER, of the parameter's shape.
  Parameter state(const std::string& what, const Parameter&, double initial = 0) const;
  // Makes `value` the new version of a parameter or a state, unless the step is skipped.
  void set(const Parameter&, const Tensor& value) const;

private:
  Parameter scalar(const std::string& what, double initial) const;
  void scale_back(const Tensor& scale);
  void accumulate(int64_t calls);

  std::string name_;
  Tensor good_;  // whether this call updates; not valid where every call does
  std::vector<Learned> learned_;
};

// gradient + weight_decay * parameter.
Tensor decayed(const Learned&, double weight_decay);
// weight * average + (1 - weight) * x
Tensor moved(const Parameter& average, double weight, const Tensor& x);

// Refuses options outside their range, at the call.
class Options {
public:
  Options(const At& loss, const char* optimizer) : loss_(loss), optimizer_(optimizer) {}
  // Throws `Error` `OPTIMIZER: WHAT must be EXPECTED, got VALUE` unless `ok`.
  void check(bool ok, const char* what, const char* expected, double value) const;
  void not_negative(const char* what, double value) const { check(value >= 0, what, "at least 0", value); }
  void betas(const std::vector<double>&) const;
  void lr(const At&) const;
  void clipping(const Clipping&) const;

private:
  const At& loss_;
  const char* optimizer_;
};

}  // namespace gmc::optimizers
