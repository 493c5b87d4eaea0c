#include "tools/gmc/writing.h"

#include "runtime/base/error.h"

#include <algorithm>
#include <cstdio>

namespace gmc::tool {
namespace {

bool is_text(const package::Session::Slot& slot) {
  const Shape& shape = slot.type.shape;
  return slot.type.dtype == DType::i64 && shape.size() == 2 && shape[0] == 1 && shape[1] > 0;
}

}  // namespace

bool writes_a_text(const package::Session& session, const std::string& entry) {
  const auto outputs = session.outputs(session.entry_index(entry));
  return outputs.size() == 1 && is_text(outputs[0]);
}

Writer::Writer(package::Session& session, const std::string& entry, const data::Vocabulary& vocabulary,
               const std::string* prompt)
    : session_(session), vocabulary_(vocabulary), entry_(session.entry_index(entry)) {
  if (!writes_a_text(session, entry)) fail("entry '{}' must have one output of i64[1, n]", entry);
  size_ = session.outputs(entry_)[0].type.shape[1];
  const auto inputs = session.inputs(entry_);
  if (!prompt) {
    if (!inputs.empty()) fail("entry '{}' has inputs; use `gmc run` to give them", entry);
    return;
  }
  const std::vector<int32_t> symbols = vocabulary.encode(*prompt, "--prompt");
  if (symbols.empty()) fail_usage("--prompt: expected at least one symbol");
  for (const auto& slot : inputs) {
    HostTensor& t = inputs_.emplace_back(slot.type.dtype, slot.type.shape);
    const auto length = std::ssize(symbols);
    if (slot.name == "length" && slot.type.dtype == DType::i64 && t.count() == 1) {
      t.as<int64_t>()[0] = length;
      begin_.assign(symbols.begin(), symbols.end());
      known_ = symbols.size() - 1;
      continue;
    }
    if (slot.name != "prompt" || !is_text(slot))
      fail("entry '{}' has input '{}' of {}: expected 'prompt' of i64[1, n], and perhaps 'length' of i64[1]", entry,
           slot.name, graph::to_string(slot.type));
    if (length > t.count()) fail_usage("--prompt: {} symbols, entry '{}' takes at most {}", length, entry, t.count());
    std::copy(symbols.begin(), symbols.end(), t.as<int64_t>());
  }
  if (inputs_.empty()) fail("entry '{}' takes no prompt", entry);
  if (begin_.empty() && std::ssize(symbols) != inputs_[0].count())
    fail_usage("--prompt: {} symbols, entry '{}' takes {}", symbols.size(), entry, inputs_[0].count());
}

void Writer::print(int64_t symbol) const {
  const bool known = symbol >= 0 && symbol < vocabulary_.size();
  fmt::print("{}", known ? vocabulary_.name(symbol) : "\xef\xbf\xbd");  // U+FFFD: a model may have more symbols
}

std::vector<int64_t> Writer::write(uint64_t seed, uint64_t step, bool aloud) const {
  std::vector<int64_t> out(static_cast<size_t>(size_), -1);  // no symbol: not there yet
  size_t shown = known_;
  const auto show = [&] {
    if (!aloud) return;
    while (shown < out.size() && out[shown] >= 0) print(out[shown++]);
    std::fflush(stdout);
  };
  if (aloud)
    for (const int64_t symbol : begin_) print(symbol);
  std::vector<const void*> inputs;
  for (const HostTensor& t : inputs_) inputs.push_back(t.bytes.data());
  session_.run(entry_, inputs, {out.data()}, seed, step, show);
  show();
  if (aloud) fmt::print("\n");
  std::vector<int64_t> text = begin_;
  text.insert(text.end(), out.begin() + static_cast<int64_t>(known_), out.end());
  return text;
}

}  // namespace gmc::tool
