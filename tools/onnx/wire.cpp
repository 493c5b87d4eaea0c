#include "tools/onnx/wire.h"

#include "runtime/base/error.h"

#include <string>
#include <vector>

namespace gmc::onnx {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

class Walker {
public:
  Walker(std::span<const std::byte> file, int depth) : file_(file), depth_(depth) {}

  void message(const Descriptor& type, size_t end) {
    std::vector<int> seen(static_cast<size_t>(type.field_count()));
    while (at_ < end) field(type, seen, end);
  }

private:
  [[noreturn]] void refuse(size_t offset, const std::string& what) const {
    std::string path;
    for (const std::string& part : path_) path += (path.empty() ? "" : ".") + part;
    fail("byte {}{}{}: {}", offset, path.empty() ? "" : ", field ", path, what);
  }

  uint64_t varint(size_t end, const char* what) {
    const size_t start = at_;
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ >= end) refuse(start, fmt::format("the {} runs past byte {}, the end of its message", what, end));
      const auto byte = static_cast<uint8_t>(file_[at_++]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    refuse(start, fmt::format("the {} has more than 10 bytes", what));
  }

  void skip(size_t bytes, size_t end) {
    if (bytes > end - at_)
      refuse(at_, fmt::format("{} bytes are announced, {} are left of its message", bytes, end - at_));
    at_ += bytes;
  }

  void field(const Descriptor& type, std::vector<int>& seen, size_t end) {
    const size_t start = at_;
    const uint64_t tag = varint(end, "tag");
    if (tag >> 3 == 0 || tag >> 3 > FieldDescriptor::kMaxNumber)
      refuse(start, fmt::format("{} is no field number", tag >> 3));
    const FieldDescriptor* known = type.FindFieldByNumber(static_cast<int>(tag >> 3));
    std::string name = known ? known->name() : fmt::format("#{}", tag >> 3);
    if (known && known->is_repeated() && known->message_type())
      name += fmt::format("[{}]", seen[static_cast<size_t>(known->index())]++);
    path_.push_back(std::move(name));
    switch (tag & 7) {
    case 0:
      varint(end, "number");
      break;
    case 1:
      skip(8, end);
      break;
    case 2: {
      const uint64_t length = varint(end, "length");
      const size_t begin = at_;
      skip(length, end);
      if (!known || !known->message_type()) break;
      if (--depth_ < 0) refuse(start, "messages lie too deep inside each other");
      at_ = begin;
      message(*known->message_type(), begin + length);
      ++depth_;
      break;
    }
    case 5:
      skip(4, end);
      break;
    default:
      refuse(start, fmt::format("there is no encoding {}", tag & 7));
    }
    path_.pop_back();
  }

  std::span<const std::byte> file_;
  size_t at_ = 0;
  int depth_;
  std::vector<std::string> path_;
};

}  // namespace

void check_encoding(std::span<const std::byte> file, const Descriptor& type, int depth) {
  Walker(file, depth).message(type, file.size());
}

}  // namespace gmc::onnx
