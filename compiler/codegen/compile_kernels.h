// The face of code generation: kernels in, object code out. No LLVM type here.
#pragma once

#include "compiler/codegen/leaf.h"
#include "compiler/codegen/target.h"
#include "compiler/kernel/kernel.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace gmc::codegen {

// A buffer that code is given: a parameter of the kernel, or numbers. Some of those are functions, by their number in
// the program.
struct Argument {
  int parameter = -1;
  std::vector<int64_t> numbers;
  std::vector<std::pair<size_t, std::string>> functions;  // which numbers, and what for
};
// What running a kernel takes: functions, generated or of the runtime, that are called one after the other, each for
// all its tiles.
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

// What kernels take, and the functions for it that are still to be compiled, in objects.
struct CodePlan {
  std::vector<KernelCode> kernels;  // in the order given
  std::vector<std::vector<Leaf>> objects;
};

// Adds the temporaries that the target's code for the kernel needs, after its parameters; returns how many.
int prepare(kernel::Kernel&, const Target&);

// Regions that do the same to other buffers, of other sizes, share their function, whose symbol is a hash of what it
// does; functions that are alike share an object. Functions that are `known` are somebody else's to compile; the others
// are known afterwards. The objects depend on the kernels and the target only.
inline constexpr size_t most_objects = 16;
CodePlan plan_code(const std::vector<const kernel::Kernel*>&, const Target&, std::set<std::string>& known);
ObjectCode compile_object(const std::vector<Leaf>&, const Target&, bool keep_text);

// All at once, with `jobs` threads (0: one a CPU).
struct Code {
  std::vector<KernelCode> kernels;
  std::vector<ObjectCode> objects;
};
Code compile_kernels(const std::vector<const kernel::Kernel*>&, const Target&, int jobs, bool keep_text);

}  // namespace gmc::codegen
