// Sound in the RIFF WAVE format (Microsoft & IBM, "Multimedia Programming Interface and Data Specifications 1.0",
// 1991).
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/files/reader.h"

namespace gmc::files {

struct Sound {
  int64_t rate = 0;   // samples a second
  HostTensor values;  // f32 [samples, channels]; integers as fractions of their range, in [-1, 1)
};

// PCM of 8 (unsigned), 16, 24 or 32 bits, or f32, which must be finite; WAVE_FORMAT_EXTENSIBLE of these. Other chunks
// are passed over. Throws `Error` with source, byte offset, field, expected and got.
Sound parse_wav(Bytes bytes, const std::string& source);
Sound load_wav(const std::string& path);

}  // namespace gmc::files
