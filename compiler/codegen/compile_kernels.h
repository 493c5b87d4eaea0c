// The face of code generation: kernels in, object code out. No LLVM type here.
#pragma once

#include "compiler/codegen/target.h"
#include "compiler/kernel/kernel.h"

#include <map>
#include <string>
#include <vector>

namespace gmc::codegen {

struct KernelSource {
  const kernel::Kernel* kernel;
  std::string symbol;
};

struct Phase {
  std::string symbol;
  int64_t tiles = 0;
};

struct KernelCode {
  std::string object;  // the same bytes for JIT and AOT
  std::vector<Phase> phases;
  int64_t scratch_bytes = 0;      // per worker
  std::string llvm_ir, assembly;  // when asked for
};

// Adds the temporaries that the target's code for the kernel needs, after its parameters; returns how many.
int prepare(kernel::Kernel&, const Target&);

// A symbol that is a function of the kernel's text (names aside): equal kernels share their code. Contains no text of
// the user's.
std::string symbol_of(const kernel::Kernel&);

// Compiles each symbol once, with `jobs` threads (0: one a CPU).
std::map<std::string, KernelCode> compile_kernels(const std::vector<KernelSource>&, const Target&, int jobs,
                                                  bool keep_text);

}  // namespace gmc::codegen
