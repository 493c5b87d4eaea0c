// Runs the entries of a package: memory planned at compile time, a pool of threads, no allocation while running.
//
// Results are a function of the package, its kernels and the arguments: neither the number of threads nor their timing
// matters.
#pragma once

#include "runtime/execute/message.h"
#include "runtime/execute/package.h"

#include <stddef.h>

namespace gmc::execute {

// A library of kernels. `create` runs when a context is made; `run` may be called by several workers at once, each with
// its own number. A null table means that the package may not hold library calls.
struct Libraries {
  const char* name;
  // A handle for products of this kind, with scratch for `workers` workers; null after reporting.
  void* (*matmul_create)(const MatmulCall* call, int workers, Message* message);
  // Rows [tile * rows_per_tile, ...) of the product whose whole operands are given; bias may be null. False: failed.
  bool (*matmul_run)(void* handle, int worker, uint64_t tile, const void* a, const void* b, void* c, const void* bias);
  void (*matmul_destroy)(void* handle);
};

struct Options {
  int threads = 0;                       // 1 to max_threads; 0: as many as there are CPUs
  void* memory = nullptr;                // memory_bytes() bytes, aligned to 64, zero-filled; null: the context's own
  uint64_t memory_size = 0;              // bytes of `memory`
  const Libraries* libraries = nullptr;  // outlives the context
  // Every buffer lies in pages of its own between pages that trap, inputs and outputs are copied there and back, and
  // all that a call must not read before writing it is filled with NaN (0xff). Needs the context's own memory.
  bool guard = false;
  // Records the steps instead of running them; functions and libraries may be null. See Context::record().
  bool null_device = false;
};

// Who wants to see results grow: `trip` is called on the thread that runs the entry, after every trip of a loop that
// stands in no other one.
struct Watch {
  void (*trip)(void* user);
  void* user;
};

struct Record {
  const char* name;
  StepKind kind;
  uint64_t tiles;
};

// Bytes of Options::memory: arena, state and scratch of `threads` workers.
uint64_t memory_bytes(const Package*, int threads);

class Context {
public:
  // The package is validated; it and the functions (Package::function_count of them) outlive the context. State is
  // zero-filled. Null after reporting.
  static Context* create(const Package*, const Kernel* functions, const Options&, Message*);
  static void destroy(Context*);

  // Runs one entry. `inputs` and `outputs` are dense arrays in the order of the entry's tables; outputs must not
  // overlap anything else. `step_times`, if given, gets step_count durations in ns; a step that runs several times
  // has their sum, a loop or cond that of all it ran. What a loop stacks where the caller wants it is there, up to the
  // last trip, when `watch` is called. One call at a time for each context.
  Status run(uint64_t entry, uint64_t seed, uint64_t step, const void* const* inputs, void* const* outputs, Message*,
             uint64_t* step_times = nullptr, const Watch* watch = nullptr);

  // The dense row-major values of Package::states[index]; valid until the context is destroyed. Null: no such state.
  void* state(uint64_t index) const;
  const Package* package() const;
  int threads() const;

  // The steps of the last run of a null device.
  const Record* record() const;
  uint64_t record_count() const;

private:
  struct Impl;
  Context() = default;
  Impl* impl_ = nullptr;
};

}  // namespace gmc::execute
