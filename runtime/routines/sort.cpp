// Sorts lines along one axis of [outer, n, inner] by keys whose order as unsigned numbers is that of the elements;
// equal elements stay in order. Parameters: dtype, descending, n, inner, lines (outer * inner), lines a tile, how many
// elements of a sorted line are kept. Operand: x. Results: the first elements in order, NaN last; i64, where they come
// from. Scratch: 32 n bytes.
#include "runtime/routines/elements.h"
#include "runtime/routines/routines.h"

#include <string.h>

namespace gmc::routines {
namespace {

struct Item {
  uint64_t key;
  int64_t index;
};

template <int bytes>
struct Unsigned;
template <>
struct Unsigned<1> {
  using type = uint8_t;
};
template <>
struct Unsigned<4> {
  using type = uint32_t;
};
template <>
struct Unsigned<8> {
  using type = uint64_t;
};

template <class T>
uint64_t key_of(T value, bool descending) {
  using Bits = typename Unsigned<sizeof(T)>::type;
  constexpr auto sign = static_cast<Bits>(Bits{1} << (8 * sizeof(T) - 1)), all = static_cast<Bits>(~Bits{0});
  if (value != value) return all;
  if constexpr (is_floating<T>) value = value + T{0};  // -0 and 0 are equal
  Bits bits;
  memcpy(&bits, &value, sizeof bits);
  if constexpr (is_floating<T>)
    bits = static_cast<Bits>(bits & sign ? ~bits : bits | sign);
  else if constexpr (static_cast<T>(-1) < static_cast<T>(0))
    bits = static_cast<Bits>(bits ^ sign);
  return descending ? static_cast<Bits>(~bits) : bits;
}

void insertion_sort(Item* items, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    const Item item = items[i];
    int64_t j = i;
    for (; j > 0 && items[j - 1].key > item.key; --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

// By the lowest byte first; each pass keeps the order of equals. The result is in `items` again.
void radix_sort(Item* items, Item* other, int64_t n, int bytes) {
  Item* from = items;
  for (int byte = 0; byte < bytes; ++byte) {
    const int shift = 8 * byte;
    int64_t starts[257] = {};
    for (int64_t i = 0; i < n; ++i) ++starts[(from[i].key >> shift & 255) + 1];
    if (starts[(from[0].key >> shift & 255) + 1] == n) continue;
    for (int b = 0; b < 256; ++b) starts[b + 1] += starts[b];
    Item* to = from == items ? other : items;
    for (int64_t i = 0; i < n; ++i) to[starts[from[i].key >> shift & 255]++] = from[i];
    from = to;
  }
  if (from != items) memcpy(items, from, static_cast<size_t>(n) * sizeof(Item));
}

}  // namespace
}  // namespace gmc::routines

extern "C" void gmc_sort(void* const* buffers, uint64_t begin, uint64_t end, void* scratch,
                         const gmc::execute::RunParameters*) {
  using namespace gmc::routines;
  const auto* p = static_cast<const int64_t*>(buffers[0]);
  const int64_t n = p[2], inner = p[3], tile = p[5], kept = p[6];
  const int64_t last = least(p[4], static_cast<int64_t>(end) * tile);
  auto* items = static_cast<Item*>(scratch);
  auto* indices = static_cast<int64_t*>(buffers[3]);
  with_type(p[0], [&](auto type) {
    using T = typename decltype(type)::type;
    const T* from = static_cast<const T*>(buffers[1]);
    T* values = static_cast<T*>(buffers[2]);
    for (int64_t line = static_cast<int64_t>(begin) * tile; line < last; ++line) {
      const T* x = from + line / inner * n * inner + line % inner;
      for (int64_t i = 0; i < n; ++i) items[i] = {key_of(x[i * inner], p[1] != 0), i};
      if (n < 64)
        insertion_sort(items, n);
      else
        radix_sort(items, items + n, n, static_cast<int>(sizeof(T)));
      const int64_t at = line / inner * kept * inner + line % inner;
      for (int64_t i = 0; i < kept; ++i) {
        values[at + i * inner] = x[items[i].index * inner];
        indices[at + i * inner] = items[i].index;
      }
    }
  });
}
