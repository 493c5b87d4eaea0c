// The state of a context from and to the safetensors format, without any library.
#pragma once

#include "runtime/execute/executor.h"

namespace gmc::execute {

// Copies tensors of a safetensors block into the states of the same names. Dtypes and shapes must agree; every
// parameter must be there; other states that are missing keep their values; tensors that are no state are skipped.
// Nothing is copied on failure.
Status load_state(Context&, const void* safetensors, uint64_t bytes, Message*);

// Writes all states to a file. The file is complete or absent: it is written under a temporary name and renamed.
Status save_state(const Context&, const char* path, Message*);

}  // namespace gmc::execute
