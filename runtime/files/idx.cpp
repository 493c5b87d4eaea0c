#include "runtime/files/idx.h"

#include "runtime/files/gzip.h"

#include <algorithm>

namespace gmc::files {
namespace {

constexpr int max_rank = 4;
constexpr int64_t max_header = 4 + 4 * max_rank;

// Reads the header and leaves `file` at the data.
Shape read_header(Reader& file) {
  const auto zero = file.big<uint16_t>("magic");
  if (zero != 0) file.refuse(0, "magic", "0x0000", fmt::format("{:#06x}", zero));
  const auto type = file.big<uint8_t>("element type");
  if (type != 8) file.refuse(2, "element type", "0x08 (u8)", fmt::format("{:#04x}", type));
  const auto rank = file.big<uint8_t>("rank");
  if (rank < 1 || rank > max_rank) file.refuse(3, "rank", "1 to 4", fmt::to_string(rank));
  Shape shape;
  for (int d = 0; d < rank; ++d) shape.push_back(file.big<uint32_t>(fmt::format("extent {}", d)));
  return shape;
}

}  // namespace

HostTensor parse_idx(Bytes bytes, const std::string& source) {
  if (is_gzip(bytes)) {
    const std::string inner = fmt::format("{} (decompressed)", source);
    const std::vector<std::byte> start = gunzip_prefix(bytes, source, max_header);
    Reader header(start, inner);
    const Shape shape = read_header(header);
    const int64_t size = header.tensor_bytes(DType::u8, shape, 4, "extents");
    const int64_t limit = checked_add(size, header.offset(), "decompressed size");
    const std::vector<std::byte> plain = gunzip(bytes, source, limit);
    if (is_gzip(plain)) fail("{}: byte 0, magic: expected 0x0000, got gzip inside gzip", inner);
    return parse_idx(plain, inner);
  }
  Reader file(bytes, source);
  const Shape shape = read_header(file);
  const int64_t size = file.tensor_bytes(DType::u8, shape, 4, "extents");
  if (size != file.remaining())
    file.refuse(file.offset(), "data", fmt::format("{} bytes for {}", size, to_string(shape)),
                fmt::to_string(file.remaining()));
  HostTensor tensor;
  tensor.dtype = DType::u8;
  tensor.shape = shape;
  const Bytes data = file.take(size, "data");
  tensor.bytes.assign(data.begin(), data.end());
  return tensor;
}

HostTensor load_idx(const std::string& path) { return parse_idx(read_file(path), path); }

}  // namespace gmc::files
