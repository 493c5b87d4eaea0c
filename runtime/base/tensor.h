// A dense host tensor: what users pass in and get back, and what files hold.
#pragma once

#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gmc {

struct HostTensor {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<std::byte> bytes;  // row-major, little-endian

  HostTensor() = default;
  // Zero-filled.
  HostTensor(DType d, Shape s) : dtype(d), shape(std::move(s)), bytes(static_cast<size_t>(byte_size(dtype, shape))) {}

  template <class T>
  T* as() {
    return reinterpret_cast<T*>(bytes.data());
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
  int64_t count() const { return element_count(shape); }
};

// Ordered by name, so that whatever is written from it is the same every time.
using TensorMap = std::map<std::string, HostTensor>;

}  // namespace gmc
