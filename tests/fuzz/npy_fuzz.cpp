#include "runtime/files/npy.h"

#include "tests/fuzz/fuzz.h"

namespace gmc::fuzz {

std::vector<Seed> seeds() {
  std::vector<Seed> result;
  for (const DType dtype : {f64, f32, f16, i64, i32, i8, u8, boolean})
    result.push_back(files::format_npy(filled(dtype, {2, 3})));
  result.push_back(files::format_npy(filled(f32, {})));
  result.push_back(files::format_npy(filled(f32, {2, 0, 3})));
  // Column by column, and version 2.0, which gmc reads only.
  const std::string header = "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3, 1), }\n";
  std::string text("\x93NUMPY\x02\0", 8);
  text += {static_cast<char>(header.size()), '\0', '\0', '\0'};
  result.push_back(seed_of(text + header + std::string(24, 'x')));
  return result;
}

void read(files::Bytes bytes) {
  HostTensor tensor;
  if (!reads([&] { tensor = files::parse_npy(bytes, "file"); })) return;
  require_whole(tensor);
  require(equal(files::parse_npy(files::format_npy(tensor), "file"), tensor), "a tensor changes when written");
}

}  // namespace gmc::fuzz
