#include "runtime/files/reader.h"

#include "runtime/files/descriptor.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gmc::files {

Bytes Reader::take(int64_t count, std::string_view field) {
  if (count < 0 || count > remaining())
    refuse(offset_, field, fmt::format("{} byte{}", count, count == 1 ? "" : "s"), fmt::to_string(remaining()));
  const Bytes result = bytes_.subspan(static_cast<size_t>(offset_), static_cast<size_t>(count));
  offset_ = checked_add(offset_, count, "offset");
  return result;
}

void Reader::expect_end(std::string_view field) const {
  if (remaining() != 0) refuse(offset_, field, "the end of the file", fmt::format("{} more bytes", remaining()));
}

int64_t Reader::tensor_bytes(DType dtype, const Shape& shape, int64_t offset, std::string_view field) const {
  try {
    return byte_size(dtype, shape);
  } catch (const Error&) {
    refuse(offset, field, "a size below 2^63 bytes", fmt::format("{} of {}", to_string(shape), name_of(dtype)));
  }
}

void Reader::refuse(int64_t offset, std::string_view field, std::string_view expected, std::string_view got) const {
  fail("{}: byte {}, {}: expected {}, got {}", source_, offset, field, expected, got);
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 40)) {
    if (c >= ' ' && c <= '~')
      result += c;
    else
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return text.size() > 40 ? result + "..." : result;
}

std::vector<std::byte> read_file(const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer before it can be refused.
  const Descriptor file(open_retrying(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) fail("cannot read {}: {}", path, reason(errno));
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) fail("cannot read {}: {}", path, reason(errno));
  if (S_ISDIR(status.st_mode)) fail("cannot read {}: is a directory", path);
  if (!S_ISREG(status.st_mode)) fail("cannot read {}: is not a regular file", path);

  std::vector<std::byte> bytes(static_cast<size_t>(status.st_size));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read {}: {} at byte {}", path, reason(errno), done);
    if (got == 0) fail("cannot read {}: expected {} bytes, but it ends at byte {}", path, bytes.size(), done);
    done += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace gmc::files
