// The symbols of texts and what their numbers mean.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gmc::data {

class Vocabulary {
public:
  // The 256 bytes.
  static Vocabulary bytes();
  // The distinct characters of UTF-8 text, by rising code point; of ASCII these are its distinct bytes. Throws `Error`
  // with the offset of what is not UTF-8; `source` names the text.
  static Vocabulary characters(std::string_view text, const std::string& source);
  // Symbol i is called names[i].
  static Vocabulary named(std::vector<std::string> names);
  // What `to_text` gave. Throws `Error` for anything else.
  static Vocabulary from_text(const std::string& text);

  int64_t size() const { return static_cast<int64_t>(names_.size()); }
  const std::string& name(int64_t symbol) const { return names_[static_cast<size_t>(symbol)]; }
  // The numbers of the symbols of a text. Throws `Error` naming the first that is none, and its offset.
  std::vector<int32_t> encode(std::string_view text, const std::string& source) const;
  // One line for the metadata of checkpoints.
  std::string to_text() const;
  bool operator==(const Vocabulary&) const = default;

private:
  std::vector<std::string> names_;
  bool bytes_ = false;
};

}  // namespace gmc::data
