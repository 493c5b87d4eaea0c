#include "runtime/base/dtype.h"

#include <array>

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

std::optional<DType> dtype_named(std::string_view name) {
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i].name == name) return static_cast<DType>(i);
  return std::nullopt;
}

}  // namespace gmc
