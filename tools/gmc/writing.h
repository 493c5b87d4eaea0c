// Texts that models write, shown symbol by symbol.
#pragma once

#include "compiler/package/session.h"
#include "runtime/data/vocabulary.h"

#include <string>
#include <vector>

namespace gmc::tool {

// An entry whose output is one text, i64 [1, n], and what it is to go on with.
class Writer {
public:
  // Without a prompt the entry has no inputs. With one it has `prompt` i64 [1, n], and takes all of it; or it also has
  // `length` i64 [1], of how many symbols the prompt is, and its output goes on with the second symbol. Throws `Error`
  // if the entry is none of these, or the prompt is empty or does not fit.
  //
  // `length`: symbols of a text, 0: as many as a call makes. Where they are more, the next call goes on from the last
  // half of what a call holds, which takes an entry with `length`.
  Writer(package::Session&, const std::string& entry, const data::Vocabulary&, const std::string* prompt,
         int64_t length = 0);

  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Text number `text` of a seed, after the prompt if that has a length; printed as it comes, and a line's end.
  std::vector<int64_t> write(uint64_t seed, uint64_t text, bool print);

private:
  void print(int64_t symbol) const;
  void set_prompt(const int64_t* symbols, int64_t count);

  package::Session& session_;
  const data::Vocabulary& vocabulary_;
  std::string name_;  // of the entry
  int entry_;
  int64_t size_ = 0, length_;
  std::vector<HostTensor> inputs_;
  HostTensor *prompt_ = nullptr, *prompt_length_ = nullptr;
  std::vector<int64_t> begin_;  // the prompt
};

// Whether an entry makes one text a call.
bool writes_a_text(const package::Session&, const std::string& entry);

}  // namespace gmc::tool
