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
  Writer(package::Session&, const std::string& entry, const data::Vocabulary&, const std::string* prompt);

  // The text that call `step` writes, after the prompt if that has a length; printed as it comes, and a line's end.
  std::vector<int64_t> write(uint64_t seed, uint64_t step, bool print) const;

private:
  void print(int64_t symbol) const;

  package::Session& session_;
  const data::Vocabulary& vocabulary_;
  int entry_;
  int64_t size_ = 0;
  std::vector<HostTensor> inputs_;
  std::vector<int64_t> begin_;  // shown before what the entry makes
  size_t known_ = 0;            // symbols of the output that are the prompt's
};

// Whether an entry makes one text a call.
bool writes_a_text(const package::Session&, const std::string& entry);

}  // namespace gmc::tool
