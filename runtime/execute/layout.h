// Where the buffers of a package lie in memory: one block, or guarded pages each.
#pragma once

#include "runtime/execute/executor.h"
#include "runtime/execute/memory.h"

namespace gmc::execute {

// Owns the memory of a context and knows the address of each buffer. Inputs and outputs have one only in guard mode.
class Layout {
public:
  ~Layout();
  Status set_up(const Package*, const Options&, int threads, Message*);

  // Null for inputs and outputs outside guard mode, which are given with each call.
  char* buffer(uint64_t index) const { return buffers_[index]; }
  char* state(uint64_t index) const { return states_[index]; }
  char* scratch(int worker) const { return scratch_[worker]; }

  // Guard mode: fills arena, outputs and scratch with 0xff, which is NaN in every float type.
  void poison();
  // Guard mode: the first buffer just below which something has been written, or -1.
  int64_t damaged() const;

private:
  Status set_up_block(const Options&, int threads, Message*);
  Status set_up_guarded(int threads, Message*);
  Status guard_states(Message*);
  bool guard(Pages& pages, uint64_t bytes, Message*);

  const Package* package_ = nullptr;
  Pages block_;
  Pages* guarded_ = nullptr;  // of each buffer, of each state, of each worker's scratch
  uint64_t guarded_count_ = 0;
  char **buffers_ = nullptr, **states_ = nullptr, **scratch_ = nullptr;
};

}  // namespace gmc::execute
