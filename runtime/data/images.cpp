#include "runtime/data/images.h"

#include "runtime/base/error.h"
#include "runtime/data/permutation.h"
#include "runtime/execute/random.h"
#include "runtime/files/cifar.h"
#include "runtime/files/idx.h"
#include "runtime/files/npy.h"
#include "runtime/files/png.h"
#include "runtime/files/zip.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>

namespace gmc::data {
namespace {

namespace fs = std::filesystem;

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The names in a folder, sorted: what a file system gives has no order.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code problem;
  std::vector<fs::path> out;
  for (fs::directory_iterator it(folder, problem), end; !problem && it != end; it.increment(problem))
    out.push_back(it->path());
  if (problem) fail("cannot read {}: {}", folder.string(), problem.message());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<int64_t> integers_of(const HostTensor& t, const std::string& source) {
  std::vector<int64_t> out(static_cast<size_t>(t.count()));
  for (size_t i = 0; i < out.size(); ++i) {
    switch (t.dtype) {
    case DType::u8:
      out[i] = t.as<uint8_t>()[i];
      break;
    case DType::i32:
      out[i] = t.as<int32_t>()[i];
      break;
    case DType::i64:
      out[i] = t.as<int64_t>()[i];
      break;
    default:
      fail("data {}: expected labels of u8, i32 or i64, got {}", source, name_of(t.dtype));
    }
  }
  return out;
}

Array checked(HostTensor array, const std::string& source) {
  if (array.shape.size() < 2) fail("data {}: expected [N, ...], got {}", source, to_string(array.shape));
  if (array.dtype == DType::u8) return {std::move(array), {}, {}};
  if (array.dtype != DType::f32 && array.dtype != DType::f64)
    fail("data {}: expected u8, f32 or f64, got {}", source, name_of(array.dtype));
  if (array.dtype == DType::f64) {
    HostTensor narrow(DType::f32, array.shape);
    std::transform(array.as<double>(), array.as<double>() + array.count(), narrow.as<float>(),
                   [](double v) { return static_cast<float>(v); });
    array = std::move(narrow);
  }
  const bool unit = array.shape.size() > 2;
  const float* values = array.as<float>();
  for (int64_t i = 0; i < array.count(); ++i) {
    if (!std::isfinite(values[i])) fail("data {}: element {}: expected a finite f32, got {}", source, i, values[i]);
    if (unit && (values[i] < 0 || values[i] > 1))
      fail("data {}: element {}: expected images in [0, 1], got {}", source, i, values[i]);
  }
  return {std::move(array), {}, {}};
}

// Grey as it is or as three equal channels; alpha over black, rounded.
void write_image(const HostTensor& image, int64_t channels, uint8_t* out) {
  const int64_t from = image.shape[2], plane = image.shape[0] * image.shape[1];
  const bool alpha = from % 2 == 0;
  for (int64_t p = 0; p < plane; ++p)
    for (int64_t c = 0; c < channels; ++c) {
      const uint8_t* pixel = image.as<uint8_t>() + p * from;
      const int value = pixel[from < 3 ? 0 : c];
      out[c * plane + p] = static_cast<uint8_t>(alpha ? (value * pixel[from - 1] + 127) / 255 : value);
    }
}

}  // namespace

Array read_mnist(const std::string& path) {
  constexpr std::array<const char*, 2> names{"t10k-images-idx3-ubyte", "train-images-idx3-ubyte"};
  std::string file = path;
  if (is_folder(path)) {
    file.clear();
    for (const char* name : names)
      for (const char* end : {"", ".gz"})
        if (const fs::path candidate = fs::path(path) / (std::string(name) + end); file.empty() && is_there(candidate))
          file = candidate.string();
    if (file.empty()) fail("data mnist:{}: expected one of {}[.gz] or {}[.gz] there", path, names[0], names[1]);
  }
  Array out{files::load_idx(file), {}, {}};
  if (out.values.shape.size() != 3)
    fail("data mnist:{}: expected images [N, H, W] in {}, got {}", path, file, to_string(out.values.shape));
  const size_t at = file.rfind("-images-idx3-ubyte");
  if (at == std::string::npos) return out;
  for (const char* end : {"", ".gz"}) {
    const std::string labels = file.substr(0, at) + "-labels-idx1-ubyte" + end;
    if (!is_there(labels)) continue;
    const HostTensor values = files::load_idx(labels);
    if (values.shape != Shape{out.values.shape[0]})
      fail("data mnist:{}: expected {} labels in {}, got {}", path, out.values.shape[0], labels,
           to_string(values.shape));
    out.labels = integers_of(values, labels);
    return out;
  }
  return out;
}

Array read_cifar(const std::string& path) {
  std::vector<std::string> paths{path};
  if (is_folder(path)) {
    paths.clear();
    for (int i = 1; i <= 5; ++i)
      if (const fs::path file = fs::path(path) / fmt::format("data_batch_{}.bin", i); is_there(file))
        paths.push_back(file.string());
    if (paths.empty()) fail("data cifar10:{}: expected data_batch_1.bin to data_batch_5.bin there", path);
  }
  Array out{HostTensor(DType::u8, {0, 3, 32, 32}), {}, {}};
  for (const std::string& file : paths) {
    const files::Cifar part = files::parse_cifar(files::read_file(file), file);
    out.values.shape[0] += part.images.shape[0];
    out.values.bytes.insert(out.values.bytes.end(), part.images.bytes.begin(), part.images.bytes.end());
    out.labels.insert(out.labels.end(), part.labels.begin(), part.labels.end());
  }
  return out;
}

Array read_png_folder(const std::string& path) {
  std::vector<std::pair<fs::path, int64_t>> found;
  const auto is_png = [](const fs::path& p) { return p.extension() == ".png"; };
  int64_t folders = 0;
  for (const fs::path& entry : entries_of(path)) {
    if (is_folder(entry.string())) {
      for (const fs::path& inner : entries_of(entry))
        if (is_png(inner)) found.emplace_back(inner, folders);
      ++folders;
    } else if (is_png(entry)) {
      found.emplace_back(entry, -1);
    }
  }
  if (found.empty()) fail("data png:{}: expected .png files there or in its folders, got none", path);
  std::vector<HostTensor> images;
  int64_t channels = 1;
  for (const auto& [file, label] : found) {
    images.push_back(files::load_png(file.string()));
    const Shape &first = images[0].shape, &now = images.back().shape;
    if (first[0] != now[0] || first[1] != now[1])
      fail("data png:{}: expected images of one size: {} has {} x {} pixels, {} has {} x {}", path,
           found[0].first.string(), first[0], first[1], file.string(), now[0], now[1]);
    if (now[2] > 2) channels = 3;
  }
  const auto count = static_cast<int64_t>(images.size());
  Array out{HostTensor(DType::u8, {count, channels, images[0].shape[0], images[0].shape[1]}), {}, {}};
  const int64_t size = out.values.count() / count;
  out.labels.resize(found.size());
  for (int64_t i = 0; i < count; ++i) {
    // What comes last is held out: of every folder some, not all of the last one.
    const int64_t to = folders > 0 ? permuted(execute::stream_of("data/png"), count, i) : i;
    write_image(images[static_cast<size_t>(i)], channels, out.values.as<uint8_t>() + to * size);
    out.labels[static_cast<size_t>(to)] = found[static_cast<size_t>(i)].second;
  }
  if (std::count(out.labels.begin(), out.labels.end(), -1) > 0) out.labels.clear();
  return out;
}

Array read_npy(const std::string& path) { return checked(files::load_npy(path), "npy:" + path); }

Array read_npz(const std::string& path) {
  std::string file = path, wanted;
  if (const size_t colon = path.rfind(':'); colon != std::string::npos && !is_there(path)) {
    file = path.substr(0, colon);
    wanted = path.substr(colon + 1);
  }
  const std::string source = "npz:" + path;
  const auto members = files::parse_zip(files::read_file(file), file);
  std::string names;
  for (const auto& [name, bytes] : members) names += (names.empty() ? "" : ", ") + files::printable(name);
  const auto find = [&](const std::string& name) { return members.find(name + ".npy"); };
  const auto parse = [&](const auto& member) {
    return files::parse_npy(member.second, fmt::format("{} ({})", file, files::printable(member.first)));
  };
  auto it = members.end();
  if (!wanted.empty()) {
    it = find(wanted);
  } else {
    for (const char* name : {"images", "x", "arr_0"})
      if (const auto candidate = find(name); it == members.end()) it = candidate;
    if (it == members.end() && members.size() == 1) it = members.begin();
  }
  if (it == members.end())
    fail("data {}: expected an array '{}', got {}", source, wanted.empty() ? "arr_0" : wanted,
         names.empty() ? "none" : names);
  Array out = checked(parse(*it), source);
  for (const char* name : {"labels", "y"})
    if (const auto labels = find(name); labels != members.end() && labels != it && out.labels.empty())
      out.labels = integers_of(parse(*labels), fmt::format("{}, array '{}'", source, name));
  return out;
}

}  // namespace gmc::data
