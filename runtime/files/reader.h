// The one bounded reader of every file parser: a span of bytes, a position, and the name of the field being read.
//
// Nothing is read that was not checked against the end of the span first, and every refusal reads
//   weights.safetensors: byte 8, header: expected 4096 bytes, got 17
#pragma once

#include "runtime/base/error.h"
#include "runtime/base/shape.h"

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gmc::files {

using Bytes = std::span<const std::byte>;

// Does not own the bytes. `source` names the file in messages.
class Reader {
public:
  Reader(Bytes bytes, std::string source) : bytes_(bytes), source_(std::move(source)) {}

  const std::string& source() const { return source_; }
  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }
  int64_t offset() const { return offset_; }
  int64_t remaining() const { return size() - offset_; }

  // The next `count` bytes, which must exist.
  Bytes take(int64_t count, std::string_view field);

  // The next unsigned integer, least or most significant byte first.
  template <std::unsigned_integral T>
  T little(std::string_view field) {
    return assemble<T>(take(sizeof(T), field), false);
  }
  template <std::unsigned_integral T>
  T big(std::string_view field) {
    return assemble<T>(take(sizeof(T), field), true);
  }

  // Refuses bytes after the current position.
  void expect_end(std::string_view field) const;

  // Bytes of a tensor whose shape stands at `offset`; an overflow is a refusal of that place.
  int64_t tensor_bytes(DType dtype, const Shape& shape, int64_t offset, std::string_view field) const;

  // Throws `Error`: `SOURCE: byte OFFSET, FIELD: expected EXPECTED, got GOT`.
  [[noreturn]] void refuse(int64_t offset, std::string_view field, std::string_view expected,
                           std::string_view got) const;

private:
  template <class T>
  static T assemble(Bytes bytes, bool big_endian) {
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
      const T byte = std::to_integer<T>(bytes[big_endian ? sizeof(T) - 1 - i : i]);
      value = static_cast<T>(value | static_cast<T>(byte << (8 * i)));
    }
    return value;
  }

  Bytes bytes_;
  std::string source_;
  int64_t offset_ = 0;
};

// The bytes as text, for messages: printable ASCII as it is, the rest as \xNN, cut after 40 characters.
std::string printable(std::string_view text);

// A whole regular file. Throws `Error` naming the path and the reason: missing, no permission, a directory, not a
// regular file, or changed in size while being read.
std::vector<std::byte> read_file(const std::string& path);

}  // namespace gmc::files
