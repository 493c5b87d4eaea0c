// How a state starts.
#pragma once

#include "runtime/base/shape.h"

#include <cstdint>
#include <string>

namespace gmc {

struct HostTensor;

struct Initialiser {
  // rotation: a part of P L U = Q, an orthogonal matrix; the states of one module have parts of one matrix.
  enum class Kind { constant, uniform, normal, rotation };
  Kind kind = Kind::constant;
  double a = 0, b = 0;  // constant: the value; uniform: low, high; normal: mean, deviation; rotation: the part
};

// The parts: permutation, L [n, n] with ones on the diagonal, U [n, n]; signs and logarithms of U's diagonal [n].
enum class RotationPart { permutation, lower, upper, sign, log_diagonal };

// The values of a state: a function of (seed, name) and nothing else. Element e is word e of the stream
// `init/` + name at step 0 (runtime/execute/random.h), mapped in f64 and rounded to `dtype` (f32 or f64) once. Of a
// rotation the stream is that of the module, `init/` and the name up to its last dot: Q is the orthogonal factor of
// what standard normal numbers make, hence uniform among orthogonal matrices (Stewart 1980).
HostTensor initial_value(const Initialiser&, const std::string& name, DType dtype, const Shape&, uint64_t seed);

}  // namespace gmc
