#include "runtime/data/tokens.h"

#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <algorithm>
#include <cmath>

namespace gmc::data {
namespace {

// Inputs of one shape [B, T] and one dtype, with these names.
void check_names(const std::vector<Slot>& slots, const std::vector<std::string>& names, const std::string& source) {
  std::string expected;
  for (const std::string& name : names) expected += (expected.empty() ? "'" : ", '") + name + "'";
  for (const Slot& slot : slots)
    if (std::find(names.begin(), names.end(), slot.name) == names.end() || slot.dtype != DType::i64 ||
        slot.shape.size() != 2 || slot.shape != slots[0].shape || slot.shape[0] < 1 || slot.shape[1] < 1)
      fail("data {}: expected inputs {} of i64[B, T], got '{}' of {}{}", source, expected, slot.name,
           name_of(slot.dtype), to_string(slot.shape));
  if (slots.empty()) fail("data {}: expected inputs {}, the entry has none", source, expected);
}

// The places where windows of a part begin.
class Windows : public Dataset {
public:
  Windows(int64_t length, std::string source) : source_(std::move(source)), length_(length), train_(length * 9 / 10) {}

  int64_t epoch(Part part, const std::vector<Slot>& slots) const override {
    const int64_t size = check(slots);
    const int64_t count = begins(part, size), batch = slots[0].shape[0];
    const int64_t windows = (count + size - 1) / size;
    if (part == Part::train && batch > count)
      fail("data {}: a batch of {} is larger than the training part, which has {} windows of {}", source_, batch, count,
           size);
    return std::max<int64_t>(1, windows);
  }

protected:
  // How many elements a window has; throws `Error` for inputs that do not fit.
  virtual int64_t check(const std::vector<Slot>&) const = 0;

  int64_t part_length(Part part) const { return part == Part::train ? train_ : length_ - train_; }
  // A window of `size` and the element after it must lie in the part.
  int64_t begins(Part part, int64_t size) const {
    const int64_t count = part_length(part) - size;
    if (count < 1)
      fail("data {}: the {} part has {} elements, too few for windows of {} and one more", source_,
           part == Part::train ? "training" : "validating", part_length(part), size);
    return count;
  }
  // Sequential draws take window after window.
  int64_t begin_of(const Draw& d, int64_t size, int64_t batch, int64_t b) const {
    const int64_t count = begins(d.part, size), first = d.part == Part::train ? 0 : train_;
    if (d.order != Order::sequential) return first + chosen(d, count, batch, b);
    return first + chosen(d, (count + size - 1) / size, batch, b) * size;
  }

  std::string source_;
  int64_t length_, train_;
};

class Text : public Windows {
public:
  Text(std::vector<int32_t> symbols, Vocabulary vocabulary, const std::string& source)
      : Windows(static_cast<int64_t>(symbols.size()), source), symbols_(std::move(symbols)),
        vocabulary_(std::move(vocabulary)) {
    if (vocabulary_.size() < 2)
      fail("data {}: expected at least 2 distinct symbols, got {}", source, vocabulary_.size());
  }
  std::string describe() const override {
    return fmt::format("{} symbols train, {} validate, vocabulary of {}", train_, length_ - train_, vocabulary_.size());
  }
  const Vocabulary* vocabulary() const override { return &vocabulary_; }
  uint64_t content() const override { return hash_of(std::as_bytes(std::span(symbols_))); }

  void draw(const Draw& d, const std::vector<Slot>& slots, const std::vector<void*>& out) const override {
    const int64_t size = check(slots);
    for (size_t i = 0; i < slots.size(); ++i)
      for (int64_t b = 0; b < slots[i].shape[0]; ++b) {
        const int64_t begin = begin_of(d, size, slots[i].shape[0], b) + (slots[i].name == "targets" ? 1 : 0);
        std::copy_n(symbols_.begin() + begin, size, static_cast<int64_t*>(out[i]) + b * size);
      }
  }

private:
  int64_t check(const std::vector<Slot>& slots) const override {
    check_names(slots, {"ids", "targets"}, source_);
    return slots[0].shape[1];
  }

  std::vector<int32_t> symbols_;
  Vocabulary vocabulary_;
};

class Signal : public Windows {
public:
  Signal(std::vector<float> values, const std::string& source)
      : Windows(static_cast<int64_t>(values.size()), source), values_(std::move(values)) {}
  std::string describe() const override {
    return fmt::format("{} values train, {} validate", train_, length_ - train_);
  }
  std::pair<double, double> range() const override { return {-1, 1}; }
  uint64_t content() const override { return hash_of(std::as_bytes(std::span(values_))); }

  void draw(const Draw& d, const std::vector<Slot>& slots, const std::vector<void*>& out) const override {
    const int64_t size = check(slots);
    for (size_t i = 0; i < slots.size(); ++i)
      for (int64_t b = 0; b < slots[i].shape[0]; ++b) {
        const float* from = values_.data() + begin_of(d, size, slots[i].shape[0], b);
        if (slots[i].dtype == DType::f32)
          std::copy_n(from, size, static_cast<float*>(out[i]) + b * size);
        else
          std::transform(from + (slots[i].name == "targets"), from + (slots[i].name == "targets") + size,
                         static_cast<int64_t*>(out[i]) + b * size, level);
      }
  }

private:
  static int64_t level(float x) {
    const double v = std::clamp(static_cast<double>(x), -1.0, 1.0);
    const double y = std::copysign(std::log1p(255 * std::fabs(v)) / std::log(256.0), v);
    return std::min<int64_t>(255, static_cast<int64_t>((y + 1) * 128));
  }

  int64_t check(const std::vector<Slot>& slots) const override {
    if (slots.size() == 1 && slots[0].dtype == DType::f32 && slots[0].shape.size() >= 2 && slots[0].shape[0] > 0) {
      const int64_t size = element_count(Shape(slots[0].shape.begin() + 1, slots[0].shape.end()));
      if (size > 0) return size;
    }
    check_names(slots, {"ids", "targets"}, source_);
    return slots[0].shape[1];
  }

  std::vector<float> values_;
};

class Reversal : public Dataset {
public:
  explicit Reversal(int64_t symbols) : symbols_(symbols), vocabulary_(Vocabulary::named(names(symbols))) {}
  std::string describe() const override {
    return fmt::format("sequences made anew, vocabulary of {}", vocabulary_.size());
  }
  const Vocabulary* vocabulary() const override { return &vocabulary_; }
  int64_t epoch(Part, const std::vector<Slot>& slots) const override {
    check_names(slots, {"src", "ids", "targets"}, "reverse");
    return 0;
  }

  void draw(const Draw& d, const std::vector<Slot>& slots, const std::vector<void*>& out) const override {
    check_names(slots, {"src", "ids", "targets"}, "reverse");
    const char* stream = d.part == Part::train ? "data/train" : "data/validate";
    const uint64_t key = execute::stream_key(d.seed, execute::stream_of(stream), d.step);
    for (size_t i = 0; i < slots.size(); ++i) {
      const int64_t t = slots[i].shape[1];
      auto* to = static_cast<int64_t*>(out[i]);
      for (int64_t b = 0; b < slots[i].shape[0]; ++b)
        for (int64_t k = 0; k < t; ++k, ++to) {
          const auto source = [&](int64_t at) {
            const uint64_t word = execute::random_word(key, static_cast<uint64_t>(b * t + at));
            return 3 + static_cast<int64_t>(word * static_cast<uint64_t>(symbols_) >> 32);
          };
          if (slots[i].name == "src")
            *to = source(k);
          else if (slots[i].name == "targets")
            *to = source(t - 1 - k);
          else
            *to = k == 0 ? 1 : source(t - k);
        }
    }
  }

private:
  // Padding, the start, the end, then letters or numbers.
  static std::vector<std::string> names(int64_t symbols) {
    std::vector<std::string> out{"_", "^", "$"};
    for (int64_t i = 0; i < symbols; ++i)
      out.push_back(symbols <= 26 ? std::string(1, static_cast<char>('a' + i)) : fmt::format("{} ", i));
    return out;
  }

  int64_t symbols_;
  Vocabulary vocabulary_;
};

}  // namespace

std::unique_ptr<Dataset> text_of(std::vector<int32_t> symbols, Vocabulary vocabulary, const std::string& source) {
  return std::make_unique<Text>(std::move(symbols), std::move(vocabulary), source);
}

std::unique_ptr<Dataset> signal_of(std::vector<float> values, const std::string& source) {
  return std::make_unique<Signal>(std::move(values), source);
}

std::unique_ptr<Dataset> reversal(int64_t symbols) { return std::make_unique<Reversal>(symbols); }

std::string arithmetic(int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t key = execute::stream_key(0, execute::stream_of("data/arithmetic"), static_cast<uint64_t>(i));
    const uint64_t a = uint64_t{execute::random_word(key, 0)} * 1000 >> 32;
    const uint64_t b = uint64_t{execute::random_word(key, 1)} * 1000 >> 32;
    std::string sum = std::to_string(a + b);
    std::reverse(sum.begin(), sum.end());
    text += fmt::format("{}+{}={}\n", a, b, sum);
  }
  return text;
}

}  // namespace gmc::data
