// Scans along one axis of [outer, n, inner]. A lane is one of the outer * inner lines; floats accumulate in f64.
#include "runtime/routines/elements.h"
#include "runtime/routines/routines.h"

namespace gmc::routines {
namespace {

constexpr int64_t most_lanes = 32;

template <class T, bool floating = is_floating<T>>
struct Sum {
  using type = double;
};
template <class T>
struct Sum<T, false> {
  using type = T;
};

struct Lines {
  int64_t reverse, n, inner, lines, tile;  // tile: lines a tile
};

// visit(first element, lanes side by side) for the lines of tiles [begin, end).
template <class Visit>
void for_lanes(const Lines& l, uint64_t begin, uint64_t end, Visit visit) {
  const int64_t last = least(l.lines, static_cast<int64_t>(end) * l.tile);
  for (int64_t line = static_cast<int64_t>(begin) * l.tile; line < last;) {
    const int64_t at = line % l.inner, lanes = least(least(l.inner - at, last - line), most_lanes);
    visit(line / l.inner * l.n * l.inner + at, lanes);
    line += lanes;
  }
}

// step(sum, element of the first step?, offset of the element) along each line.
template <class Acc, class Step>
void scan(const Lines& l, uint64_t begin, uint64_t end, Step step) {
  for_lanes(l, begin, end, [&](int64_t first, int64_t lanes) {
    Acc sums[most_lanes];
    for (int64_t k = 0; k < l.n; ++k) {
      const int64_t row = first + (l.reverse ? l.n - 1 - k : k) * l.inner;
      for (int64_t lane = 0; lane < lanes; ++lane) step(sums[lane], k == 0, row + lane);
    }
  });
}

template <class T, class Combine>
void cumulate(const Lines& l, uint64_t begin, uint64_t end, void* const* buffers, bool exclusive,
              typename Sum<T>::type identity, Combine combine) {
  using Acc = typename Sum<T>::type;
  const T* from = static_cast<const T*>(buffers[1]);
  T* to = static_cast<T*>(buffers[2]);
  if (exclusive)
    return scan<Acc>(l, begin, end, [=](Acc& sum, bool first, int64_t at) {
      if (first) sum = identity;
      to[at] = static_cast<T>(sum);
      sum = combine(sum, static_cast<Acc>(from[at]));
    });
  scan<Acc>(l, begin, end, [=](Acc& sum, bool first, int64_t at) {
    sum = first ? static_cast<Acc>(from[at]) : combine(sum, static_cast<Acc>(from[at]));
    to[at] = static_cast<T>(sum);
  });
}

}  // namespace
}  // namespace gmc::routines

using namespace gmc::routines;

// Parameters: dtype, monoid (sum, prod, max, min), exclusive, then Lines. Operand: x. Result: x accumulated.
extern "C" void gmc_cumulate(void* const* buffers, uint64_t begin, uint64_t end, void*,
                             const gmc::execute::RunParameters*) {
  const auto* p = static_cast<const int64_t*>(buffers[0]);
  const Lines l{p[3], p[4], p[5], p[6], p[7]};
  with_type(p[0], [&](auto type) {
    using T = typename decltype(type)::type;
    using Acc = typename Sum<T>::type;
    const auto run = [&](Acc identity, auto combine) {
      cumulate<T>(l, begin, end, buffers, p[2] != 0, identity, combine);
    };
    if (p[1] == 0) run(0, [](Acc a, Acc b) { return plus(a, b); });
    if (p[1] == 1) run(1, [](Acc a, Acc b) { return times(a, b); });
    if (p[1] == 2) run(0, [](Acc a, Acc b) { return larger(a, b); });
    if (p[1] == 3) run(0, [](Acc a, Acc b) { return smaller(a, b); });
  });
}

// h[k] = a[k] h[k - 1] + b[k], h[0] = b[0]: the first a is not read. Parameters: dtype, then Lines. Operands: a, b.
// Result: h.
extern "C" void gmc_linear_scan(void* const* buffers, uint64_t begin, uint64_t end, void*,
                                const gmc::execute::RunParameters*) {
  const auto* p = static_cast<const int64_t*>(buffers[0]);
  const Lines l{p[1], p[2], p[3], p[4], p[5]};
  with_type(p[0], [&](auto type) {
    using T = typename decltype(type)::type;
    using Acc = typename Sum<T>::type;
    const T *a = static_cast<const T*>(buffers[1]), *b = static_cast<const T*>(buffers[2]);
    T* h = static_cast<T*>(buffers[3]);
    scan<Acc>(l, begin, end, [=](Acc& sum, bool first, int64_t at) {
      const auto added = static_cast<Acc>(b[at]);
      sum = first ? added : plus(times(static_cast<Acc>(a[at]), sum), added);
      h[at] = static_cast<T>(sum);
    });
  });
}
