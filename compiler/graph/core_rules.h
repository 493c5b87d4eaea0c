// What the paragraphs of the core ops share.
#pragma once

#include "compiler/graph/core_ops.h"
#include "runtime/base/error.h"

#include <algorithm>

namespace gmc::graph {

using Types = std::span<const TensorType>;
using Vars = std::span<const Var>;

template <class T>
const T& get(const Attributes& attributes, const char* key) {
  auto it = attributes.find(key);
  if (it == attributes.end() || !std::holds_alternative<T>(it->second))
    fail("attribute '{}' is missing or of another kind", key);
  return std::get<T>(it->second);
}

inline bool get_flag(const Attributes& attributes, const char* key) {
  auto it = attributes.find(key);
  return it != attributes.end() && std::holds_alternative<bool>(it->second) && std::get<bool>(it->second);
}

// `extent` with so many elements in front of it and behind it, or that many less; -1 where more is cut off at an end
// than there is. Throws where it overflows.
inline int64_t padded_extent(int64_t extent, int64_t low, int64_t high) {
  if (low < -extent || high < -extent) return -1;
  const int64_t longer = checked_add(checked_add(extent, std::max<int64_t>(0, low)), std::max<int64_t>(0, high));
  return longer + std::min<int64_t>(0, low) + std::min<int64_t>(0, high);
}

// The value that an element of dtype `from` becomes in dtype `to`, as `cast` defines it; floating results stay as they
// are.
double to_dtype(DType to, DType from, double value);

// A dtype as a parameter of a routine. Halves are computed in f32, so routines do not know them.
inline int64_t number_of(const TensorType& type) {
  if (is_half(type.dtype)) fail("the runtime has no routine for {}", name_of(type.dtype));
  if (type.shape.size() > 16) fail("{} has more dimensions than the 16 of routines", to_string(type));
  return static_cast<int64_t>(type.dtype);
}

inline DType get_dtype(const Attributes& attributes) {
  const std::string& name = get<std::string>(attributes, "dtype");
  if (auto dtype = dtype_named(name)) return *dtype;
  fail("unknown dtype '{}'", name);
}

}  // namespace gmc::graph
