// Extents of a tensor, row-major. Rank 0 is a scalar with one element.
#pragma once

#include "runtime/base/dtype.h"

#include <cstdint>
#include <string>
#include <vector>

namespace gmc {

using Shape = std::vector<int64_t>;

// a * b and a + b for sizes; throws `Error` on overflow or a negative operand. `what` names the quantity in the
// message.
int64_t checked_mul(int64_t a, int64_t b, const char* what = "size");
int64_t checked_add(int64_t a, int64_t b, const char* what = "size");

// Product of the extents, checked.
int64_t element_count(const Shape&);
// Bytes of a dense tensor, checked.
int64_t byte_size(DType, const Shape&);
// `[128, 784]`.
std::string to_string(const Shape&);

}  // namespace gmc
