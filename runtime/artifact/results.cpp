#include "runtime/artifact/results.h"

#include "runtime/base/error.h"
#include "runtime/execute/lookup.h"
#include "runtime/files/npy.h"
#include "runtime/files/png.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace gmc::artifact {
namespace {

using namespace execute;

int64_t square_root(int64_t area) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(area))));
  return side * side == area ? side : 0;
}

template <class T>
T value_at(const HostTensor& t, size_t i) {
  T value;
  std::memcpy(&value, t.bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

float half_value(uint16_t bits) {
  const float magnitude = std::ldexp(static_cast<float>(bits & 0x3ff) + (bits & 0x7c00 ? 1024.0f : 0.0f),
                                     std::max(bits >> 10 & 31, 1) - 25);
  const float finite = (bits & 0x7c00) != 0x7c00 ? magnitude : bits & 0x3ff ? NAN : INFINITY;
  return bits & 0x8000 ? -finite : finite;
}

double number_at(const HostTensor& t, size_t i) {
  switch (t.dtype) {
  case DType::f32:
    return value_at<float>(t, i);
  case DType::f16:
    return half_value(value_at<uint16_t>(t, i));
  case DType::bf16:
    return std::bit_cast<float>(static_cast<uint32_t>(value_at<uint16_t>(t, i)) << 16);
  case DType::f64:
    return value_at<double>(t, i);
  case DType::i32:
    return value_at<int32_t>(t, i);
  case DType::i64:
    return static_cast<double>(value_at<int64_t>(t, i));
  case DType::i8:
    return value_at<int8_t>(t, i);
  case DType::u8:
  case DType::boolean:
    return value_at<uint8_t>(t, i);
  }
  return NAN;
}

std::string number_text(const HostTensor& t, size_t i) {
  if (t.dtype == DType::i64) return fmt::format("{}", value_at<int64_t>(t, i));
  if (t.dtype == DType::f32) return fmt::format("{}", value_at<float>(t, i));
  return fmt::format("{}", number_at(t, i));
}

void write_text(const std::string& path, const std::string& text) {
  const bool prints = path == "-";
  FILE* file = prints ? stdout : std::fopen(path.c_str(), "wb");
  if (!file) fail("cannot create '{}': {}", path, std::strerror(errno));
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if ((prints ? 0 : std::fclose(file)) != 0 || !written) fail("cannot write '{}': {}", path, std::strerror(errno));
}

enum class Kind { png, npy, txt };

Kind kind_of(const std::string& path) {
  if (path == "-" || path.ends_with(".txt")) return Kind::txt;
  if (path.ends_with(".png")) return Kind::png;
  if (path.ends_with(".npy")) return Kind::npy;
  fail_usage("'{}': results are written as .png, .npy or .txt", path);
}

}  // namespace

HostTensor as_images(HostTensor t, const std::string& name) {
  const Shape shape = t.shape;
  if (shape.size() == 3 || shape.size() == 4) return t;
  const int64_t area = shape.size() == 2 ? shape[1] : 0;
  if (const int64_t side = square_root(area)) {
    t.shape = {shape[0], side, side};
    return t;
  }
  const int64_t side = area % 3 == 0 ? square_root(area / 3) : 0;
  if (!side) fail("output '{}' of shape {} is not made of images: write .npy or .txt", name, to_string(shape));
  t.shape = {shape[0], 3, side, side};
  return t;
}

std::string as_text(const HostTensor& t) {
  const auto count = static_cast<size_t>(t.count());
  const size_t row = t.shape.size() < 2 ? 1 : count / std::max<size_t>(1, static_cast<size_t>(t.shape[0]));
  std::string text;
  for (size_t i = 0; i < count; ++i) text.append(number_text(t, i)).append((i + 1) % row == 0 ? "\n" : " ");
  return text;
}

Results::Results(const Package* p, const Entry& e, const Arguments& arguments) : entry_(string_at(p, e.name)) {
  std::vector<std::string_view> names;
  for (uint32_t i = 0; i < e.output_count; ++i) {
    const Tensor& t = output_of(p, e, i);
    outputs_.push_back({&t, string_at(p, t.name), "", {}, 0, false});
    names.push_back(string_at(p, t.name));
  }
  for (const std::string& given : arguments.all("--output")) {
    const size_t equals = given.find('=');
    const std::string name = equals == given.npos ? "" : given.substr(0, equals);
    const auto candidate = [&](const Output& o) { return name.empty() ? o.tensor->rank > 0 : o.name == name; };
    const auto found = std::ranges::find_if(outputs_, candidate);
    if (found == outputs_.end() && name.empty())
      fail_usage("entry '{}' gives no tensor that '{}' could hold", entry_, given);
    if (found == outputs_.end()) fail_usage("entry '{}' has no output '{}'{}", entry_, name, suggestion(name, names));
    if (name.empty() && std::ranges::count_if(outputs_, candidate) > 1)
      fail_usage("entry '{}' has several outputs: say which, as in --output {}={}", entry_, found->name, given);
    if (!found->path.empty())
      fail_usage("output '{}' is wanted twice: in '{}' and in '{}'", found->name, found->path, given);
    found->path = equals == given.npos ? given : given.substr(equals + 1);
    if (kind_of(found->path) == Kind::png && found->tensor->rank > 0) {
      Shape shape(found->tensor->extents, found->tensor->extents + found->tensor->rank);
      shape[0] = 0;
      as_images(HostTensor(f32, shape), found->name);
    }
  }
  const std::string range = arguments.text("--range", "0:1");
  char* end = nullptr;
  low_ = std::strtod(range.c_str(), &end);
  const char* second = *end == ':' ? end + 1 : "";
  high_ = std::strtod(second, &end);
  if (!*second || *end || !(low_ < high_)) fail_usage("flag '--range': expected LOW:HIGH, got '{}'", range);
}

void Results::begin(uint64_t calls, uint64_t rows) {
  calls_ = calls;
  rows_ = rows;
  for (Output& o : outputs_) {
    Shape shape(o.tensor->extents, o.tensor->extents + o.tensor->rank);
    o.in_rows = rows > 0 && o.tensor->rank > 0;
    if (o.in_rows) shape[0] = checked_mul(shape[0], static_cast<int64_t>(calls), "rows of the results");
    o.values = HostTensor(static_cast<DType>(o.tensor->dtype), shape);
  }
  pointers_.resize(outputs_.size());
}

void* const* Results::pointers(uint64_t call) {
  for (size_t i = 0; i < outputs_.size(); ++i)
    pointers_[i] = outputs_[i].values.bytes.data() + (outputs_[i].in_rows ? call * outputs_[i].tensor->bytes : 0);
  return pointers_.data();
}

std::string Results::scalars(uint64_t divisor) const {
  std::string text;
  for (const Output& o : outputs_) {
    if (o.tensor->rank != 0) continue;
    const std::string value =
        divisor > 1 ? fmt::format("{:.7g}", o.sum / static_cast<double>(divisor)) : number_text(o.values, 0);
    text.append("  ").append(o.name).append(" ").append(value);
  }
  return text;
}

void Results::end_call(uint64_t call) {
  for (Output& o : outputs_)
    if (o.tensor->rank == 0) o.sum += number_at(o.values, 0);
  const uint64_t every = std::max<uint64_t>(1, calls_ / 10);
  if (rows_ > 0 || calls_ == 1 || ((call + 1) % every != 0 && call + 1 != calls_)) return;
  fmt::print("step {:>8}{}\n", call + 1, scalars(1));
  std::fflush(stdout);
}

void Results::finish() {
  // With rows in several calls a scalar is the mean over the calls; the steps of a training run have printed theirs.
  if (const std::string text = rows_ > 0 ? scalars(calls_) : calls_ == 1 ? scalars(1) : ""; !text.empty())
    fmt::print("{}\n", text.substr(2));
  for (Output& o : outputs_) {
    if (o.in_rows) {
      o.values.shape[0] = std::min(o.values.shape[0], static_cast<int64_t>(rows_));
      o.values.bytes.resize(static_cast<size_t>(byte_size(o.values.dtype, o.values.shape)));
    }
    if (o.path.empty()) {
      if (o.tensor->rank > 0)
        fmt::print("{} {} {} (keep it with --output {}=FILE)\n", o.name, name_of(o.values.dtype),
                   to_string(o.values.shape), o.name);
      continue;
    }
    switch (kind_of(o.path)) {
    case Kind::png:
      files::save_png_grid(o.path, as_images(std::move(o.values), o.name), 0, low_, high_);
      break;
    case Kind::npy:
      files::save_npy(o.path, o.values);
      break;
    case Kind::txt:
      write_text(o.path, as_text(o.values));
      break;
    }
  }
}

}  // namespace gmc::artifact
