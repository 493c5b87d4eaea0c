// Places buffers in one arena: offsets fixed at compile time.
#pragma once

#include <cstdint>
#include <vector>

namespace gmc::package {

// Alive during steps first..last, both included.
struct Interval {
  int64_t bytes = 0;
  int first = 0, last = 0;
  int64_t offset = -1;  // set by plan_memory, a multiple of 64
};

// Largest first, each at the lowest offset that no buffer alive at the same time covers. Returns the bytes of the
// arena.
int64_t plan_memory(std::vector<Interval>&);

}  // namespace gmc::package
