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
               const std::string* prompt, int64_t length)
    : session_(session), vocabulary_(vocabulary), name_(entry), entry_(session.entry_index(entry)), length_(length) {
  if (!writes_a_text(session, entry)) fail("entry '{}' must have one output of i64[1, n]", entry);
  size_ = session.outputs(entry_)[0].type.shape[1];
  const auto inputs = session.inputs(entry_);
  if (!prompt) {
    if (!inputs.empty()) fail("entry '{}' has inputs; use `gmc run` to give them", entry);
    return;
  }
  for (const auto& slot : inputs) inputs_.emplace_back(slot.type.dtype, slot.type.shape);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool counts = inputs[i].name == "length" && inputs[i].type.dtype == DType::i64 && inputs_[i].count() == 1;
    if (!counts && (inputs[i].name != "prompt" || !is_text(inputs[i])))
      fail("entry '{}' has input '{}' of {}: expected 'prompt' of i64[1, n], and perhaps 'length' of i64[1]", entry,
           inputs[i].name, graph::to_string(inputs[i].type));
    (counts ? prompt_length_ : prompt_) = &inputs_[i];
  }
  if (!prompt_) fail("entry '{}' takes no prompt", entry);
  const std::vector<int32_t> symbols = vocabulary.encode(*prompt, "--prompt");
  begin_.assign(symbols.begin(), symbols.end());
  if (begin_.empty()) fail_usage("--prompt: expected at least one symbol");
  const int64_t room = prompt_->count(), count = std::ssize(begin_);
  if (count > room || (!prompt_length_ && count != room))
    fail_usage("--prompt: {} symbols, entry '{}' takes {}{}", count, entry, prompt_length_ ? "at most " : "", room);
  if (length_ == 0) return;
  if (!prompt_length_ || room != size_ || size_ < 2) fail_usage("--length: entry '{}' makes {} symbols", entry, size_);
  if (length_ <= count) fail_usage("--length {}: the prompt has {} symbols", length_, count);
}

void Writer::print(int64_t symbol) const {
  const bool known = symbol >= 0 && symbol < vocabulary_.size();
  fmt::print("{}", known ? vocabulary_.name(symbol) : "\xef\xbf\xbd");  // U+FFFD: a model may have more symbols
}

void Writer::set_prompt(const int64_t* symbols, int64_t count) {
  std::copy_n(symbols, count, prompt_->as<int64_t>());
  if (prompt_length_) prompt_length_->as<int64_t>()[0] = count;
}

std::vector<int64_t> Writer::write(uint64_t seed, uint64_t text, bool aloud) {
  std::vector<int64_t> all;
  const auto say = [&](int64_t symbol) {
    all.push_back(symbol);
    if (aloud) print(symbol);
  };
  if (prompt_length_) std::for_each(begin_.begin(), begin_.end(), say);
  if (prompt_) set_prompt(begin_.data(), std::ssize(begin_));
  std::vector<const void*> inputs;
  for (const HostTensor& t : inputs_) inputs.push_back(t.bytes.data());
  for (uint64_t call = 0; call == 0 || std::ssize(all) < length_; ++call) {
    if (call > 0) set_prompt(all.data() + std::ssize(all) - size_ / 2, size_ / 2);
    std::vector<int64_t> out(static_cast<size_t>(size_), -1);  // no symbol: not there yet
    auto next = static_cast<size_t>(prompt_length_ ? prompt_length_->as<int64_t>()[0] - 1 : 0);
    const auto show = [&] {
      while (next < out.size() && out[next] >= 0 && (length_ == 0 || std::ssize(all) < length_)) say(out[next++]);
      if (aloud) std::fflush(stdout);
    };
    // Calls of one text draw other numbers than those of the next.
    session_.run(entry_, inputs, {out.data()}, seed, text + (call << 32), show);
    show();
    const bool wanted = length_ == 0 || std::ssize(all) < length_;
    if (wanted && next < out.size())
      fail("entry '{}': symbol {} of a text is {}: expected 0 or more", name_, next, out[next]);
  }
  if (aloud) fmt::print("\n");
  return all;
}

}  // namespace gmc::tool
