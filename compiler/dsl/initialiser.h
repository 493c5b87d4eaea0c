// How a state starts.
#pragma once

#include "runtime/base/shape.h"

#include <cstdint>
#include <string>

namespace gmc {

struct HostTensor;

struct Initialiser {
  enum class Kind { constant, uniform, normal };
  Kind kind = Kind::constant;
  double a = 0, b = 0;  // constant: the value; uniform: low, high; normal: mean, deviation
};

// The values of a state: a function of (seed, name) and nothing else. Element e is word e of the stream
// `init/` + name at step 0 (runtime/execute/random.h), mapped in f64 and rounded to `dtype` (f32 or f64) once.
HostTensor initial_value(const Initialiser&, const std::string& name, DType dtype, const Shape&, uint64_t seed);

}  // namespace gmc
