// Sound: values, every truncation, every flipped bit, refusals.
#include "runtime/files/wav.h"

#include "tests/files/testing.h"

#include <bit>

namespace gmc::files::testing {
namespace {

using ::testing::ElementsAre;

std::string little(uint64_t v, int size) {
  std::string out;
  for (int i = 0; i < size; ++i) out += static_cast<char>(v >> (8 * i));
  return out;
}

std::string format(int tag, int channels, int bits, int rate = 8000) {
  return little(static_cast<uint64_t>(tag), 2) + little(static_cast<uint64_t>(channels), 2) +
         little(static_cast<uint64_t>(rate), 4) + little(static_cast<uint64_t>(rate * channels * bits / 8), 4) +
         little(static_cast<uint64_t>(channels * bits / 8), 2) + little(static_cast<uint64_t>(bits), 2);
}
std::string chunk(const std::string& name, const std::string& data) {
  return name + little(data.size(), 4) + data + (data.size() % 2 ? std::string(1, '\0') : "");
}
std::string wav(const std::string& fmt_chunk, const std::string& data) {
  const std::string body = "WAVE" + chunk("fmt ", fmt_chunk) + chunk("LIST", "odd") + chunk("data", data);
  return "RIFF" + little(body.size(), 4) + body;
}

std::vector<float> values(const std::string& text) {
  const Sound s = parse_wav(bytes_of(text), "file");
  return {s.values.as<float>(), s.values.as<float>() + s.values.count()};
}
HostTensor parse(Bytes bytes, const std::string& source) { return parse_wav(bytes, source).values; }

TEST(Wav, ReadsEveryWidth) {
  EXPECT_THAT(values(wav(format(1, 1, 8), "\x80\xff\x40" + std::string(1, '\0'))),
              ElementsAre(0, 127 / 128.0f, -0.5f, -1));
  EXPECT_THAT(values(wav(format(1, 1, 16), little(0x8000, 2) + little(0x4000, 2))), ElementsAre(-1, 0.5f));
  EXPECT_THAT(values(wav(format(1, 1, 24), little(0xc00000, 3) + little(0x200000, 3))), ElementsAre(-0.5f, 0.25f));
  EXPECT_THAT(values(wav(format(1, 1, 32), little(0x40000000, 4))), ElementsAre(0.5f));
  EXPECT_THAT(values(wav(format(3, 1, 32), little(std::bit_cast<uint32_t>(1.5f), 4))), ElementsAre(1.5f));
  const std::string extensible =
      format(0xfffe, 1, 16) + little(22, 2) + little(16, 2) + little(4, 4) + little(1, 2) + std::string(14, 'g');
  EXPECT_THAT(values(wav(extensible, little(0x4000, 2))), ElementsAre(0.5f));
  const Sound stereo = parse_wav(bytes_of(wav(format(1, 2, 16, 44100), std::string(12, '\0'))), "file");
  EXPECT_EQ(stereo.rate, 44100);
  EXPECT_EQ(stereo.values.shape, Shape({3, 2}));
}

TEST(Wav, RefusesDamage) {
  const auto file = bytes_of(wav(format(1, 2, 16), little(0x12345678, 4)));
  expect_truncations_refused(file, parse);
  EXPECT_GT(refused_bit_flips(file, file.size(), parse), 100u);
}

TEST(Wav, GoldenErrors) {
  const auto error = [](const std::string& text) { return error_of([&] { parse_wav(bytes_of(text), "file"); }); };
  EXPECT_EQ(error("RIFX...."), "file: byte 0, magic: expected 'RIFF', got 'RIFX'");
  EXPECT_EQ(error(wav(format(2, 1, 8), "")), "file: byte 20, format: expected 1 (PCM) or 3 (float), got 2");
  EXPECT_EQ(error(wav(format(1, 0, 8), "")), "file: byte 22, channels: expected at least 1, got 0");
  EXPECT_EQ(error(wav(format(1, 1, 12), "")), "file: byte 34, bits: expected 8, 16, 24 or 32, got 12");
  EXPECT_EQ(error(wav(format(1, 2, 16), "abc")),
            "file: byte 52, size of chunk 'data': expected a multiple of 4, got 3");
  EXPECT_EQ(error(wav(format(3, 1, 32), little(0x7fc00000, 4))),
            "file: byte 56, data: expected finite values, got nan");
  const std::string body = "WAVE" + chunk("data", "ab");
  EXPECT_EQ(error("RIFF" + little(body.size(), 4) + body),
            "file: byte 12, chunk: expected 'fmt ' before 'data', got 'data'");
}

}  // namespace
}  // namespace gmc::files::testing
