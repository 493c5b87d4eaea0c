#include "runtime/files/wav.h"

#include "tests/fuzz/fuzz.h"

#include <cmath>

namespace gmc::fuzz {
namespace {

std::string little(uint64_t v, int size) {
  std::string out;
  for (int i = 0; i < size; ++i) out += static_cast<char>(v >> (8 * i));
  return out;
}

Seed sound(int tag, int channels, int bits, const std::string& data) {
  const auto block = static_cast<uint64_t>(channels * bits / 8);
  const std::string body = "WAVEfmt " + little(16, 4) + little(static_cast<uint64_t>(tag), 2) +
                           little(static_cast<uint64_t>(channels), 2) + little(8000, 4) + little(8000 * block, 4) +
                           little(block, 2) + little(static_cast<uint64_t>(bits), 2) + "data" + little(data.size(), 4) +
                           data;
  return seed_of("RIFF" + little(body.size(), 4) + body);
}

}  // namespace

std::vector<Seed> seeds() {
  return {sound(1, 1, 8, "abcd"), sound(1, 2, 16, "abcdefgh"), sound(1, 1, 24, "abcdef"), sound(3, 1, 32, "abcdefgh")};
}

void read(files::Bytes bytes) {
  files::Sound sound;
  if (!reads([&] { sound = files::parse_wav(bytes, "file"); })) return;
  require_whole(sound.values);
  require(sound.rate > 0, "a sound has a rate");
  for (int64_t i = 0; i < sound.values.count(); ++i)
    require(std::isfinite(sound.values.as<float>()[i]), "a value is not finite");
}

}  // namespace gmc::fuzz
