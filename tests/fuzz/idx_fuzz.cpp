#include "runtime/files/idx.h"

#include "runtime/files/gzip.h"
#include "tests/fuzz/fuzz.h"

#include <zlib.h>

namespace gmc::fuzz {
namespace {

Seed gzipped(files::Bytes bytes) {
  Seed result(bytes.size() + 128);
  z_stream stream = {};
  require(deflateInit2(&stream, 1, Z_DEFLATED, 9 + 16, 1, Z_DEFAULT_STRATEGY) == Z_OK, "zlib does not start");
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  require(deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib does not end");
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

Seed idx(const std::vector<unsigned char>& extents) {
  std::string text{'\0', '\0', '\x08', static_cast<char>(extents.size())};
  size_t count = 1;
  for (const unsigned char extent : extents) {
    text += {'\0', '\0', '\0', static_cast<char>(extent)};
    count *= extent;
  }
  return seed_of(text + std::string(count, 'x'));
}

}  // namespace

std::vector<Seed> seeds() {
  std::vector<Seed> result{idx({1}), idx({0, 28, 28}), idx({2, 3, 4}), idx({2, 1, 1, 3}), idx({200})};
  for (size_t i = 0; i < 5; ++i) result.push_back(gzipped(result[i]));
  return result;
}

void read(files::Bytes bytes) {
  HostTensor tensor, packed;
  const bool good = reads([&] { tensor = files::parse_idx(bytes, "file"); });
  if (good) require_whole(tensor);
  if (files::is_gzip(bytes)) return;
  // Compressed, the same file is read or refused all the same.
  const bool packed_good = reads([&] { packed = files::parse_idx(gzipped(bytes), "file"); });
  require(packed_good == good && (!good || equal(tensor, packed)), "compression makes a difference");
}

}  // namespace gmc::fuzz
