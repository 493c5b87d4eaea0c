// The C header of a compiled model.
#pragma once

#include "runtime/execute/package.h"

#include <string>

namespace gmc::package {

// `vae-mlp` -> `vae_mlp`: a C identifier; never empty, never a keyword.
std::string c_identifier(const std::string& name);

// A header in C99 (and C++) that declares, for prefix `vae_mlp`, the type `vae_mlp`, functions to open and close one,
// and for each entry an inline function with typed pointers, such as
//   static inline int vae_mlp_step(vae_mlp *m, uint64_t seed, uint64_t step, const float *x, float *loss);
// The shapes stand in the comments. It stands alone: it repeats what it needs of runtime/artifact/capi.h.
//
// The object code beside it defines these symbols, always all of them:
//   P_package         the package's bytes, aligned to 64
//   P_functions       its kernels, an array of pointers
//   P_weights         a safetensors file, at least one byte
//   P_weights_bytes   uint64_t; 0 if no weights are embedded
//   P_runtime         pointers to gmc_open, gmc_close, gmc_run, gmc_error, gmc_state and gmc_save of the runtime: a
//                     program links several models, each a static library that hides its runtime, without a clash
std::string c_header(const execute::Package*, const std::string& prefix);

}  // namespace gmc::package
