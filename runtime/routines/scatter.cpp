// Parameters: dtype, dtype of the indices, mode (set, add, mul, max, min), rank r of the whole, rank s of the updates,
// the dimension that tiles cut (-1: none) and the extent of a tile along it; the whole's extents [r], the updates'
// dimension for each of the whole's, -1 where it is indexed [r], the updates' extents [s].
// Operands: the whole, the updates, an index tensor per indexed dimension. Result: the whole, updated.
#include "runtime/routines/elements.h"
#include "runtime/routines/routines.h"

#include <string.h>

namespace gmc::routines {
namespace {

enum : int64_t { set = 0, add, mul, max, min };

struct Call {
  const int64_t* p;
  int64_t rank, space_rank, cut, tile;
  const int64_t *whole, *dims, *space;
  int64_t indexed = 0;
  int64_t axis_extent[max_dimensions] = {}, axis_stride[max_dimensions] = {};  // of indexed dimensions, in order
  int64_t stride[max_dimensions] = {};  // in the whole, of a step along a dimension of the updates
  int64_t inner = 1, outer = 1;         // elements behind and before the dimension that is cut

  explicit Call(const int64_t* parameters)
      : p(parameters), rank(p[3]), space_rank(p[4]), cut(p[5]), tile(p[6]), whole(p + 7), dims(whole + rank),
        space(dims + rank) {
    int64_t strides[max_dimensions];
    int64_t step = 1;
    for (int64_t d = rank; d-- > 0; step *= whole[d]) strides[d] = step;
    for (int64_t d = 0; d < rank; ++d) {
      (d < cut ? outer : inner) *= d == cut ? 1 : whole[d];
      if (dims[d] >= 0) {
        stride[dims[d]] += strides[d];
        continue;
      }
      axis_extent[indexed] = whole[d];
      axis_stride[indexed++] = strides[d];
    }
  }
};

// `combine(into, update)` in row-major order of the updates that tile `t` owns.
template <class T, class Index, class Combine>
void scatter(const Call& c, void* const* buffers, int64_t t, Combine combine) {
  const T *from = static_cast<const T*>(buffers[1]), *updates = static_cast<const T*>(buffers[2]);
  T* to = static_cast<T*>(buffers[3 + c.indexed]);
  const int64_t extent = c.cut < 0 ? 1 : c.whole[c.cut];
  const int64_t low = t * c.tile, high = least(extent, low + c.tile);
  for (int64_t o = 0; o < c.outer; ++o) {
    const int64_t at = (o * extent + low) * c.inner;
    memcpy(to + at, from + at, static_cast<size_t>((high - low) * c.inner) * sizeof(T));
  }
  int64_t first[max_dimensions] = {}, last[max_dimensions], at[max_dimensions];
  for (int64_t s = 0; s < c.space_rank; ++s) last[s] = c.space[s];
  if (c.cut >= 0) {
    const int64_t s = c.dims[c.cut];
    first[s] = low;
    last[s] = least(last[s], high);
  }
  for (int64_t s = 0; s < c.space_rank; ++s) {
    if (first[s] >= last[s]) return;
    at[s] = first[s];
  }
  const auto place = [&](int64_t linear, int64_t offset) {
    for (int64_t i = 0; i < c.indexed; ++i) {
      const auto wanted = static_cast<int64_t>(static_cast<const Index*>(buffers[3 + i])[linear]);
      const int64_t index = wanted < 0 ? 0 : least(wanted, c.axis_extent[i] - 1);
      offset += index * c.axis_stride[i];
    }
    combine(to[offset], updates[linear]);
  };
  if (c.space_rank == 0) return place(0, 0);
  const int64_t row = c.space_rank - 1;
  while (true) {
    int64_t linear = 0, offset = 0;
    for (int64_t s = 0; s < c.space_rank; ++s) {
      linear = linear * c.space[s] + at[s];
      offset += at[s] * c.stride[s];
    }
    for (int64_t i = 0; i < last[row] - first[row]; ++i) place(linear + i, offset + i * c.stride[row]);
    int64_t s = row;
    while (s-- > 0) {
      if (++at[s] < last[s]) break;
      at[s] = first[s];
    }
    if (s < 0) return;
  }
}

template <class T, class Index>
void scatter(const Call& c, void* const* buffers, int64_t t) {
  switch (c.p[2]) {
  case add:
    return scatter<T, Index>(c, buffers, t, [](T& into, T update) { into = plus(into, update); });
  case mul:
    return scatter<T, Index>(c, buffers, t, [](T& into, T update) { into = times(into, update); });
  case max:
    return scatter<T, Index>(c, buffers, t, [](T& into, T update) { into = larger(into, update); });
  case min:
    return scatter<T, Index>(c, buffers, t, [](T& into, T update) { into = smaller(into, update); });
  default:
    return scatter<T, Index>(c, buffers, t, [](T& into, T update) { into = update; });
  }
}

}  // namespace
}  // namespace gmc::routines

extern "C" void gmc_scatter(void* const* buffers, uint64_t begin, uint64_t end, void*,
                            const gmc::execute::RunParameters*) {
  using namespace gmc::routines;
  const Call call(static_cast<const int64_t*>(buffers[0]));
  with_type(call.p[0], [&](auto type) {
    using T = typename decltype(type)::type;
    for (auto t = static_cast<int64_t>(begin); t < static_cast<int64_t>(end); ++t) {
      if (call.p[1] == of_i64)
        scatter<T, int64_t>(call, buffers, t);
      else
        scatter<T, int32_t>(call, buffers, t);
    }
  });
}
