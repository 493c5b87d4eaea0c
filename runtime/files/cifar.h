// The binary version of CIFAR-10 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009): records
// of a label, 0 to 9, and 3 x 32 x 32 bytes, red, green, blue.
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/files/reader.h"

namespace gmc::files {

struct Cifar {
  HostTensor images;  // u8 [N, 3, 32, 32]
  std::vector<int64_t> labels;
};

// Throws `Error` with source, byte offset, field, expected and got.
Cifar parse_cifar(Bytes bytes, const std::string& source);

}  // namespace gmc::files
