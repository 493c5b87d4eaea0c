// Walks over the elements of dense tensors, for the reference interpreter and for folding.
#pragma once

#include "runtime/base/shape.h"

namespace gmc::graph {

// Row-major strides in elements.
inline Shape dense_strides(const Shape& shape) {
  Shape strides(shape.size());
  int64_t next = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = next;
    next *= shape[i];
  }
  return strides;
}

// Calls visit(linear, offset) for every element of `shape` in row-major order, offset = base + sum of index * stride.
template <class Visit>
void for_each_element(const Shape& shape, const Shape& strides, int64_t base, Visit visit) {
  const int64_t count = element_count(shape);
  Shape index(shape.size(), 0);
  int64_t offset = base;
  for (int64_t linear = 0; linear < count; ++linear) {
    visit(linear, offset);
    for (size_t d = shape.size(); d-- > 0;) {
      offset += strides[d];
      if (++index[d] < shape[d]) break;
      offset -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

}  // namespace gmc::graph
