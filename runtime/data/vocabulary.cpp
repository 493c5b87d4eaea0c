#include "runtime/data/vocabulary.h"

#include "runtime/base/error.h"
#include "runtime/files/reader.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace gmc::data {
namespace {

// Bytes of the character at `at` (RFC 3629), 0 if there is none.
size_t character_size(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + size > text.size()) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  const unsigned char second = byte(at + 1);
  // Overlong forms, surrogates, and what lies above U+10FFFF.
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return size;
}

[[noreturn]] void fail_no_utf8(std::string_view text, const std::string& source, size_t at) {
  fail("{}: byte {}, text: expected UTF-8, got 0x{:02x}; use bytes: for other files", source, at,
       static_cast<unsigned char>(text[at]));
}

template <class Visit>
void for_each_character(std::string_view text, const std::string& source, Visit visit) {
  for (size_t at = 0; at < text.size();) {
    const size_t size = character_size(text, at);
    if (size == 0) fail_no_utf8(text, source, at);
    visit(at, text.substr(at, size));
    at += size;
  }
}

}  // namespace

Vocabulary Vocabulary::bytes() {
  Vocabulary v;
  for (int i = 0; i < 256; ++i) v.names_.emplace_back(1, static_cast<char>(i));
  v.bytes_ = true;
  return v;
}

Vocabulary Vocabulary::characters(std::string_view text, const std::string& source) {
  std::set<std::string_view> distinct;  // the order of bytes in UTF-8 is that of code points
  for_each_character(text, source, [&](size_t, std::string_view c) { distinct.insert(c); });
  return named({distinct.begin(), distinct.end()});
}

Vocabulary Vocabulary::named(std::vector<std::string> names) {
  Vocabulary v;
  v.names_ = std::move(names);
  return v;
}

Vocabulary Vocabulary::from_text(const std::string& text) {
  if (text == "bytes") return bytes();
  try {
    auto names = nlohmann::json::parse(text).get<std::vector<std::string>>();
    if (std::find(names.begin(), names.end(), "") != names.end()) fail("vocabulary: a symbol has an empty name");
    return named(std::move(names));
  } catch (const nlohmann::json::exception&) {
    fail("vocabulary: expected 'bytes' or a list of symbols, got '{}'", files::printable(text));
  }
}

std::vector<int32_t> Vocabulary::encode(std::string_view text, const std::string& source) const {
  std::vector<int32_t> out;
  out.reserve(text.size());
  if (bytes_) {
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
    return out;
  }
  std::map<std::string_view, int32_t> numbers;
  size_t longest = 0;
  for (size_t i = 0; i < names_.size(); ++i) {
    numbers.emplace(names_[i], static_cast<int32_t>(i));
    longest = std::max(longest, names_[i].size());
  }
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    size_t size = std::min(longest, rest.size());
    auto it = numbers.find(rest.substr(0, size));
    while (it == numbers.end() && size > 1) it = numbers.find(rest.substr(0, --size));
    // Names that are words end in a blank, which the last one may lack.
    if (it == numbers.end()) it = numbers.find(std::string(rest) + ' '), size = rest.size();
    if (it == numbers.end()) {
      const size_t character = character_size(text, at);
      if (character == 0) fail_no_utf8(text, source, at);
      fail("{}: byte {}, text: expected one of the {} symbols of the vocabulary, got '{}'", source, at, this->size(),
           files::printable(text.substr(at, character)));
    }
    out.push_back(it->second);
    at += size;
  }
  return out;
}

std::string Vocabulary::to_text() const { return bytes_ ? "bytes" : nlohmann::json(names_).dump(); }

}  // namespace gmc::data
