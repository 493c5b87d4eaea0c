#include "runtime/files/zip.h"

#include <algorithm>

#include <zlib.h>

namespace gmc::files {
namespace {

constexpr uint32_t local_magic = 0x04034b50, central_magic = 0x02014b50, end_magic = 0x06054b50;
constexpr int64_t end_size = 22;

struct Member {
  std::string name;
  uint16_t flags, method;
  uint32_t checksum;
  int64_t packed, size, offset;
};

// The directory's place, which the last record of the file says. It may be followed by a comment.
Reader at_directory(Bytes bytes, const std::string& source, uint16_t& count) {
  Reader file(bytes, source);
  int64_t at = file.size() - end_size;
  for (; at >= 0 && at >= file.size() - end_size - 0xffff; --at) {
    Reader end(bytes.subspan(static_cast<size_t>(at)), source);
    if (end.little<uint32_t>("end record") == end_magic) break;
  }
  if (at < 0 || at < file.size() - end_size - 0xffff)
    file.refuse(file.size(), "end record", "'PK\\x05\\x06' before the end", "none");
  file.take(at + 4, "end record");
  const auto disk = file.little<uint16_t>("disk number"), first = file.little<uint16_t>("disk of the directory");
  const auto here = file.little<uint16_t>("members on this disk");
  count = file.little<uint16_t>("members");
  if (disk != 0 || first != 0 || here != count) file.refuse(at + 4, "disk number", "one part", "several");
  file.little<uint32_t>("size of the directory");
  const int64_t begin = file.little<uint32_t>("offset of the directory");
  if (begin > at) file.refuse(at + 16, "offset of the directory", fmt::format("at most {}", at), fmt::to_string(begin));
  Reader directory(bytes.first(static_cast<size_t>(at)), source);
  directory.take(begin, "offset of the directory");
  return directory;
}

Member read_member(Reader& d) {
  const int64_t at = d.offset();
  if (const auto magic = d.little<uint32_t>("member"); magic != central_magic)
    d.refuse(at, "member", "'PK\\x01\\x02'", fmt::format("{:#010x}", magic));
  Member m;
  d.take(4, "versions");
  m.flags = d.little<uint16_t>("flags");
  m.method = d.little<uint16_t>("method");
  d.take(4, "time");
  m.checksum = d.little<uint32_t>("checksum");
  m.packed = d.little<uint32_t>("packed size");
  m.size = d.little<uint32_t>("size");
  const auto name = d.little<uint16_t>("length of the name"), extra = d.little<uint16_t>("length of the extra field");
  const auto comment = d.little<uint16_t>("length of the comment");
  d.take(8, "attributes");
  m.offset = d.little<uint32_t>("offset");
  const Bytes text = d.take(name, "name");
  m.name.assign(reinterpret_cast<const char*>(text.data()), text.size());
  d.take(extra, "extra field");
  d.take(comment, "comment");
  if (m.flags & 1) d.refuse(at + 8, "flags", "no encryption", fmt::format("{:#06x}", m.flags));
  if (m.method != 0 && m.method != 8)
    d.refuse(at + 10, "method", "0 (stored) or 8 (deflated)", fmt::to_string(m.method));
  if (m.size == 0xffffffff || m.packed == 0xffffffff || m.offset == 0xffffffff)
    d.refuse(at + 20, "size", "below 4 GB", "zip64");
  return m;
}

std::vector<std::byte> inflated(Bytes packed, int64_t size, const Reader& file, int64_t at) {
  // Deflate makes at most 1032 bytes of one (RFC 1951): memory follows what is there, not what a header claims.
  if (size > checked_mul(static_cast<int64_t>(packed.size()), 1032))
    file.refuse(at, "data", fmt::format("at most {} bytes of {}", 1032 * packed.size(), packed.size()),
                fmt::to_string(size));
  std::vector<std::byte> out(static_cast<size_t>(size));
  z_stream stream = {};
  if (inflateInit2(&stream, -15) != Z_OK) fail("{}: zip: out of memory", file.source());
  std::byte nothing{};
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.empty() ? &nothing : out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&stream, Z_FINISH);
  const bool whole = status == Z_STREAM_END && stream.avail_out == 0 && stream.avail_in == 0;
  inflateEnd(&stream);
  if (!whole) file.refuse(at, "data", fmt::format("a deflated stream of {} bytes", size), "damaged data");
  return out;
}

std::vector<std::byte> unpack(Bytes bytes, const std::string& source, const Member& m) {
  Reader file(bytes, source);
  file.take(m.offset, "offset of a member");
  if (const auto magic = file.little<uint32_t>("member"); magic != local_magic)
    file.refuse(m.offset, "member", "'PK\\x03\\x04'", fmt::format("{:#010x}", magic));
  file.take(22, "local header");
  const auto name = file.little<uint16_t>("length of the name"),
             extra = file.little<uint16_t>("length of the extra field");
  const Bytes text = file.take(name, "name");
  const std::string_view here(reinterpret_cast<const char*>(text.data()), text.size());
  if (here != m.name)
    file.refuse(m.offset + 30, "name", fmt::format("'{}'", printable(m.name)), fmt::format("'{}'", printable(here)));
  file.take(extra, "extra field");
  const int64_t at = file.offset();
  const Bytes packed = file.take(m.packed, fmt::format("data of '{}'", printable(m.name)));
  if (m.method == 0 && m.packed != m.size)
    file.refuse(at, "data", fmt::format("{} bytes", m.size), fmt::to_string(m.packed));
  std::vector<std::byte> out =
      m.method == 0 ? std::vector<std::byte>(packed.begin(), packed.end()) : inflated(packed, m.size, file, at);
  uLong sum = crc32_z(0, nullptr, 0);
  if (!out.empty()) sum = crc32_z(sum, reinterpret_cast<const Bytef*>(out.data()), out.size());
  if (sum != m.checksum)
    file.refuse(at, fmt::format("checksum of '{}'", printable(m.name)), fmt::format("{:08x}", m.checksum),
                fmt::format("{:08x}", sum));
  return out;
}

}  // namespace

bool is_zip(Bytes bytes) {
  const auto at = [&](size_t i) { return std::to_integer<int>(bytes[i]); };
  return bytes.size() >= 4 && at(0) == 'P' && at(1) == 'K' &&
         ((at(2) == 3 && at(3) == 4) || (at(2) == 5 && at(3) == 6));
}

std::map<std::string, std::vector<std::byte>> parse_zip(Bytes bytes, const std::string& source) {
  uint16_t count = 0;
  Reader directory = at_directory(bytes, source, count);
  std::map<std::string, std::vector<std::byte>> members;
  int64_t packed = 0;  // members that share bytes would unpack to more than the file could hold
  for (uint16_t i = 0; i < count; ++i) {
    const int64_t at = directory.offset();
    const Member m = read_member(directory);
    packed += m.packed;
    if (packed > static_cast<int64_t>(bytes.size()))
      directory.refuse(at, "packed size", fmt::format("members of at most {} bytes in all", bytes.size()),
                       fmt::to_string(packed));
    if (!members.emplace(m.name, unpack(bytes, source, m)).second)
      directory.refuse(at, "name", "distinct names", fmt::format("'{}' twice", printable(m.name)));
  }
  directory.expect_end("directory");
  return members;
}

}  // namespace gmc::files
