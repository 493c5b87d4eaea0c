// Matrices of a batch in scratch, as f64: factorisations of f32 are computed in f64 and rounded once.
#pragma once

#include "runtime/routines/elements.h"

namespace gmc::routines {

inline void load(double* to, const void* from, int64_t dtype, int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    to[i] = dtype == of_f64 ? static_cast<const double*>(from)[first + i]
                            : static_cast<double>(static_cast<const float*>(from)[first + i]);
}
inline void store(void* to, const double* from, int64_t dtype, int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (dtype == of_f64)
      static_cast<double*>(to)[first + i] = from[i];
    else
      static_cast<float*>(to)[first + i] = static_cast<float>(from[i]);
  }
}

}  // namespace gmc::routines
