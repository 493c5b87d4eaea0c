#include "runtime/files/wav.h"

#include <cmath>
#include <cstring>
#include <optional>

namespace gmc::files {
namespace {

constexpr uint16_t pcm = 1, floats = 3, extensible = 0xfffe;

std::string text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

void expect(Reader& file, const std::string& what, std::string_view field) {
  const int64_t at = file.offset();
  const std::string got = text_of(file.take(4, field));
  if (got != what) file.refuse(at, field, fmt::format("'{}'", what), fmt::format("'{}'", printable(got)));
}

struct Format {
  uint16_t tag = 0, channels = 0, bits = 0;
  int64_t rate = 0;

  Format(Reader file, uint32_t size) {
    const int64_t at = file.offset();
    if (size < 16) file.refuse(at, "size of chunk 'fmt '", "at least 16", fmt::to_string(size));
    tag = file.little<uint16_t>("format");
    channels = file.little<uint16_t>("channels");
    rate = file.little<uint32_t>("rate");
    file.take(4, "bytes a second");
    const auto block = file.little<uint16_t>("bytes a sample");
    bits = file.little<uint16_t>("bits");
    if (tag == extensible) {
      if (size < 40) file.refuse(at, "size of chunk 'fmt '", "at least 40", fmt::to_string(size));
      file.take(8, "extension");
      tag = file.little<uint16_t>("sub-format");
    }
    if (tag != pcm && tag != floats) file.refuse(at, "format", "1 (PCM) or 3 (float)", fmt::to_string(tag));
    if (channels < 1) file.refuse(at + 2, "channels", "at least 1", "0");
    if (rate < 1) file.refuse(at + 4, "rate", "at least 1", "0");
    const bool known = tag == floats ? bits == 32 : bits == 8 || bits == 16 || bits == 24 || bits == 32;
    if (!known) file.refuse(at + 14, "bits", tag == floats ? "32" : "8, 16, 24 or 32", fmt::to_string(bits));
    if (block != channels * bits / 8)
      file.refuse(at + 12, "bytes a sample", fmt::to_string(channels * bits / 8), fmt::to_string(block));
  }
};

float value_of(const Format& f, const std::byte* at) {
  if (f.tag == floats) {
    float value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  uint32_t word = 0;
  const int size = f.bits / 8;
  for (int i = 0; i < size; ++i) word |= std::to_integer<uint32_t>(at[i]) << (32 - f.bits + 8 * i);
  if (f.bits == 8) word ^= 0x80000000u;
  return static_cast<float>(static_cast<double>(static_cast<int32_t>(word)) * 0x1p-31);
}

}  // namespace

Sound parse_wav(Bytes bytes, const std::string& source) {
  Reader file(bytes, source);
  expect(file, "RIFF", "magic");
  const auto size = file.little<uint32_t>("size");
  if (size > file.remaining())
    file.refuse(4, "size", fmt::format("at most {}", file.remaining()), fmt::to_string(size));
  expect(file, "WAVE", "form");
  std::optional<Format> format;
  while (true) {
    const int64_t at = file.offset();
    const std::string name = text_of(file.take(4, "chunk"));
    const auto length = file.little<uint32_t>("chunk size");
    if (name == "fmt ") format.emplace(file, length);
    const int64_t begin = file.offset();
    const Bytes data = file.take(length, fmt::format("chunk '{}'", printable(name)));
    if (length % 2 == 1 && file.remaining() > 0) file.take(1, "padding");
    if (name != "data") continue;
    if (!format) file.refuse(at, "chunk", "'fmt ' before 'data'", "'data'");
    const int64_t block = format->channels * format->bits / 8;
    if (length % block != 0)
      file.refuse(at + 4, "size of chunk 'data'", fmt::format("a multiple of {}", block), fmt::to_string(length));
    Sound sound{format->rate, HostTensor(DType::f32, {length / block, format->channels})};
    for (int64_t i = 0; i < sound.values.count(); ++i) {
      const float value = value_of(*format, data.data() + i * (format->bits / 8));
      if (!std::isfinite(value)) file.refuse(begin + i * 4, "data", "finite values", fmt::format("{}", value));
      sound.values.as<float>()[i] = value;
    }
    return sound;
  }
}

Sound load_wav(const std::string& path) { return parse_wav(read_file(path), path); }

}  // namespace gmc::files
