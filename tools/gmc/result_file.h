// Results to files: .png, .npy, .txt.
#pragma once

#include "compiler/package/session.h"
#include "runtime/base/tensor.h"

#include <string>

namespace gmc::tool {

// Throws `Error` (usage) unless the name ends in .png, .npy or .txt.
void check_result_file(const std::string& path);
// .png: rows of length h * h or 3 * h * h, [N, h, w] or [N, c, h, w], values in [0, 1]. .txt: one row a line.
void write_result(const std::string& path, const HostTensor&);

// ceil(count / batch) calls of an entry without inputs, with step = number of the call; the first `count` rows.
HostTensor sample(package::Session&, const std::string& entry, int64_t count, uint64_t seed);

}  // namespace gmc::tool
