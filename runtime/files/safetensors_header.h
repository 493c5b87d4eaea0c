// The JSON header of a safetensors file, before anything is believed about the data.
#pragma once

#include "runtime/files/safetensors.h"

namespace gmc::files {

inline constexpr int64_t max_safetensors_header = 100'000'000;

struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  int64_t begin = 0, end = 0;  // relative to the start of the data
  int64_t offset = 0;          // where the entry stands in the file, for messages
};

// The dtype that the format calls `F32`, ..., and back.
std::optional<DType> safetensors_dtype(std::string_view name);
std::string_view safetensors_name(DType dtype);

// The entries in the order of the file. `file` stands at the start of the header, whose `bytes` are UTF-8 JSON if they
// are accepted; it is asked only to refuse. Sizes and offsets are not compared with each other here.
std::vector<SafetensorsEntry> parse_safetensors_header(const Reader& file, Bytes bytes, Metadata* metadata);

}  // namespace gmc::files
