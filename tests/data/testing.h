// What the tests of data share.
#pragma once

#include "runtime/data/dataset.h"
#include "tests/files/testing.h"

namespace gmc::data::testing {

using files::testing::error_of;
using files::testing::TemporaryFolder;
using files::testing::write_plainly;

// What a data set puts into inputs.
inline std::vector<HostTensor> drawn(const Dataset& data, const Draw& d, const std::vector<Slot>& slots) {
  std::vector<HostTensor> out;
  std::vector<void*> to;
  for (const Slot& slot : slots) out.emplace_back(slot.dtype, slot.shape);
  for (HostTensor& t : out) to.push_back(t.bytes.data());
  data.draw(d, slots, to);
  return out;
}

inline std::string spec_error(const std::string& spec, const std::string& prepare = {}) {
  return error_of([&] { load_dataset(spec, prepare); });
}

inline std::vector<float> floats(const HostTensor& t) { return {t.as<float>(), t.as<float>() + t.count()}; }
inline std::vector<int64_t> numbers(const HostTensor& t) { return {t.as<int64_t>(), t.as<int64_t>() + t.count()}; }

// All samples of a part, in order, in a batch of that size.
inline HostTensor whole(const Dataset& data, Part part, const Shape& shape) {
  return drawn(data, {part, Order::sequential, 0, 0}, {{"x", DType::f32, shape}})[0];
}

}  // namespace gmc::data::testing
