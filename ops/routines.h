// What the paragraphs of ops that are calls of the runtime share.
#pragma once

#include "ops/rules.h"

namespace gmc::ops {

// A tensor as [outer, n, inner] around the axis `axis`.
struct Along {
  int64_t outer = 1, n = 1, inner = 1;
  int64_t lines() const { return outer * inner; }
  // Lines that hold at least `elements`, in whole blocks of 16 where they lie side by side.
  int64_t lines_a_tile(int64_t elements) const {
    const int64_t lines = std::max<int64_t>(1, elements / std::max<int64_t>(1, n));
    return inner == 1 ? lines : (lines + 15) / 16 * 16;
  }
};

inline Along along(const Shape& shape, int64_t axis) {
  Along a;
  for (int64_t d = 0; d < std::ssize(shape); ++d)
    (d < axis ? a.outer : d == axis ? a.n : a.inner) *= shape[static_cast<size_t>(d)];
  return a;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace gmc::ops
