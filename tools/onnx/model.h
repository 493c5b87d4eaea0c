// An ONNX model as plain data: what the file says, bounded and checked for its form, not yet for its meaning.
//
// Source: the ONNX IR specification (onnx/docs/IR.md) and onnx.proto.
#pragma once

#include "runtime/base/shape.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gmc::onnx {

// TensorProto.DataType, as far as its size is known.
enum class Element : int32_t {
  undefined = 0,
  f32 = 1,
  u8 = 2,
  i8 = 3,
  u16 = 4,
  i16 = 5,
  i32 = 6,
  i64 = 7,
  text = 8,
  boolean = 9,
  f16 = 10,
  f64 = 11,
  u32 = 12,
  u64 = 13,
  bf16 = 16,
};
// `float32`, `string`, `type 23`: for messages.
std::string name_of(Element);
// Bytes of one element; 0 if elements have no fixed size, or one that is not known here.
size_t size_of(Element);

struct TensorData {
  std::string name;
  Element element = Element::undefined;
  Shape dims;
  std::vector<std::byte> bytes;      // row-major, little-endian; exactly as many as the dims say
  std::vector<std::string> strings;  // of Element::text
  // Why the values are not here: they are outside the file, or of a type without a fixed size. Empty if they are.
  std::string missing;
};

// The declared type of a graph's input or output.
struct ValueInfo {
  enum class Kind { none, tensor, sequence, optional, other };
  struct Dim {
    int64_t extent = -1;    // -1: not said
    std::string parameter;  // `N` of a symbolic extent
  };
  std::string name;
  Kind kind = Kind::none;
  Element element = Element::undefined;  // of tensors, and of the tensors in a sequence
  Kind inner = Kind::none;               // of what an optional may hold
  bool has_shape = false;
  std::vector<Dim> dims;
};

struct Graph;

struct Attribute {
  // AttributeProto.AttributeType
  enum class Kind { undefined, number, integer, text, tensor, graph, numbers, integers, texts, tensors, graphs, other };
  std::string name;
  std::string reference;  // in a function: the attribute of the call that it stands for
  Kind kind = Kind::undefined;
  double number = 0;
  int64_t integer = 0;
  std::string text;
  std::vector<double> numbers;
  std::vector<int64_t> integers;
  std::vector<std::string> texts;
  std::vector<TensorData> tensors;             // one if kind is tensor
  std::vector<std::shared_ptr<Graph>> graphs;  // one if kind is graph
};

struct Node {
  std::string name, op, domain, overload;
  std::vector<std::string> inputs, outputs;  // empty: not given
  std::vector<Attribute> attributes;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<TensorData> initializers;
  std::vector<ValueInfo> inputs, outputs;
};

using Opsets = std::map<std::string, int64_t>;  // by domain; that of ONNX itself is the empty one

// A function of the model: a call is its nodes.
struct Function {
  std::string name, domain, overload;
  std::vector<std::string> inputs, outputs;
  std::vector<std::string> attributes;  // that a call may give
  std::vector<Attribute> defaults;      // and those with a default
  std::vector<Node> nodes;
  Opsets opsets;
};

struct Model {
  int64_t ir_version = 0;
  Opsets opsets;
  Graph graph;
  std::vector<Function> functions;
};

// Bounds on what a file may ask for.
inline constexpr int64_t max_nodes = 1'000'000;
inline constexpr int max_depth = 64;  // of messages inside messages

// These throw `Error` that says what is wrong with which field, and the offset in the file where the encoding is
// broken. They open no file: tensors outside the model's file are `missing`.
Model read(std::span<const std::byte> file);
TensorData read_tensor(std::span<const std::byte> file);
// A value of this declared type: a tensor, the tensors of a sequence, or an optional with or without one of them.
struct ValueData {
  ValueInfo::Kind kind = ValueInfo::Kind::none;  // none, tensor or sequence
  std::vector<TensorData> items;
};
ValueData read_value(std::span<const std::byte> file, const ValueInfo&);

}  // namespace gmc::onnx
