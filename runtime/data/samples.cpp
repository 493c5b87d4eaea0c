#include "runtime/data/samples.h"

#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gmc::data {
namespace {

class Samples : public Dataset {
public:
  Samples(Array array, const Prepare& prepare, std::string source)
      : source_(std::move(source)), prepare_(prepare), labels_(std::move(array.labels)),
        truth_(std::move(array.truth)) {
    const int64_t count = array.values.shape.at(0);
    if (count < 2) fail("data {}: expected at least 2 samples, to train and to validate, got {}", source_, count);
    if (array.values.count() == 0)
      fail("data {}: expected samples with elements, got {}", source_, to_string(array.values.shape));
    if (!labels_.empty() && static_cast<int64_t>(labels_.size()) != count)
      fail("data {}: expected {} labels, one a sample, got {}", source_, count, labels_.size());
    for (size_t i = 0; i < labels_.size(); ++i)
      if (labels_[i] < 0 || labels_[i] > std::numeric_limits<int32_t>::max())
        fail("data {}: label {}: expected the number of a class, from 0, got {}", source_, i, labels_[i]);
    values_ = prepare_images(std::move(array.values), prepare_, source_);
    sample_ = Shape(values_.shape.begin() + 1, values_.shape.end());
    size_ = element_count(sample_);
    train_ = count - (count + 9) / 10;
    check_levels();
  }

  std::string describe() const override {
    return fmt::format("{} train, {} validate", train_, values_.shape[0] - train_);
  }

  int64_t epoch(Part part, const std::vector<Slot>& slots) const override {
    check(slots);
    const int64_t count = count_of(part), batch = slots.at(0).shape[0];
    if (part == Part::train && batch > count)
      fail("data {}: a batch of {} is larger than the training part, which has {} samples", source_, batch, count);
    return count;
  }

  void draw(const Draw& d, const std::vector<Slot>& slots, const std::vector<void*>& out) const override {
    check(slots);
    for (size_t i = 0; i < slots.size(); ++i) {
      const int64_t batch = slots[i].shape[0];
      for (int64_t b = 0; b < batch; ++b) {
        const int64_t row = (d.part == Part::train ? 0 : train_) + chosen(d, count_of(d.part), batch, b);
        if (slots[i].dtype == DType::i64)
          static_cast<int64_t*>(out[i])[b] = labels_[static_cast<size_t>(row)];
        else
          write(d, row, b, static_cast<float*>(out[i]) + b * size_);
      }
    }
  }

  std::pair<double, double> range() const override { return {prepare_.low, prepare_.high}; }
  std::optional<double> bits_of_a_level() const override {
    if (!prepare_.dequantise) return std::nullopt;
    return std::log2(256 / (prepare_.high - prepare_.low));
  }
  uint64_t content() const override { return hash_of(std::as_bytes(std::span(labels_)), hash_of(values_.bytes)); }
  int64_t classes() const override {
    return labels_.empty() ? 0 : 1 + *std::max_element(labels_.begin(), labels_.end());
  }
  const Truth* truth() const override { return truth_.entropy || !truth_.centres.empty() ? &truth_ : nullptr; }

private:
  int64_t count_of(Part part) const { return part == Part::train ? train_ : values_.shape[0] - train_; }

  // Draws need values in [0, 1].
  void check_levels() const {
    if ((!prepare_.binarise && !prepare_.dequantise) || values_.dtype == DType::u8) return;
    for (int64_t i = 0; i < values_.count(); ++i)
      if (const float v = values_.as<float>()[i]; !(v >= 0 && v <= 1))
        fail("data {}: element {}: expected a value in [0, 1] to {}, got {}", source_, i,
             prepare_.binarise ? "binarise" : "dequantise", v);
  }

  void check(const std::vector<Slot>& slots) const {
    bool numbers = false;
    for (const Slot& slot : slots) {
      if (slot.dtype == DType::f32 && !numbers) {
        numbers = true;
        const Shape wanted(slot.shape.begin() + (slot.shape.empty() ? 0 : 1), slot.shape.end());
        if (slot.shape.empty() || slot.shape[0] < 1 || element_count(wanted) != size_)
          fail("data {}: samples of {} ({} elements) do not fit into a batch of {}", source_, to_string(sample_), size_,
               to_string(slot.shape));
        continue;
      }
      if (slot.dtype != DType::i64 || slot.name != "labels" || slot.shape.size() != 1 || slot.shape[0] < 1)
        fail("data {}: samples are for one f32 input and an input 'labels' of i64[B], got '{}' of {}{}", source_,
             slot.name, name_of(slot.dtype), to_string(slot.shape));
      if (labels_.empty()) fail("data {}: there are no labels for input 'labels'", source_);
    }
    if (!numbers) fail("data {}: expected an f32 input for the samples", source_);
    for (const Slot& slot : slots)
      if (slot.shape[0] != slots[0].shape[0])
        fail("data {}: inputs have batches of {} and {}", source_, slots[0].shape[0], slot.shape[0]);
  }

  void write(const Draw& d, int64_t row, int64_t b, float* out) const {
    if (values_.dtype == DType::u8)
      std::transform(values_.as<uint8_t>() + row * size_, values_.as<uint8_t>() + (row + 1) * size_, out,
                     [](uint8_t v) { return static_cast<float>(v) / 255.0f; });
    else
      std::copy_n(values_.as<float>() + row * size_, size_, out);
    const bool training = d.part == Part::train;
    if (prepare_.flip && training) {
      const uint64_t key = execute::stream_key(d.seed, execute::stream_of("data/flip"), d.step);
      const int64_t width = sample_.back();
      if (execute::random_word(key, static_cast<uint64_t>(b)) >> 31)
        for (float* line = out; line < out + size_; line += width) std::reverse(line, line + width);
    }
    if (prepare_.binarise) {
      // Of the validating part, always the same: the draws are those of the sample and not of the batch.
      const uint64_t stream = execute::stream_of("data/binarise");
      const uint64_t key = training ? execute::stream_key(d.seed, stream, d.step) : execute::stream_key(0, stream, 0);
      spread(key, training ? b : row, out, [](float x, float u) { return u < x ? 1.0f : 0.0f; });
    }
    if (prepare_.dequantise) {
      const char* name = training ? "data/dequantise" : "data/dequantise/validate";
      spread(execute::stream_key(d.seed, execute::stream_of(name), d.step), b, out,
             [](float x, float u) { return (x * 255.0f + u) / 256.0f; });
    }
    if (prepare_.ranged) {
      const auto low = static_cast<float>(prepare_.low), span = static_cast<float>(prepare_.high - prepare_.low);
      for (int64_t i = 0; i < size_; ++i) out[i] = out[i] * span + low;
    }
  }

  // out[i] = f(out[i], u) with uniform draws: number `n` has elements n size .. of the stream.
  template <class F>
  void spread(uint64_t key, int64_t n, float* out, F f) const {
    uint64_t block = ~uint64_t{0};
    execute::Words words{};
    for (int64_t i = 0; i < size_; ++i) {
      const auto element = static_cast<uint64_t>(n * size_ + i);
      if (element / 4 != block) words = execute::philox(key, block = element / 4);
      out[i] = f(out[i], static_cast<float>(execute::uniform_of(words.w[element % 4])));
    }
  }

  std::string source_;
  Prepare prepare_;
  HostTensor values_;
  std::vector<int64_t> labels_;
  Truth truth_;
  Shape sample_;
  int64_t size_ = 0, train_ = 0;
};

}  // namespace

std::unique_ptr<Dataset> samples_of(Array array, const Prepare& prepare, const std::string& source) {
  return std::make_unique<Samples>(std::move(array), prepare, source);
}

}  // namespace gmc::data
