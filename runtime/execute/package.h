// The package: everything the executor needs to run the entries of a compiled program, as one block of plain data.
//
// A package is position-independent (offsets from its first byte), so the same bytes are built in memory for the JIT,
// written to a `.gmx` file, and placed in the read-only data of an executable. The code of its kernels travels beside
// it as an array of function pointers, `Step::function` being the index. No C++ library is needed to read one.
#pragma once

#include <stdint.h>

namespace gmc::execute {

inline constexpr uint32_t package_magic = 0x31584d47;  // "GMX1"
inline constexpr uint32_t package_version = 4;
inline constexpr uint32_t max_rank = 8;
inline constexpr uint32_t none = 0xffffffffu;

struct RunParameters;

// One phase of a generated kernel over tiles [begin, end). `buffers` are the step's operands in order. `scratch` is
// private to the worker (Package::scratch_bytes, 64-byte aligned). Tiles are independent of each other.
using Kernel = void (*)(void* const* buffers, uint64_t begin, uint64_t end, void* scratch, const RunParameters* run);

// What kernels see of the current call. Generated code knows the order of the fields.
struct RunParameters {
  uint64_t seed;
  uint64_t step;
  uint64_t loop = 0;                  // flattened index of the loops around: see random.h
  const Kernel* functions = nullptr;  // of the program, for those that call others
};

enum class Space : uint32_t {
  arena,     // planned memory of one call; contents do not outlive it
  state,     // parameters and buffers of the program, shared by all entries, kept between calls
  input,     // given by the caller; Buffer::offset is the index among the entry's inputs
  output,    // given by the caller; Buffer::offset is the index among the entry's outputs
  constant,  // Package::constants
};

// A part of memory that steps work on. Buffers of different calls may overlap; a buffer that shares its contents with
// another one of the arena, the inputs or the outputs (a slice, a reshape, a result written in place) says so in
// `view_of`. A view of one that moves moves itself and comes after it.
struct Buffer {
  Space space;
  uint32_t view_of;  // index + 1 of the buffer (itself no view) that this one is a part of; 0: none
  uint64_t offset;   // bytes from the start of the space, for all but views a multiple of 64 (input, output: an index,
                     // for views too)
  uint64_t view_offset;  // views of inputs and outputs: bytes from the start of the buffer they are a part of; else 0
  uint64_t bytes;
  // In trip i of a loop, a view that moves lies i * stride bytes further on: a slice of what the loop reads or writes.
  int64_t stride = 0;
  uint32_t loop = 0;  // index + 1 of the loop's step; 0: it stays
  uint32_t padding = 0;
};

// A named tensor of the interface: a state, an input or an output.
struct Tensor {
  uint32_t name;   // offset of a 0-terminated string
  uint32_t dtype;  // gmc::DType
  uint32_t rank;
  uint32_t flags;  // state: bit 0 = parameter (weights file), bit 1 = optimizer or other training state; input: bit 0 =
                   // draw that is fed
  int64_t extents[max_rank];
  uint64_t offset;  // state: bytes from the start of the state block
  uint64_t bytes;
};

enum class StepKind : uint32_t {
  launch,  // functions[function] over `tiles` tiles
  copy,    // operand 1 := operand 0 (whole buffers)
  matmul,  // library product: operands A, B, C and, with flag bias, the bias [n]; see MatmulCall
  loop,    // runs the steps that follow a number of times; see ControlCall
  cond,    // runs one part of the steps that follow
};

// Tensor::flags
enum StateFlags : uint32_t { state_parameter = 1, state_training = 2 };
enum InputFlags : uint32_t { input_draw = 1 };

enum MatmulFlags : uint32_t { matmul_transpose_a = 1, matmul_transpose_b = 2, matmul_bias = 4, matmul_relu = 8 };

// C[m, n] = act(op(A)[m, k] op(B)[k, n] + bias[n]), f32, dense row-major.
struct MatmulCall {
  int64_t m, n, k;
  uint32_t flags;
  uint32_t rows_per_tile;  // M is cut into ceil(m / rows_per_tile) tiles, a function of the shape only
};

inline constexpr uint64_t endless = ~uint64_t{0};

// The steps of the parts follow the step itself, those of the first part first; parts may hold loops and conds again.
// Operands of a loop are, besides those named here, the buffers that views move over.
struct ControlCall {
  uint64_t trips;      // loop: at most this many, or endless
  uint64_t bound;      // loop: of its index in the flattened one
  uint32_t first;      // steps of the condition (0: none) of a loop, of the true side of a cond
  uint32_t second;     // steps of the body of a loop, of the false side of a cond
  uint32_t predicate;  // operand that says whether another trip is made, or which side is taken: bool; or none
  uint32_t index;      // loop: operand that each trip's index is written to: i32 or i64; or none
  uint32_t reverse;    // loop: 1: the index counts down to 0
  uint32_t padding;
};

struct Step {
  StepKind kind;
  uint32_t function;       // launch: index of the kernel
  uint32_t first_operand;  // into the table of operands: indices into the table of buffers
  uint32_t operand_count;
  uint64_t tiles;
  uint32_t name;    // for profiles and messages: offset of a string such as `k3.fc1/matmul`
  uint32_t serial;  // 1: too little work to share among threads
  MatmulCall matmul;
  ControlCall control;
};

struct Entry {
  uint32_t name;
  uint32_t first_input, input_count;    // into the table of tensors
  uint32_t first_output, output_count;  // into the table of tensors
  uint32_t first_step, step_count;
  uint32_t padding;
};

// All tables are arrays at the given offset from the package's first byte, 64-byte aligned.
struct Package {
  uint32_t magic;
  uint32_t version;
  uint64_t bytes;  // of the whole block
  uint32_t name;   // of the model
  uint32_t isa;    // features the code needs: see Isa
  uint64_t plan_hash;
  uint64_t arena_bytes, state_bytes, scratch_bytes, constant_bytes;
  uint32_t function_count, buffer_count, operand_count, state_count, tensor_count, step_count, entry_count,
      config;  // config: string, JSON
  uint64_t buffers, operands, states, tensors, steps, entries, constants, strings;
};

enum class Isa : uint32_t { x86_64 = 0, x86_64_v3 = 1, x86_64_v4 = 2, other = 3 };

template <class T>
inline const T* table(const Package* p, uint64_t offset) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(p) + offset);
}
inline const char* string_at(const Package* p, uint32_t offset) {
  return reinterpret_cast<const char*>(p) + p->strings + offset;
}

}  // namespace gmc::execute
