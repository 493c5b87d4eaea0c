// Tables of numbers as the bytes that tensors have in memory.
#pragma once

#include "runtime/base/dtype.h"

#include <string>
#include <vector>

namespace gmc::package {

// Each value rounded to the nearest of the dtype, ties to even; integers must lie in its range. Little-endian.
std::string bytes_of(DType, const std::vector<double>& values);

}  // namespace gmc::package
