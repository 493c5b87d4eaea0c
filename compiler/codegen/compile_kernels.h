// The face of code generation: kernels in, object code out. No LLVM type here.
#pragma once

#include "compiler/codegen/target.h"
#include "compiler/kernel/kernel.h"

#include <string>
#include <vector>

namespace gmc::codegen {

// A buffer that generated code is given: a parameter of the kernel, or numbers.
struct Argument {
  int parameter = -1;
  std::vector<int64_t> numbers;
};
// What running a kernel takes: functions that are called one after the other, each for all its tiles.
struct TileFunction {
  std::string symbol;
  int64_t tiles = 0;
  std::vector<Argument> arguments;
};
struct KernelCode {
  std::vector<TileFunction> functions;
  int64_t scratch_bytes = 0;  // per worker
};

struct ObjectCode {
  std::string name;
  std::string bytes;              // the same for JIT and AOT
  std::string llvm_ir, assembly;  // when asked for
};

struct Code {
  std::vector<KernelCode> kernels;  // in the order given
  std::vector<ObjectCode> objects;  // each function is in one of them
};

// Adds the temporaries that the target's code for the kernel needs, after its parameters; returns how many.
int prepare(kernel::Kernel&, const Target&);

// Compiles the kernels with `jobs` threads (0: one a CPU). Regions that do the same to other buffers, of other sizes,
// share their function, whose symbol is a hash of what it does; functions that are alike share an object. The objects
// depend on the kernels and the target only.
Code compile_kernels(const std::vector<const kernel::Kernel*>&, const Target&, int jobs, bool keep_text);

}  // namespace gmc::codegen
