#include "tools/gmc/events.h"

#include "runtime/base/error.h"
#include "runtime/files/descriptor.h"

#include <array>
#include <bit>
#include <chrono>

namespace gmc::tool {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> table = make_table();

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// The wire format of protocol buffers.
class Message {
public:
  Message& number(uint32_t field, uint64_t value) {
    key(field, 0);
    varint(value);
    return *this;
  }
  Message& real(uint32_t field, double value) {
    key(field, 1);
    fixed(std::bit_cast<uint64_t>(value), 8);
    return *this;
  }
  Message& single(uint32_t field, float value) {
    key(field, 5);
    fixed(std::bit_cast<uint32_t>(value), 4);
    return *this;
  }
  Message& bytes(uint32_t field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    out_ += value;
    return *this;
  }
  const std::string& str() const { return out_; }

private:
  void key(uint32_t field, uint32_t type) { varint(uint64_t{field} << 3 | type); }
  void varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) out_ += static_cast<char>(v | 0x80);
    out_ += static_cast<char>(v);
  }
  void fixed(uint64_t v, int size) {
    for (int i = 0; i < size; ++i) out_ += static_cast<char>(v >> (8 * i));
  }
  std::string out_;
};

std::string event(int64_t step, const Message& summary) {
  return Message().real(1, now()).number(2, static_cast<uint64_t>(step)).bytes(5, summary.str()).str();
}

std::string little(uint64_t value, int size) {
  std::string out;
  for (int i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

files::Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

uint32_t masked_crc(files::Bytes bytes) {
  uint32_t crc = ~0u;
  for (const std::byte b : bytes) crc = table[(crc ^ std::to_integer<uint32_t>(b)) & 0xff] ^ crc >> 8;
  crc = ~crc;
  return std::rotr(crc, 15) + 0xa282ead8u;
}

EventFile::EventFile(const std::string& folder)
    : path_(fmt::format("{}/events.out.tfevents.{}.gmc", folder, static_cast<int64_t>(now()))),
      file_(std::fopen(path_.c_str(), "ab"), &std::fclose) {
  if (!file_) fail("cannot write {}: {}", path_, files::reason(errno));
  record(Message().real(1, now()).bytes(3, "brain.Event:2").str());
}

void EventFile::record(const std::string& message) {
  const std::string length = little(message.size(), 8);
  const std::string all =
      length + little(masked_crc(bytes_of(length)), 4) + message + little(masked_crc(bytes_of(message)), 4);
  if (std::fwrite(all.data(), 1, all.size(), file_.get()) != all.size())
    fail("cannot write {}: {}", path_, files::reason(errno));
}

void EventFile::scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  Message summary;
  for (const auto& [tag, value] : values)
    summary.bytes(1, Message().bytes(1, tag).single(2, static_cast<float>(value)).str());
  record(event(step, summary));
}

void EventFile::image(int64_t step, const std::string& tag, files::Bytes png) {
  // The extents stand in the header of the picture (png.h), big-endian, and so does the kind of colour.
  files::Reader header(png, "png");
  header.take(16, "header");
  const auto width = header.big<uint32_t>("width"), height = header.big<uint32_t>("height");
  header.take(1, "depth");
  const uint64_t channels = header.big<uint8_t>("colour") == 0 ? 1 : 3;
  const std::string_view text(reinterpret_cast<const char*>(png.data()), png.size());
  const Message picture = Message().number(1, height).number(2, width).number(3, channels).bytes(4, text);
  record(event(step, Message().bytes(1, Message().bytes(1, tag).bytes(4, picture.str()).str())));
}

void EventFile::text(int64_t step, const std::string& tag, const std::string& text) {
  // Texts are tensors of strings (DT_STRING = 7, rank 1) for the plug-in of that name.
  const Message shape = Message().bytes(2, Message().number(1, 1).str());
  const Message tensor = Message().number(1, 7).bytes(2, shape.str()).bytes(8, text);
  const Message metadata = Message().bytes(1, Message().bytes(1, "text").str());
  record(
      event(step, Message().bytes(1, Message().bytes(1, tag).bytes(8, tensor.str()).bytes(9, metadata.str()).str())));
}

void EventFile::flush() {
  if (std::fflush(file_.get()) != 0) fail("cannot write {}: {}", path_, files::reason(errno));
}

}  // namespace gmc::tool
