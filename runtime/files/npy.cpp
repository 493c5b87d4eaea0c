#include "runtime/files/npy.h"

#include "runtime/files/atomic_write.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace gmc::files {
namespace {

constexpr std::string_view magic("\x93NUMPY", 6);
constexpr int64_t max_header = 64 * 1024;
constexpr size_t max_rank = 64;

constexpr std::array<std::pair<std::string_view, DType>, 8> descrs{{{"<f8", DType::f64},
                                                                    {"<f4", DType::f32},
                                                                    {"<f2", DType::f16},
                                                                    {"<i8", DType::i64},
                                                                    {"<i4", DType::i32},
                                                                    {"|i1", DType::i8},
                                                                    {"|u1", DType::u8},
                                                                    {"|b1", DType::boolean}}};

struct Header {
  std::optional<DType> dtype;
  std::optional<bool> fortran;
  std::optional<Shape> shape;
};

// dict  := '{' [pair {',' pair} [',']] '}' blank*
// pair  := string ':' (string | 'True' | 'False' | tuple)
// tuple := '(' [number {',' number} [',']] ')', where one number needs its comma
class HeaderParser {
public:
  HeaderParser(const Reader& file, int64_t start, std::string_view text) : file_(file), start_(start), text_(text) {}

  Header parse() {
    Header header;
    expect('{');
    while (!next_is('}')) {
      pair(header);
      if (!next_is(',')) {
        if (!next_is('}')) refuse("',' or '}'");
        break;
      }
      ++at_;
    }
    expect('}');
    skip_blanks();
    if (at_ != text_.size()) refuse("the end of the header");
    if (!header.dtype) refuse("the key 'descr'");
    if (!header.fortran) refuse("the key 'fortran_order'");
    if (!header.shape) refuse("the key 'shape'");
    return header;
  }

private:
  void pair(Header& header) {
    skip_blanks();
    const int64_t at = here();
    const std::string_view key = string();
    expect(':');
    if (key == "descr" && !header.dtype) {
      header.dtype = descr();
    } else if (key == "fortran_order" && !header.fortran) {
      header.fortran = truth();
    } else if (key == "shape" && !header.shape) {
      header.shape = tuple();
    } else {
      file_.refuse(at, "header", "the keys descr, fortran_order and shape once each",
                   fmt::format("'{}'", printable(key)));
    }
  }

  DType descr() {
    skip_blanks();
    const int64_t at = here();
    const std::string_view text = string();
    for (const auto& [name, dtype] : descrs)
      if (text == name || (text == "<i1" && name == "|i1") || (text == "<u1" && name == "|u1")) return dtype;
    const bool object = text.find('O') != std::string_view::npos;
    file_.refuse(at, "descr", "one of <f8 <f4 <f2 <i8 <i4 |i1 |u1 |b1",
                 fmt::format("'{}'{}", printable(text), object ? " (Python objects are never loaded)" : ""));
  }

  bool truth() {
    skip_blanks();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return word == "True";
    }
    refuse("True or False");
  }

  Shape tuple() {
    Shape shape;
    expect('(');
    while (!next_is(')')) {
      if (shape.size() == max_rank) refuse(fmt::format("at most {} extents", max_rank));
      shape.push_back(number());
      if (next_is(')') && shape.size() > 1) break;
      expect(',');
    }
    expect(')');
    return shape;
  }

  int64_t number() {
    skip_blanks();
    const int64_t at = here();
    int64_t value = 0;
    size_t digits = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_, ++digits)
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[at_] - '0', &value))
        file_.refuse(at, "shape", "a number below 2^63", "a larger one");
    if (digits == 0) refuse("a number from 0");
    return value;
  }

  std::string_view string() {
    skip_blanks();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) refuse("a string");
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) refuse("a string that ends");
    const std::string_view result = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return result;
  }

  void expect(char c) {
    if (!next_is(c)) refuse(fmt::format("'{}'", c));
    ++at_;
  }
  bool next_is(char c) {
    skip_blanks();
    return at_ < text_.size() && text_[at_] == c;
  }
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  int64_t here() const { return start_ + static_cast<int64_t>(at_); }
  [[noreturn]] void refuse(std::string_view expected) const {
    const std::string got = at_ < text_.size() ? fmt::format("'{}'", printable(text_.substr(at_, 12))) : "its end";
    file_.refuse(here(), "header", expected, got);
  }

  const Reader& file_;
  int64_t start_;
  std::string_view text_;
  size_t at_ = 0;
};

// Copies column-major data, walking over the target in row order.
void copy_fortran(Bytes data, HostTensor& tensor) {
  const size_t element = size_of(tensor.dtype), rank = tensor.shape.size();
  std::vector<size_t> stride(rank), index(rank, 0);
  for (size_t d = 0, step = element; d < rank; ++d) {
    stride[d] = step;
    step *= static_cast<size_t>(tensor.shape[d]);
  }
  size_t from = 0;
  for (size_t to = 0; to < tensor.bytes.size(); to += element) {
    std::memcpy(tensor.bytes.data() + to, data.data() + from, element);
    for (size_t d = rank; d-- > 0;) {
      from += stride[d];
      if (++index[d] < static_cast<size_t>(tensor.shape[d])) break;
      from -= stride[d] * index[d];
      index[d] = 0;
    }
  }
}

}  // namespace

HostTensor parse_npy(Bytes bytes, const std::string& source) {
  Reader file(bytes, source);
  const Bytes start = file.take(static_cast<int64_t>(magic.size()), "magic");
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (text != magic) file.refuse(0, "magic", "'\\x93NUMPY'", fmt::format("'{}'", printable(text)));
  const int major = file.little<uint8_t>("major version"), minor = file.little<uint8_t>("minor version");
  if ((major != 1 && major != 2) || minor != 0)
    file.refuse(6, "version", "1.0 or 2.0", fmt::format("{}.{}", major, minor));
  const int64_t at = file.offset();
  const int64_t length =
      major == 1 ? int64_t{file.little<uint16_t>("header length")} : int64_t{file.little<uint32_t>("header length")};
  if (length > max_header)
    file.refuse(at, "header length", fmt::format("at most {}", max_header), fmt::to_string(length));
  const int64_t header_at = file.offset();
  const Bytes header_bytes = file.take(length, "header");
  const Header header =
      HeaderParser(file, header_at, {reinterpret_cast<const char*>(header_bytes.data()), header_bytes.size()}).parse();

  const int64_t size = file.tensor_bytes(*header.dtype, *header.shape, header_at, "shape");
  if (size != file.remaining())
    file.refuse(file.offset(), "data",
                fmt::format("{} bytes for {} of {}", size, to_string(*header.shape), name_of(*header.dtype)),
                fmt::to_string(file.remaining()));
  const int64_t data_at = file.offset();
  const Bytes data = file.take(size, "data");
  if (*header.dtype == DType::boolean) {
    const auto bad = std::find_if(data.begin(), data.end(), [](std::byte b) { return b > std::byte{1}; });
    if (bad != data.end())
      file.refuse(data_at + (bad - data.begin()), "data", "0 or 1", fmt::to_string(std::to_integer<int>(*bad)));
  }
  HostTensor tensor(*header.dtype, *header.shape);
  if (*header.fortran)
    copy_fortran(data, tensor);
  else
    std::copy(data.begin(), data.end(), tensor.bytes.begin());
  return tensor;
}

HostTensor load_npy(const std::string& path) { return parse_npy(read_file(path), path); }

std::vector<std::byte> format_npy(const HostTensor& tensor) {
  const auto descr =
      std::find_if(descrs.begin(), descrs.end(), [&](const auto& row) { return row.second == tensor.dtype; });
  if (descr == descrs.end()) fail("npy: no type for {}; convert to f32 first", name_of(tensor.dtype));
  const int64_t size = byte_size(tensor.dtype, tensor.shape);
  if (static_cast<size_t>(size) != tensor.bytes.size())
    fail("npy: tensor of {} {}: expected {} bytes, got {}", name_of(tensor.dtype), to_string(tensor.shape), size,
         tensor.bytes.size());
  if (tensor.shape.size() > max_rank) fail("npy: expected at most {} extents, got {}", max_rank, tensor.shape.size());

  std::string tuple = "(";
  for (size_t d = 0; d < tensor.shape.size(); ++d) tuple += fmt::format("{}{}", d ? ", " : "", tensor.shape[d]);
  tuple += tensor.shape.size() == 1 ? ",)" : ")";
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", descr->first, tuple);
  // 64 extents of 20 digits stay far below the 65,535 bytes of version 1.0.
  constexpr size_t before_header = magic.size() + 2 + sizeof(uint16_t), alignment = 64;
  while ((before_header + header.size() + 1) % alignment != 0) header += ' ';
  header += '\n';

  std::string start(magic);
  for (const size_t byte : {size_t{1}, size_t{0}, header.size() & 0xff, header.size() >> 8})
    start += static_cast<char>(byte);
  start += header;
  std::vector<std::byte> result(start.size() + tensor.bytes.size());
  std::memcpy(result.data(), start.data(), start.size());
  std::copy(tensor.bytes.begin(), tensor.bytes.end(), result.begin() + static_cast<std::ptrdiff_t>(start.size()));
  return result;
}

void save_npy(const std::string& path, const HostTensor& tensor) { write_file_atomically(path, format_npy(tensor)); }

}  // namespace gmc::files
