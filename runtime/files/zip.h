// Archives of files (PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", version 6.3), as NumPy writes .npz.
#pragma once

#include "runtime/files/reader.h"

#include <map>

namespace gmc::files {

// By content: it begins with `PK` and a local or an end record.
bool is_zip(Bytes bytes);

// The members by name, stored or deflated; sizes and checksums must agree. Throws `Error` with source, byte offset,
// field, expected and got: archives of several parts, encrypted or repeated members, other methods, and archives above
// 4 GB (zip64) are refused.
std::map<std::string, std::vector<std::byte>> parse_zip(Bytes bytes, const std::string& source);

}  // namespace gmc::files
