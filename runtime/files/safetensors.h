// Named tensors in the safetensors format (https://github.com/huggingface/safetensors): weights and checkpoints.
//
//   u64 n, little-endian | n bytes of JSON | data
//   {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
//
// Read under the whole rule set of the reference code: n at most 100,000,000 and inside the file; UTF-8 and JSON,
// leading white space allowed; values strictly typed; tensors cover the data exactly, in any order, without hole,
// overlap or trailer; every size checked for overflow; zero-size and rank-0 tensors allowed. Beyond it, duplicate
// names, unknown fields and `bool` bytes other than 0 and 1 are refused. dtypes F64 F32 F16 BF16 I64 I32 I8 U8 BOOL;
// others are refused by name.
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/files/reader.h"

namespace gmc::files {

using Metadata = std::map<std::string, std::string>;

// The tensors in `bytes`; `source` names them in errors. `metadata`, if given, receives what `__metadata__` holds.
// Throws `Error` with source, byte offset, field, expected and got.
TensorMap parse_safetensors(Bytes bytes, const std::string& source, Metadata* metadata = nullptr);
// The same, of a file.
TensorMap load_safetensors(const std::string& path, Metadata* metadata = nullptr);

// The bytes of a file: a function of the arguments alone. Names stand sorted in the header, which is padded with spaces
// so that the data start at a multiple of 64; the data are ordered by falling element size, then by name, so that every
// element is aligned. Throws `Error` for the name `__metadata__`, names or metadata that are not UTF-8, tensors whose
// bytes do not match their shape, and headers above the format's limit.
std::vector<std::byte> format_safetensors(const TensorMap& tensors, const Metadata& metadata = {});
// The same, written atomically (atomic_write.h).
void save_safetensors(const std::string& path, const TensorMap& tensors, const Metadata& metadata = {});

}  // namespace gmc::files
