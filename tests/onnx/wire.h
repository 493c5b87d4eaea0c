// Models by hand: the encoding of protocol buffers, and of ONNX's messages the fields that tests need.
#pragma once

#include "tools/onnx/import.h"

#include <bit>
#include <span>
#include <string>
#include <vector>

namespace gmc::test::wire {

// A field with a number, and one with bytes.
inline std::string varint(uint64_t v) {
  std::string out;
  for (; v >= 0x80; v >>= 7) out += static_cast<char>((v & 0x7f) | 0x80);
  return out + static_cast<char>(v);
}
inline std::string number(int field, uint64_t v) { return varint(static_cast<uint64_t>(field) << 3) + varint(v); }
inline std::string bytes(int field, const std::string& v) {
  return varint((static_cast<uint64_t>(field) << 3) | 2) + varint(v.size()) + v;
}

inline std::string model(const std::string& graph, uint64_t opset = 17, const std::string& domain = "") {
  return number(1, 8) + bytes(7, graph) + bytes(8, bytes(1, domain) + number(2, opset));
}
inline std::string dims(const std::vector<uint64_t>& extents) {
  std::string out;
  for (const uint64_t e : extents) out += bytes(1, number(1, e));
  return out;
}
// A float tensor that goes in or out.
inline std::string value(const std::string& name, const std::vector<uint64_t>& extents, uint64_t element = 1) {
  return bytes(1, name) + bytes(2, bytes(1, number(1, element) + bytes(2, dims(extents))));
}
inline std::string node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output,
                        const std::string& attributes = "") {
  std::string out;
  for (const std::string& i : inputs) out += bytes(1, i);
  return out + bytes(2, output) + bytes(3, "the node") + bytes(4, op) + attributes;
}

// Attributes of a node: an int, a float, a string, a graph.
inline std::string attribute(const std::string& name, int64_t v) {
  return bytes(5, bytes(1, name) + number(3, static_cast<uint64_t>(v)) + number(20, 2));
}
inline std::string attribute(const std::string& name, float v) {
  const auto bits = std::bit_cast<uint32_t>(v);
  std::string field = varint((2 << 3) | 5);
  for (int i = 0; i < 4; ++i) field += static_cast<char>(bits >> (8 * i) & 0xff);
  return bytes(5, bytes(1, name) + field + number(20, 1));
}
inline std::string attribute(const std::string& name, const char* v) {
  return bytes(5, bytes(1, name) + bytes(4, v) + number(20, 3));
}
inline std::string graph_attribute(const std::string& name, const std::string& graph) {
  return bytes(5, bytes(1, name) + bytes(6, graph) + number(20, 5));
}

inline onnx::Model read(const std::string& file) { return onnx::read(std::as_bytes(std::span(file))); }

}  // namespace gmc::test::wire
