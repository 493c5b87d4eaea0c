// Training on kinds of data from outside: what is left besides weights, and what is refused.
#include "runtime/files/npy.h"
#include "runtime/files/png.h"
#include "tests/cli/cli.h"

#include <cmath>
#include <limits>
#include <span>

namespace gmc::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* bigram = GMC_SOURCE_DIR "/tests/cli/models/bigram.cpp";

// CRC-32C bit by bit, masked as records have it.
uint32_t masked_crc(std::span<const std::byte> bytes) {
  uint32_t crc = ~0u;
  for (const std::byte b : bytes) {
    crc ^= std::to_integer<uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

class Data : public Cli {
protected:
  Words vae(const std::string& data, const Words& more = {}) const {
    return Words{"train", "vae-mlp", "--data", data, "--steps", "6", "--out", file("out"), "--quiet"} + small + more;
  }
  Words text(const std::string& data, const Words& more = {}) const {
    return Words{"train", bigram, "--data", data, "--steps", "200", "--out", file("out"), "--quiet"} + more;
  }
  std::string event_file() const {
    for (const auto& entry : std::filesystem::directory_iterator(file("out")))
      if (entry.path().filename().string().rfind("events.out.tfevents.", 0) == 0) return read(entry.path().string());
    return "";
  }
};

TEST_F(Data, leaves_validation_events_and_a_report) {
  fine(vae("glyphs:300", {"--eval-every", "2", "--sample-every", "4"}));
  const std::string csv = read(file("out/validation.csv"));
  EXPECT_EQ(lines_of(csv), 4);
  EXPECT_THAT(csv, AllOf(HasSubstr("step,loss\n2,"), HasSubstr("\n4,"), HasSubstr("\n6,")));
  EXPECT_EQ(files::load_png(file("out/samples-4.png")).shape, (Shape{8 * 28 + 7 * 2, 8 * 28 + 7 * 2, 1}));
  const std::string html = read(file("out/report.html"));
  EXPECT_THAT(html, AllOf(HasSubstr("<svg "), HasSubstr("validation loss"), HasSubstr("data:image/png;base64,iVBOR"),
                          HasSubstr("<td>batch</td><td>16</td>"), HasSubstr("after 4 steps"), HasSubstr("</html>")));
}

// Walks over the records as readers do.
TEST_F(Data, writes_records_with_their_checksums) {
  fine(vae("glyphs:300", {"--eval-every", "3"}));
  const std::string events = event_file();
  int records = 0, losses = 0, pictures = 0;
  for (size_t at = 0; at < events.size(); ++records) {
    const auto number = [&](size_t from, int size) {
      uint64_t v = 0;
      for (int i = 0; i < size; ++i)
        v |= uint64_t{static_cast<uint8_t>(events.at(from + static_cast<size_t>(i)))} << 8 * i;
      return v;
    };
    const auto bytes = std::as_bytes(std::span(events));
    const size_t length = number(at, 8);
    EXPECT_EQ(number(at + 8, 4), masked_crc(bytes.subspan(at, 8)));
    EXPECT_EQ(number(at + 12 + length, 4), masked_crc(bytes.subspan(at + 12, length)));
    const std::string message = events.substr(at + 12, length);
    losses += message.find("train/loss") != std::string::npos;
    pictures += message.find("\x89PNG") != std::string::npos;
    at += 16 + length;
  }
  EXPECT_EQ(masked_crc(std::as_bytes(std::span("123456789", 9))),
            ((0xe3069283u >> 15) | (0xe3069283u << 17)) + 0xa282ead8u);
  EXPECT_EQ(losses, 6);
  EXPECT_EQ(pictures, 1);
  EXPECT_EQ(records, 1 + 6 + 2 + 1);
  std::filesystem::remove_all(file("out"));
  fine(vae("glyphs:300", {"--no-events"}));
  EXPECT_EQ(event_file(), "");
}

TEST_F(Data, resumes_with_the_same_validation) {
  const auto train = [&](const std::string& out, const char* steps, const Words& more) {
    fine(Words{"train", "vae-mlp", "--data", "glyphs:300", "--eval-every", "2", "--steps", steps, "--out", file(out),
               "-q"} +
         small + more);
  };
  train("whole", "6", {});
  train("part", "4", {});
  train("part", "6", {"--resume", file("part/last.safetensors")});
  EXPECT_TRUE(read(file("whole/last.safetensors")) == read(file("part/last.safetensors")));
  EXPECT_EQ(read(file("whole/validation.csv")), read(file("part/validation.csv")));
}

TEST_F(Data, learns_text_and_prints_it) {
  std::string corpus;
  for (int i = 0; i < 300; ++i) corpus += i % 3 ? "abc " : "dab ";
  write(file("t"), corpus);
  const auto j = nlohmann::json::parse(fine(text("text:" + file("t"), {"--set", "vocab=5", "--json"})));
  EXPECT_LT(j.at("validation").get<double>(), 0.5);  // ln 5 is 1.6
  const std::string samples = read(file("out/samples.txt"));
  EXPECT_EQ(lines_of(samples), 4);
  EXPECT_EQ(samples.find_first_not_of("abcd \n"), std::string::npos) << samples;
  fine({"sample", bigram, "--set", "vocab=5", "--weights", file("out/last.safetensors"), "-n", "2", "-o",
        file("s.txt")});
  EXPECT_EQ(lines_of(read(file("s.txt"))), 2);
  EXPECT_THAT(read(file("out/report.html")), HasSubstr("<pre>"));
  // A model that writes what is no symbol.
  std::string source = read(bigram);
  source.replace(source.find("reshape(tokens, {1, c.gen})"), 27, "reshape(tokens, {1, c.gen}) - 30");
  write(file("odd.cpp"), source);
  EXPECT_THAT(
      refused(1, {"sample", file("odd.cpp"), "--set", "vocab=5", "--weights", file("out/last.safetensors"), "-n", "1"}),
      HasSubstr("entry 'sample': symbol 0 of a text is -"));
  // The symbols belong to the checkpoint.
  write(file("other"), std::string(600, 'x') + "yzuv");
  EXPECT_THAT(refused(1, text("text:" + file("other"), {"--set", "vocab=5", "--resume", file("out/last.safetensors")})),
              AllOf(HasSubstr("another vocabulary"), HasSubstr("[\" \",\"a\",\"b\",\"c\",\"d\"] there")));
  EXPECT_THAT(refused(1, text("bytes:" + file("t"))), HasSubstr("has 256 symbols, bigram takes 20: --set vocab=256"));
}

TEST_F(Data, refuses_what_does_not_fit) {
  EXPECT_THAT(refused(1, vae("glyphs:16")),
              HasSubstr("a batch of 16 is larger than the training part, which has 14 samples"));
  EXPECT_THAT(refused(1, vae("moons")), HasSubstr("samples of [2] (2 elements) do not fit into a batch of [16, 784]"));
  EXPECT_THAT(refused(1, vae("reverse")), HasSubstr("expected inputs 'src', 'ids', 'targets' of i64[B, T], got 'x'"));
  EXPECT_THAT(refused(1, text("glyphs")), HasSubstr("of i64[8, 16]"));
  EXPECT_THAT(refused(2, vae("glyphs:300", {"--prepare", "blur"})), HasSubstr("prepare 'blur'"));
  EXPECT_THAT(refused(1, vae("glyphs:300", {"--prepare", "pad=32"})), HasSubstr("samples of [32, 32]"));
  HostTensor odd(DType::f32, {40, 784});
  odd.as<float>()[5] = std::numeric_limits<float>::infinity();
  files::save_npy(file("odd.npy"), odd);
  EXPECT_THAT(refused(1, vae("npy:" + file("odd.npy"))), HasSubstr("element 5: expected a finite f32, got inf"));
  write(file("cut"), std::string("\0\0\x08\x03\0\0\0\x09", 8));
  EXPECT_THAT(refused(1, vae("mnist:" + file("cut"))), HasSubstr("byte 8, extent 1: expected 4 bytes, got 0"));
}

TEST_F(Data, names_what_differs_from_a_checkpoint) {
  fine(vae("glyphs:300"));
  const Words resume{"--resume", file("out/last.safetensors")};
  EXPECT_THAT(refused(1, vae("glyphs:400", resume)),
              AllOf(HasSubstr("trained on other data: glyphs: 270 train"), HasSubstr("glyphs: 360 train")));
  EXPECT_THAT(refused(1, vae("glyphs:300", resume + Words{"--set", "lr=0.5"})),
              HasSubstr("has another configuration: lr is 0.001 there, 0.5 here"));
  EXPECT_THAT(refused(1, vae("glyphs:300", resume + Words{"--prepare", "binarise"})), HasSubstr("binarise here"));
  EXPECT_THAT(gmc(vae("glyphs:300", resume + Words{"--set", "h=25"})).output, HasSubstr("(h is 24 there, 25 here)"));
  write(file("t"), std::string(100, 'a') + std::string(100, 'b'));
  EXPECT_THAT(refused(1, text("text:" + file("t"), resume)), HasSubstr("is a checkpoint of vae-mlp, not of bigram"));
}

TEST_F(Data, check_nan_names_the_op_and_its_line) {
  const auto r = gmc(vae("glyphs:300", {"--check-nan", "--set", "lr=1e30"}));
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.output, AllOf(HasSubstr("vae-mlp.cpp:"),
                              HasSubstr("of entry 'step' makes an infinity at step 1, of finite operands"),
                              HasSubstr("Tensor h = relu(fc1(x))")));
  EXPECT_THAT(fine(vae("glyphs:300", {"--check-nan", "--json"})), HasSubstr("\"validation\""));
}

}  // namespace
}  // namespace gmc::test
