// Names in packages, and whether a package holds together.
#pragma once

#include "runtime/execute/message.h"
#include "runtime/execute/package.h"

namespace gmc::execute {

// Checks everything that running a package relies on: tables within `bytes`, strings that end, operands and buffers in
// range. `bytes` 0 means: as many as the package says.
Status validate(const Package*, uint64_t bytes, Message*);

// Indices of the named thing, or -1. Inputs and outputs are counted from the entry's first one.
int64_t find_entry(const Package*, const char* name);
int64_t find_state(const Package*, const char* name);
int64_t find_input(const Package*, const Entry&, const char* name);
int64_t find_output(const Package*, const Entry&, const char* name);

inline const Entry& entry_at(const Package* p, uint64_t i) { return table<Entry>(p, p->entries)[i]; }
inline const Step& step_at(const Package* p, uint64_t i) { return table<Step>(p, p->steps)[i]; }
inline const Buffer& buffer_at(const Package* p, uint64_t i) { return table<Buffer>(p, p->buffers)[i]; }
inline const Tensor& state_at(const Package* p, uint64_t i) { return table<Tensor>(p, p->states)[i]; }
inline const Tensor& input_of(const Package* p, const Entry& e, uint64_t i) {
  return table<Tensor>(p, p->tensors)[e.first_input + i];
}
inline const Tensor& output_of(const Package* p, const Entry& e, uint64_t i) {
  return table<Tensor>(p, p->tensors)[e.first_output + i];
}

// Names of gmc::DType, bytes of an element (0: no such type).
const char* dtype_name(uint32_t dtype);
uint64_t dtype_bytes(uint32_t dtype);

}  // namespace gmc::execute
