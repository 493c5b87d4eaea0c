#include "runtime/base/dtype.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace gmc {
namespace {

struct Row {
  std::string_view name;
  size_t size;
  bool is_float;
};

constexpr std::array<Row, 9> rows{{{"f32", 4, true},
                                   {"f16", 2, true},
                                   {"bf16", 2, true},
                                   {"f64", 8, true},
                                   {"i32", 4, false},
                                   {"i64", 8, false},
                                   {"i8", 1, false},
                                   {"u8", 1, false},
                                   {"bool", 1, false}}};

const Row& row(DType t) { return rows[static_cast<size_t>(t)]; }

}  // namespace

size_t size_of(DType t) { return row(t).size; }
std::string_view name_of(DType t) { return row(t).name; }
bool is_float(DType t) { return row(t).is_float; }

double rounded_to(DType t, double value) {
  if (t == f32) return static_cast<float>(value);
  if ((t != f16 && t != bf16) || value == 0 || !std::isfinite(value)) return value;
  const int digits = t == f16 ? 11 : 8, lowest = t == f16 ? -14 : -126, highest = t == f16 ? 15 : 127;
  // One unit in the last place; below the lowest exponent it stays the same.
  const int last = std::max(std::ilogb(value), lowest) - digits + 1;
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -last)), last);
  const bool fits = std::ilogb(rounded) <= highest || rounded == 0;
  return fits ? rounded : std::copysign(std::numeric_limits<double>::infinity(), value);
}

std::optional<DType> dtype_named(std::string_view name) {
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i].name == name) return static_cast<DType>(i);
  return std::nullopt;
}

}  // namespace gmc
