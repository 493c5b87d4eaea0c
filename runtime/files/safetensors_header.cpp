#include "runtime/files/safetensors_header.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

namespace gmc::files {
namespace {

constexpr std::array<std::pair<std::string_view, DType>, 9> dtypes{{{"F64", DType::f64},
                                                                    {"F32", DType::f32},
                                                                    {"F16", DType::f16},
                                                                    {"BF16", DType::bf16},
                                                                    {"I64", DType::i64},
                                                                    {"I32", DType::i32},
                                                                    {"I8", DType::i8},
                                                                    {"U8", DType::u8},
                                                                    {"BOOL", DType::boolean}}};

constexpr size_t max_rank = 64;

std::string quoted(std::byte b) { return fmt::format("'{}'", printable(std::string(1, static_cast<char>(b)))); }

// Walks over the header and tells how far the parser has come.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  const std::byte* at = nullptr;
  int64_t* passed = nullptr;

  char operator*() const { return static_cast<char>(*at); }
  Cursor& operator++() {
    ++at;
    ++*passed;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at == other.at; }
  bool operator!=(const Cursor& other) const { return at != other.at; }
};

// Receives the tokens of the header. Being strictly typed, it knows at each level which token may come.
class Handler {
public:
  Handler(const Reader& file, int64_t start, Bytes bytes, Metadata* metadata)
      : file_(file), start_(start), bytes_(bytes), metadata_(metadata) {}

  std::vector<SafetensorsEntry> entries;
  int64_t passed = 0;

  using Json = nlohmann::json;
  bool null() { unexpected("null"); }
  bool boolean(bool value) { unexpected(value ? "true" : "false"); }
  bool number_integer(Json::number_integer_t value) { unexpected(fmt::to_string(value)); }
  bool number_float(Json::number_float_t, const std::string& text) { unexpected(printable(text)); }
  bool binary(Json::binary_t&) { unexpected("binary data"); }

  bool number_unsigned(Json::number_unsigned_t value) {
    if (place_ != Place::shape && place_ != Place::offsets) unexpected(fmt::to_string(value));
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      file_.refuse(here(), field(), "a number below 2^63", fmt::to_string(value));
    std::vector<int64_t>& list = place_ == Place::shape ? entries.back().shape : offsets_;
    const size_t limit = place_ == Place::shape ? max_rank : 2;
    if (list.size() == limit) file_.refuse(here(), field(), fmt::format("at most {} numbers", limit), "more");
    list.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(std::string& value) {
    if (place_ == Place::metadata) {
      if (metadata_) metadata_->emplace(key_, value);
      return true;
    }
    if (place_ != Place::entry || key_ != "dtype") unexpected("a string");
    const std::optional<DType> dtype = safetensors_dtype(value);
    if (!dtype)
      file_.refuse(here(), field(), "one of F64 F32 F16 BF16 I64 I32 I8 U8 BOOL",
                   fmt::format("'{}'", printable(value)));
    entries.back().dtype = *dtype;
    return true;
  }

  bool key(std::string& value) {
    key_ = value;
    if (place_ == Place::top) {
      unique(names_, "tensor name", value);
      name_ = value;
      return true;
    }
    unique(keys_, place_ == Place::metadata ? "__metadata__" : field_of(name_), value);
    if (place_ == Place::entry && value != "dtype" && value != "shape" && value != "data_offsets")
      file_.refuse(here(), field_of(name_), "dtype, shape or data_offsets", fmt::format("'{}'", printable(value)));
    return true;
  }

  bool start_object(size_t) {
    if (place_ == Place::outside) {
      place_ = Place::top;
      return true;
    }
    if (place_ != Place::top) unexpected("an object");
    keys_.clear();
    if (name_ == "__metadata__") {
      place_ = Place::metadata;
      return true;
    }
    place_ = Place::entry;
    entries.push_back({});
    entries.back().name = name_;
    entries.back().offset = here();
    return true;
  }

  bool end_object() {
    if (place_ == Place::entry) {
      for (const char* required : {"dtype", "shape", "data_offsets"})
        if (!keys_.contains(required)) file_.refuse(here(), field_of(name_), required, "none");
    }
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }

  bool start_array(size_t) {
    if (place_ != Place::entry || key_ == "dtype") unexpected("an array");
    place_ = key_ == "shape" ? Place::shape : Place::offsets;
    offsets_.clear();
    return true;
  }

  bool end_array() {
    if (place_ == Place::offsets) {
      if (offsets_.size() != 2) file_.refuse(here(), field(), "2 numbers", fmt::to_string(offsets_.size()));
      entries.back().begin = offsets_[0];
      entries.back().end = offsets_[1];
    }
    place_ = Place::entry;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception&) {
    const size_t at = std::min(position == 0 ? 0 : position - 1, bytes_.size());
    const std::string got = at == bytes_.size() ? "the end of the header" : quoted(bytes_[at]);
    file_.refuse(start_ + static_cast<int64_t>(at), "header", "UTF-8 JSON", got);
  }

private:
  enum class Place { outside, top, metadata, entry, shape, offsets };

  // The last byte that the parser has read.
  int64_t here() const { return start_ + std::max<int64_t>(passed - 1, 0); }
  static std::string field_of(const std::string& name) { return fmt::format("tensor '{}'", printable(name)); }

  std::string field() const {
    if (place_ == Place::outside) return "header";
    if (place_ == Place::top) return name_ == "__metadata__" ? name_ : field_of(name_);
    if (place_ == Place::metadata) return fmt::format("__metadata__ '{}'", printable(key_));
    return fmt::format("{} of {}", key_, field_of(name_));
  }

  [[noreturn]] void unexpected(std::string_view got) const {
    const char* expected = place_ == Place::metadata                            ? "a string"
                           : place_ == Place::shape || place_ == Place::offsets ? "a number from 0"
                           : place_ == Place::outside || place_ == Place::top   ? "an object"
                           : key_ == "dtype"                                    ? "a string"
                                                                                : "an array";
    file_.refuse(here(), field(), expected, got);
  }

  void unique(std::set<std::string>& seen, const std::string& what, const std::string& value) const {
    if (!seen.insert(value).second)
      file_.refuse(here(), what, "each key once", fmt::format("'{}' twice", printable(value)));
  }

  const Reader& file_;
  int64_t start_;
  Bytes bytes_;
  Metadata* metadata_;
  Place place_ = Place::outside;
  std::string name_, key_;
  std::set<std::string> names_, keys_;
  std::vector<int64_t> offsets_;
};

}  // namespace

std::optional<DType> safetensors_dtype(std::string_view name) {
  for (const auto& [text, dtype] : dtypes)
    if (text == name) return dtype;
  return std::nullopt;
}

std::string_view safetensors_name(DType dtype) {
  for (const auto& [text, candidate] : dtypes)
    if (candidate == dtype) return text;
  return "none";
}

std::vector<SafetensorsEntry> parse_safetensors_header(const Reader& file, Bytes bytes, Metadata* metadata) {
  const int64_t start = file.offset() - static_cast<int64_t>(bytes.size());
  // The JSON library skips a byte order mark and ends quietly at a zero byte; the format allows neither.
  const auto blank = [](std::byte b) { return b == std::byte{' '} || (b >= std::byte{9} && b <= std::byte{13}); };
  const auto first = std::find_if_not(bytes.begin(), bytes.end(), blank);
  if (first == bytes.end() || *first != std::byte{'{'})
    file.refuse(start + (first - bytes.begin()), "header", "'{'",
                first == bytes.end() ? "the end of the header" : quoted(*first));
  const auto zero = std::find(bytes.begin(), bytes.end(), std::byte{0});
  if (zero != bytes.end()) file.refuse(start + (zero - bytes.begin()), "header", "UTF-8 JSON", "'\\x00'");

  Handler handler(file, start, bytes, metadata);
  if (metadata) metadata->clear();
  const Cursor begin{bytes.data(), &handler.passed}, end{bytes.data() + bytes.size(), &handler.passed};
  nlohmann::json::sax_parse(begin, end, &handler);
  return std::move(handler.entries);
}

}  // namespace gmc::files
