// One array in NumPy's .npy format, versions 1.0 and 2.0 (NEP 1, "A simple file format for NumPy arrays").
//
// The header is a dictionary literal with the keys descr, fortran_order and shape, at most 64 KiB; it is read by a
// small grammar of its own and never evaluated. descr: <f8 <f4 <f2 <i8 <i4 |i1 |u1 |b1. Objects, big-endian and other
// types are refused by name; the data must have exactly the size that shape and type demand. Fortran order is turned
// into row order.
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/files/reader.h"

namespace gmc::files {

// Throw `Error` with source, byte offset, field, expected and got.
HostTensor parse_npy(Bytes bytes, const std::string& source);
HostTensor load_npy(const std::string& path);

// Version 1.0, data aligned to 64 bytes. bf16 has no name in the format and is
// refused.
std::vector<std::byte> format_npy(const HostTensor& tensor);
// The same, written atomically.
void save_npy(const std::string& path, const HostTensor& tensor);

}  // namespace gmc::files
