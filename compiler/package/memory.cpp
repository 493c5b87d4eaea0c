#include "compiler/package/memory.h"

#include "runtime/base/shape.h"

#include <algorithm>
#include <numeric>

namespace gmc::package {

int64_t plan_memory(std::vector<Interval>& intervals) {
  std::vector<size_t> order(intervals.size()), placed;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return intervals[a].bytes > intervals[b].bytes; });
  auto rounded = [](int64_t bytes) { return checked_add(bytes, 63, "arena") / 64 * 64; };
  int64_t total = 0;
  for (size_t i : order) {
    Interval& mine = intervals[i];
    int64_t offset = 0;
    // `placed` is sorted by offset: walk up until a gap is wide enough.
    for (size_t j : placed) {
      const Interval& other = intervals[j];
      if (other.last < mine.first || mine.last < other.first) continue;
      if (checked_add(offset, rounded(mine.bytes), "arena") <= other.offset) break;
      offset = std::max(offset, other.offset + rounded(other.bytes));
    }
    mine.offset = offset;
    total = std::max(total, checked_add(offset, rounded(mine.bytes), "arena"));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                   [&](size_t a, size_t b) { return intervals[a].offset < intervals[b].offset; }),
                  i);
  }
  return total;
}

}  // namespace gmc::package
