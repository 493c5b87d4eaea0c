#include "runtime/data/permutation.h"

#include "runtime/execute/random.h"

#include <bit>

namespace gmc::data {

int64_t permuted(uint64_t key, int64_t count, int64_t i) {
  if (count < 2) return 0;
  const auto n = static_cast<uint64_t>(count);
  const auto half = static_cast<uint64_t>(std::bit_width(n - 1) + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  auto x = static_cast<uint64_t>(i);
  do {
    uint64_t left = x >> half, right = x & mask;
    for (uint64_t round = 0; round < 6; ++round) {
      const uint64_t next = left ^ (execute::fold(execute::fold(key, round), right) & mask);
      left = right;
      right = next;
    }
    x = left << half | right;
  } while (x >= n);
  return static_cast<int64_t>(x);
}

}  // namespace gmc::data
