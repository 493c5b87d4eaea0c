#include "runtime/data/dataset.h"

#include "runtime/base/error.h"
#include "runtime/data/glyphs.h"
#include "runtime/data/images.h"
#include "runtime/data/made.h"
#include "runtime/data/permutation.h"
#include "runtime/data/tokens.h"
#include "runtime/execute/random.h"
#include "runtime/files/wav.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace gmc::data {
namespace {

using Loaded = std::unique_ptr<Dataset>;

// What stands before and after the colon, and what is to be done to samples.
struct Spec {
  std::string kind, path;
  Prepare prepare;
  std::string text() const { return path.empty() ? kind : kind + ":" + path; }
};

// The number after the colon.
int64_t number(const Spec& s, int64_t otherwise, int64_t least, int64_t most) {
  if (s.path.empty()) return otherwise;
  int64_t n = 0;
  const char* end = s.path.data() + s.path.size();
  const auto [stop, status] = std::from_chars(s.path.data(), end, n);
  if (status != std::errc() || stop != end || n < least || n > most)
    fail_usage("data {}: expected a number from {} to {}", s.text(), least, most);
  return n;
}

template <Array (*read)(const std::string&)>
Loaded from_file(const Spec& s) {
  return samples_of(read(s.path), s.prepare, s.text());
}

Loaded points(const Spec& s) {
  return samples_of(made_points(s.kind, number(s, 100'000, 2, 10'000'000)), s.prepare, s.kind);
}

template <Array (*make)(int64_t)>
Loaded made(const Spec& s) {
  return samples_of(make(number(s, 10'000, 2, 1'000'000)), s.prepare, s.kind);
}

Array glyphs(int64_t count) {
  Array out{draw_glyphs(count), {}, {}};
  for (int64_t i = 0; i < count; ++i) out.labels.push_back(glyph_digit(i));
  return out;
}

std::string text_in(const std::string& path) {
  const auto bytes = files::read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Loaded text(const Spec& s) {
  const std::string all = text_in(s.path);
  const Vocabulary vocabulary = s.kind == "bytes" ? Vocabulary::bytes() : Vocabulary::characters(all, s.path);
  return text_of(vocabulary.encode(all, s.path), vocabulary, s.text());
}

Loaded sums(const Spec& s) {
  const std::string all = arithmetic(number(s, 50'000, 10, 10'000'000));
  const Vocabulary vocabulary = Vocabulary::characters(all, s.kind);
  return text_of(vocabulary.encode(all, s.kind), vocabulary, s.kind);
}

// Channels are averaged.
Loaded sound(const Spec& s) {
  const files::Sound sound = files::load_wav(s.path);
  const int64_t channels = sound.values.shape[1];
  std::vector<float> values(static_cast<size_t>(sound.values.shape[0]));
  for (size_t i = 0; i < values.size(); ++i) {
    const float* sample = sound.values.as<float>() + static_cast<int64_t>(i) * channels;
    for (int64_t c = 0; c < channels; ++c) values[i] += sample[c] / static_cast<float>(channels);
  }
  return signal_of(std::move(values), s.text());
}

struct Kind {
  const char* name;
  const char* help;
  bool needs_path;
  bool samples;  // which `prepare` applies to
  Loaded (*load)(const Spec&);
};

Loaded reverse(const Spec& s) { return reversal(number(s, 10, 2, 1'000'000)); }

constexpr std::array<Kind, 19> kinds{
    {{"mnist", "mnist:DIR   the MNIST images of DIR (t10k- or train-images-idx3-ubyte, plain or .gz)", true, true,
      from_file<read_mnist>},
     {"cifar10", "cifar10:DIR  the CIFAR-10 images of DIR (data_batch_1.bin to 5), or of one such file", true, true,
      from_file<read_cifar>},
     {"png", "png:DIR     the .png of DIR, of one size; its folders are the labels", true, true,
      from_file<read_png_folder>},
     {"npy", "npy:FILE    an array [N, ...] of u8 or float images or vectors", true, true, from_file<read_npy>},
     {"npz", "npz:FILE[:NAME]  an array of an archive of NumPy, else images, x or arr_0; labels or y are its labels",
      true, true, from_file<read_npz>},
     {"text", "text:FILE   UTF-8 text, a symbol for each distinct character", true, false, text},
     {"bytes", "bytes:FILE  any file, 256 symbols", true, false, text},
     {"wav", "wav:FILE    sound, channels averaged: numbers in [-1, 1], or 256 levels of the mu-law", true, false,
      sound},
     {"glyphs", "glyphs[:N]  N drawn digits of 28 x 28 pixels, made on the spot (10000 if N is not given)", false, true,
      made<glyphs>},
     {"shapes", "shapes[:N]  N squares, ellipses and triangles of 32 x 32 pixels (10000)", false, true,
      made<made_shapes>},
     {"sines", "sines[:N]   N series [24, 5] of sines (10000)", false, true, made<made_sines>},
     {"gaussians8", "gaussians8[:N]   N points [2] of 8 normal distributions on a circle (100000)", false, true,
      points},
     {"gaussians25", "gaussians25[:N]  N points of 25 narrow ones on a grid (100000)", false, true, points},
     {"moons", "moons[:N]   N points of two half circles (100000)", false, true, points},
     {"swissroll", "swissroll[:N]    N points of a spiral (100000)", false, true, points},
     {"pinwheel", "pinwheel[:N]     N points of five bent arms (100000)", false, true, points},
     {"checkerboard", "checkerboard[:N]  N points of the dark squares (100000)", false, true, points},
     {"arithmetic", "arithmetic[:N]  N lines of sums as 12+907=919, the result from its last digit (50000)", false,
      false, sums},
     {"reverse", "reverse[:N]  sequences of N symbols (10) and their reversals: src, ids, targets", false, false,
      reverse}}};

const Kind* find(const std::string& name) {
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& k) { return k.name == name; });
  return kind == kinds.end() ? nullptr : &*kind;
}

}  // namespace

std::vector<DatasetKind> dataset_kinds() {
  std::vector<DatasetKind> result;
  for (const Kind& kind : kinds) result.push_back({kind.name, kind.help});
  return result;
}

std::unique_ptr<Dataset> load_dataset(const std::string& text, const std::string& prepare) {
  const size_t colon = text.find(':');
  Spec spec{text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1), Prepare::parse(prepare)};
  const Kind* kind = find(spec.kind);
  if (!kind) {
    std::string known;
    for (const DatasetKind& k : dataset_kinds()) known += (known.empty() ? "" : ", ") + k.name;
    fail_usage("data '{}': expected KIND:PATH with one of the kinds {}, got kind '{}'", text, known, spec.kind);
  }
  if (kind->needs_path && spec.path.empty()) fail_usage("data '{}': expected a path: {}", text, kind->help);
  if (!kind->samples && !prepare.empty())
    fail_usage("data '{}': nothing can be prepared of {}, got '{}'", text, spec.kind, prepare);
  std::unique_ptr<Dataset> data = kind->load(spec);
  data->set_kind(spec.kind);
  return data;
}

uint64_t hash_of(std::span<const std::byte> bytes, uint64_t before) {
  uint64_t hash = execute::fold(before, bytes.size());
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<size_t>(8, bytes.size() - at));
    hash = execute::fold(hash, word);
  }
  return hash;
}

int64_t chosen(const Draw& d, int64_t count, int64_t batch, int64_t b) {
  const bool training = d.part == Part::train;
  if (d.order == Order::uniform) {
    const char* stream = training ? "data/train" : "data/validate";
    const uint64_t key = execute::stream_key(d.seed, execute::stream_of(stream), d.step);
    const uint64_t word = execute::random_word(key, static_cast<uint64_t>(b));
    return static_cast<int64_t>(word * static_cast<uint64_t>(count) >> 32);
  }
  const uint64_t place = d.step * static_cast<uint64_t>(batch) + static_cast<uint64_t>(b);
  const auto within = static_cast<int64_t>(place % static_cast<uint64_t>(count));
  if (d.order == Order::sequential) return within;
  const char* stream = training ? "data/shuffle" : "data/shuffle/validate";
  const uint64_t epoch = place / static_cast<uint64_t>(count);
  return permuted(execute::stream_key(d.seed, execute::stream_of(stream), epoch), count, within);
}

}  // namespace gmc::data
