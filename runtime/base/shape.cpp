#include "runtime/base/shape.h"

#include "runtime/base/error.h"

#include <fmt/ranges.h>

namespace gmc {

int64_t checked_mul(int64_t a, int64_t b, const char* what) {
  int64_t result = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &result)) fail("{} overflows: {} * {}", what, a, b);
  return result;
}

int64_t checked_add(int64_t a, int64_t b, const char* what) {
  int64_t result = 0;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &result)) fail("{} overflows: {} + {}", what, a, b);
  return result;
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) count = checked_mul(count, extent, "number of elements");
  return count;
}

int64_t byte_size(DType dtype, const Shape& shape) {
  return checked_mul(element_count(shape), static_cast<int64_t>(size_of(dtype)), "bytes of a tensor");
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace gmc
