#include "runtime/files/safetensors.h"

#include "runtime/files/atomic_write.h"
#include "runtime/files/safetensors_header.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>

namespace gmc::files {
namespace {

constexpr size_t data_alignment = 64;
constexpr const char* metadata_key = "__metadata__";

// The tensors must follow each other from the first byte of the data to the last byte of the file.
void check_layout(const Reader& file, std::vector<SafetensorsEntry>& entries, int64_t data_bytes) {
  std::stable_sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  int64_t covered = 0;
  for (const SafetensorsEntry& e : entries) {
    const std::string field = fmt::format("data_offsets of tensor '{}'", printable(e.name));
    if (e.begin != covered)
      file.refuse(e.offset, field, fmt::format("a begin of {}", covered), fmt::to_string(e.begin));
    const std::string shape_field = fmt::format("shape of tensor '{}'", printable(e.name));
    const int64_t size = file.tensor_bytes(e.dtype, e.shape, e.offset, shape_field);
    if (e.end < e.begin || e.end - e.begin != size)
      file.refuse(e.offset, field, fmt::format("{} bytes for {} of {}", size, to_string(e.shape), name_of(e.dtype)),
                  fmt::format("[{}, {}]", e.begin, e.end));
    covered = e.end;
  }
  if (covered != data_bytes)
    file.refuse(file.offset(), "data", fmt::format("{} bytes", covered), fmt::to_string(data_bytes));
}

std::string quoted(const std::string& text, const char* what) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail("safetensors: {} '{}' is not UTF-8", what, printable(text));
  }
}

// The header with its length in front, padded, and the tensors in the order of their data.
struct Layout {
  std::string header;
  std::vector<const HostTensor*> order;
};

Layout lay_out(const TensorMap& tensors, const Metadata& metadata) {
  struct Item {
    const std::string* name;
    const HostTensor* tensor;
    int64_t begin = 0, end = 0;
  };
  std::vector<Item> items;
  for (const auto& [name, tensor] : tensors) {
    if (name == metadata_key) fail("safetensors: a tensor cannot be named '{}'", metadata_key);
    const int64_t size = byte_size(tensor.dtype, tensor.shape);
    if (static_cast<size_t>(size) != tensor.bytes.size())
      fail("safetensors: tensor '{}' of {} {}: expected {} bytes, got {}", printable(name), name_of(tensor.dtype),
           to_string(tensor.shape), size, tensor.bytes.size());
    items.push_back({&name, &tensor});
  }

  std::vector<Item*> order;
  for (Item& item : items) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(),
                   [](const Item* a, const Item* b) { return size_of(a->tensor->dtype) > size_of(b->tensor->dtype); });
  Layout result;
  int64_t end = 0;
  for (Item* item : order) {
    item->begin = end;
    item->end = end = checked_add(end, static_cast<int64_t>(item->tensor->bytes.size()), "bytes of the tensors");
    result.order.push_back(item->tensor);
  }

  std::string json = "{";
  if (!metadata.empty()) {
    json += fmt::format("\"{}\":{{", metadata_key);
    const char* comma = "";
    for (const auto& [key, text] : metadata) {
      json += fmt::format("{}{}:{}", comma, quoted(key, "metadata key"), quoted(text, "metadata text"));
      comma = ",";
    }
    json += "}";
  }
  for (const Item& item : items) {
    std::string shape = to_string(item.tensor->shape);
    std::erase(shape, ' ');
    json += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}", json.size() > 1 ? "," : "",
                        quoted(*item.name, "tensor name"), safetensors_name(item.tensor->dtype), shape, item.begin,
                        item.end);
  }
  json += "}";
  while ((sizeof(uint64_t) + json.size()) % data_alignment != 0) json += ' ';
  if (static_cast<int64_t>(json.size()) > max_safetensors_header)
    fail("safetensors: header: expected at most {} bytes, got {}", max_safetensors_header, json.size());
  for (size_t i = 0; i < sizeof(uint64_t); ++i) result.header += static_cast<char>(json.size() >> (8 * i) & 0xff);
  result.header += json;
  return result;
}

std::vector<Bytes> pieces_of(const Layout& layout) {
  std::vector<Bytes> pieces{std::as_bytes(std::span(layout.header))};
  for (const HostTensor* tensor : layout.order) pieces.push_back(tensor->bytes);
  return pieces;
}

}  // namespace

TensorMap parse_safetensors(Bytes bytes, const std::string& source, Metadata* metadata) {
  Reader file(bytes, source);
  const uint64_t length = file.little<uint64_t>("header length");
  if (length > static_cast<uint64_t>(max_safetensors_header))
    file.refuse(0, "header length", fmt::format("at most {}", max_safetensors_header), fmt::to_string(length));
  const Bytes header = file.take(static_cast<int64_t>(length), "header");
  std::vector<SafetensorsEntry> entries = parse_safetensors_header(file, header, metadata);
  check_layout(file, entries, file.remaining());

  TensorMap tensors;
  for (SafetensorsEntry& e : entries) {
    const int64_t at = file.offset();
    const std::string field = fmt::format("tensor '{}'", printable(e.name));
    const Bytes data = file.take(e.end - e.begin, field);
    if (e.dtype == DType::boolean) {
      const auto bad = std::find_if(data.begin(), data.end(), [](std::byte b) { return b > std::byte{1}; });
      if (bad != data.end())
        file.refuse(at + (bad - data.begin()), field, "0 or 1", fmt::to_string(std::to_integer<int>(*bad)));
    }
    HostTensor tensor;
    tensor.dtype = e.dtype;
    tensor.shape = std::move(e.shape);
    tensor.bytes.assign(data.begin(), data.end());
    tensors.emplace(std::move(e.name), std::move(tensor));
  }
  return tensors;
}

TensorMap load_safetensors(const std::string& path, Metadata* metadata) {
  return parse_safetensors(read_file(path), path, metadata);
}

std::vector<std::byte> format_safetensors(const TensorMap& tensors, const Metadata& metadata) {
  const Layout layout = lay_out(tensors, metadata);
  std::vector<std::byte> result;
  for (const Bytes piece : pieces_of(layout)) result.insert(result.end(), piece.begin(), piece.end());
  return result;
}

void save_safetensors(const std::string& path, const TensorMap& tensors, const Metadata& metadata) {
  const Layout layout = lay_out(tensors, metadata);
  write_file_atomically(path, pieces_of(layout));
}

}  // namespace gmc::files
