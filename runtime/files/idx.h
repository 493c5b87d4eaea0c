// The IDX format of the MNIST files (LeCun, Cortes, Burges, "The MNIST database of handwritten digits").
//
//   00 00 08 rank | rank big-endian u32 extents | u8 data, row-major
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/files/reader.h"

namespace gmc::files {

// u8 of rank 1 to 4, plain or compressed with gzip (recognised by content). Throws `Error` with source, byte offset,
// field, expected and got; offsets in compressed files count decompressed bytes where the source says so.
HostTensor parse_idx(Bytes bytes, const std::string& source);
HostTensor load_idx(const std::string& path);

}  // namespace gmc::files
