#include "runtime/files/gzip.h"

#include <algorithm>
#include <limits>

#include <zlib.h>

namespace gmc::files {
namespace {

constexpr size_t first_chunk = 64 * 1024;

class Inflater {
public:
  Inflater(Bytes bytes, const std::string& source) : file_(bytes, source), bytes_(bytes) {
    constexpr int gzip_only = 15 + 16;
    if (inflateInit2(&stream_, gzip_only) != Z_OK) fail("{}: gzip: out of memory", source);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  // Decompresses until the stream ends, `limit` bytes are there, or the input ends. The buffer doubles as it fills.
  void run(int64_t limit) {
    while (!ended_ && static_cast<int64_t>(produced_) < limit) {
      const size_t room = std::min(std::max(first_chunk, 2 * produced_), static_cast<size_t>(limit));
      if (output_.size() < room) output_.resize(room);
      stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes_.data() + consumed_));
      stream_.avail_in = clipped(bytes_.size() - consumed_);
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data() + produced_);
      stream_.avail_out = clipped(output_.size() - produced_);
      const uInt offered = stream_.avail_in, asked = stream_.avail_out;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      consumed_ += offered - stream_.avail_in;
      produced_ += asked - stream_.avail_out;
      ended_ = status == Z_STREAM_END;
      if (status == Z_BUF_ERROR && consumed_ == bytes_.size()) break;
      if (status != Z_OK && status != Z_STREAM_END)
        file_.refuse(static_cast<int64_t>(consumed_), "gzip stream", "valid data",
                     stream_.msg ? stream_.msg : "damaged data");
    }
    output_.resize(produced_);
  }

  bool ended() const { return ended_; }
  int64_t consumed() const { return static_cast<int64_t>(consumed_); }
  const Reader& file() const { return file_; }
  std::vector<std::byte> take() { return std::move(output_); }

private:
  static uInt clipped(size_t size) {
    return static_cast<uInt>(std::min(size, static_cast<size_t>(std::numeric_limits<uInt>::max())));
  }

  Reader file_;
  Bytes bytes_;
  z_stream stream_ = {};
  size_t consumed_ = 0, produced_ = 0;
  bool ended_ = false;
  std::vector<std::byte> output_;
};

}  // namespace

bool is_gzip(Bytes bytes) { return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b}; }

std::vector<std::byte> gunzip_prefix(Bytes bytes, const std::string& source, int64_t count) {
  Inflater inflater(bytes, source);
  inflater.run(count);
  return inflater.take();
}

std::vector<std::byte> gunzip(Bytes bytes, const std::string& source, int64_t limit) {
  Inflater inflater(bytes, source);
  // One byte more than allowed, so that too much data and the end of the stream can be told apart.
  inflater.run(checked_add(limit, 1, "decompressed size"));
  std::vector<std::byte> result = inflater.take();
  if (static_cast<int64_t>(result.size()) > limit)
    inflater.file().refuse(inflater.consumed(), "gzip stream", fmt::format("{} decompressed bytes", limit), "more");
  if (!inflater.ended()) inflater.file().refuse(inflater.consumed(), "gzip stream", "more data", "the end of the file");
  if (inflater.consumed() != static_cast<int64_t>(bytes.size()))
    inflater.file().refuse(inflater.consumed(), "gzip stream", "the end of the file",
                           fmt::format("{} more bytes", static_cast<int64_t>(bytes.size()) - inflater.consumed()));
  return result;
}

}  // namespace gmc::files
