#include "runtime/routines/routines.h"

using gmc::execute::Kernel;

// Kernels as one: its tiles are theirs, one kernel's after the other's. Parameters: how many kernels there are; for
// each the number of its function, of its tiles and of its buffers. Then the buffers, likewise one's after the other's.
extern "C" void gmc_side_by_side(void* const* buffers, uint64_t begin, uint64_t end, void* scratch,
                                 const gmc::execute::RunParameters* run) {
  const auto* p = static_cast<const int64_t*>(buffers[0]);
  void* const* own = buffers + 1;
  uint64_t first = 0;
  for (int64_t i = 0; i < p[0] && first < end; ++i) {
    const int64_t* part = p + 1 + 3 * i;
    const uint64_t last = first + static_cast<uint64_t>(part[1]);
    const uint64_t from = begin > first ? begin : first, to = end < last ? end : last;
    if (from < to) run->functions[part[0]](own, from - first, to - first, scratch, run);
    own += part[2];
    first = last;
  }
}
