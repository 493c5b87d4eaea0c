// Decompression of gzip files (RFC 1952), bounded. zlib is used here and nowhere else but for the checksums of png.cpp.
#pragma once

#include "runtime/files/reader.h"

namespace gmc::files {

// By content: the magic bytes 1f 8b.
bool is_gzip(Bytes bytes);

// The first `count` decompressed bytes, or fewer if the stream ends or breaks off before: enough to learn from a
// format's header how much there should be.
std::vector<std::byte> gunzip_prefix(Bytes bytes, const std::string& source, int64_t count);

// The whole stream, whose checksum and length must agree. Memory follows what is really there, never what a header
// claims. Throws `Error` with the byte offset in the compressed file if the stream is damaged, ends early, holds more
// than `limit` bytes, or is followed by anything.
std::vector<std::byte> gunzip(Bytes bytes, const std::string& source, int64_t limit);

}  // namespace gmc::files
