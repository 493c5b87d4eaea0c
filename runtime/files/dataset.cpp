#include "runtime/files/dataset.h"

#include "runtime/base/error.h"
#include "runtime/execute/random.h"
#include "runtime/files/glyphs.h"
#include "runtime/files/idx.h"
#include "runtime/files/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>

namespace gmc::files {
namespace {

constexpr int64_t default_glyphs = 10'000, most_glyphs = 1'000'000;

// f32 in [0, 1].
HostTensor from_bytes(const HostTensor& bytes) {
  HostTensor result(DType::f32, bytes.shape);
  std::transform(bytes.as<uint8_t>(), bytes.as<uint8_t>() + bytes.count(), result.as<float>(),
                 [](uint8_t v) { return static_cast<float>(v) / 255.0f; });
  return result;
}

HostTensor read_mnist(const std::string& path) {
  constexpr std::array<const char*, 4> names{"t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz",
                                             "train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"};
  std::string file = path;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    const auto found = std::find_if(names.begin(), names.end(), [&](const char* name) {
      return std::filesystem::exists(std::filesystem::path(path) / name, ignored);
    });
    if (found == names.end()) fail("data mnist:{}: expected one of {}[.gz] or {}[.gz] there", path, names[0], names[2]);
    file = (std::filesystem::path(path) / *found).string();
  }
  const HostTensor images = load_idx(file);
  if (images.shape.size() != 3)
    fail("data mnist:{}: expected images [N, H, W] in {}, got {}", path, file, to_string(images.shape));
  return from_bytes(images);
}

HostTensor read_npy(const std::string& path) {
  HostTensor array = load_npy(path);
  if (array.shape.size() < 2) fail("data npy:{}: expected [N, ...], got {}", path, to_string(array.shape));
  if (array.dtype == DType::u8) return from_bytes(array);
  if (array.dtype != DType::f32 && array.dtype != DType::f64)
    fail("data npy:{}: expected u8, f32 or f64, got {}", path, name_of(array.dtype));
  if (array.dtype == DType::f64) {
    HostTensor narrow(DType::f32, array.shape);
    std::transform(array.as<double>(), array.as<double>() + array.count(), narrow.as<float>(),
                   [](double v) { return static_cast<float>(v); });
    array = std::move(narrow);
  }
  const bool unit = array.shape.size() > 2;
  const float* values = array.as<float>();
  for (int64_t i = 0; i < array.count(); ++i) {
    if (!std::isfinite(values[i])) fail("data npy:{}: element {}: expected a finite f32, got {}", path, i, values[i]);
    if (unit && (values[i] < 0 || values[i] > 1))
      fail("data npy:{}: element {}: expected images in [0, 1], got {}", path, i, values[i]);
  }
  return array;
}

HostTensor make_glyphs(const std::string& count) {
  int64_t n = default_glyphs;
  if (!count.empty()) {
    const char* end = count.data() + count.size();
    const auto [stop, status] = std::from_chars(count.data(), end, n);
    if (status != std::errc() || stop != end || n < 2 || n > most_glyphs)
      fail_usage("data glyphs:{}: expected a number from 2 to {}", count, most_glyphs);
  }
  return draw_glyphs(n);
}

struct Kind {
  const char* name;
  const char* help;
  bool needs_path;
  HostTensor (*read)(const std::string& path);
};

constexpr std::array<Kind, 3> kinds{
    {{"mnist", "mnist:DIR   the MNIST images of DIR (t10k- or train-images-idx3-ubyte, plain or .gz)", true,
      read_mnist},
     {"npy", "npy:FILE    an array [N, ...] of u8 or float images or vectors", true, read_npy},
     {"glyphs", "glyphs[:N]  N drawn digits of 28 x 28 pixels, made on the spot (10000 if N is not given)", false,
      make_glyphs}}};

}  // namespace

std::vector<DatasetKind> dataset_kinds() {
  std::vector<DatasetKind> result;
  for (const Kind& kind : kinds) result.push_back({kind.name, kind.help});
  return result;
}

Dataset load_dataset(const std::string& spec) {
  const size_t colon = spec.find(':');
  const std::string name = spec.substr(0, colon);
  const std::string path = colon == std::string::npos ? "" : spec.substr(colon + 1);
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& k) { return k.name == name; });
  if (kind == kinds.end()) {
    std::string known;
    for (const Kind& k : kinds) known += fmt::format("{}{}", known.empty() ? "" : ", ", k.name);
    fail_usage("data '{}': expected KIND:PATH with one of the kinds {}, got kind '{}'", spec, known, name);
  }
  if (kind->needs_path && path.empty()) fail_usage("data '{}': expected a path: {}", spec, kind->help);
  Dataset data{name, kind->read(path), 0};
  const int64_t count = data.images.shape[0];
  if (count < 2) fail("data {}: expected at least 2 samples, to train and to validate, got {}", spec, count);
  if (data.images.count() == 0)
    fail("data {}: expected samples with elements, got {}", spec, to_string(data.images.shape));
  data.train_count = count - (count + 9) / 10;
  return data;
}

void draw_batch(const Dataset& data, bool validate, uint64_t seed, uint64_t step, const Shape& batch, float* out) {
  const Shape& all = data.images.shape;
  if (all.empty() || data.images.dtype != DType::f32 || data.train_count < 1 || data.train_count >= all[0])
    fail("data {}: expected f32 [N, ...] and a split of N, got {} {} and {}", data.kind, name_of(data.images.dtype),
         to_string(all), data.train_count);
  const Shape sample(all.begin() + 1, all.end());
  const Shape wanted(batch.begin() + (batch.empty() ? 0 : 1), batch.end());
  const int64_t size = element_count(sample);
  if (batch.empty() || element_count(wanted) != size)
    fail("data {}: samples of {} ({} elements) do not fit into a batch of {}", data.kind, to_string(sample), size,
         to_string(batch));

  const int64_t first = validate ? data.train_count : 0;
  const uint64_t count = static_cast<uint64_t>(validate ? all[0] - data.train_count : data.train_count);
  const uint64_t key = execute::stream_key(seed, execute::stream_of(validate ? "data/validate" : "data/train"), step);
  for (int64_t b = 0; b < batch[0]; ++b) {
    const uint64_t word = execute::random_word(key, static_cast<uint64_t>(b));
    const int64_t index = first + static_cast<int64_t>(word * count >> 32);
    std::copy_n(data.images.as<float>() + index * size, size, out + b * size);
  }
}

}  // namespace gmc::files
