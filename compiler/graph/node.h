// The node: one operation of a computation graph, in SSA form.
//
// Semantics at the edges: arithmetic is IEEE 754 in the result's dtype (the interpreter uses f64 throughout); NaN
// propagates through every elementwise op except `select`'s untaken side; comparisons with NaN are false; `max`/`min`
// return NaN if either operand is NaN; a reduction over no elements gives its identity; zero-sized tensors are legal
// everywhere. Integer arithmetic wraps; an integer divided by 0 is 0. Values never alias: an update of state makes a
// new value.
#pragma once

#include "runtime/base/shape.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace gmc::graph {

class Graph;
struct OpDef;
using gmc::to_string;

struct TensorType {
  DType dtype = DType::f32;
  Shape shape;
  bool operator==(const TensorType&) const = default;
};
// `f32[128,784]`.
std::string to_string(const TensorType&);

// A place in the user's model; line 0 means unknown.
struct Location {
  std::string file;
  int line = 0, column = 0;
  bool operator==(const Location&) const = default;
};
// `vae.cpp:17:31`.
std::string to_string(const Location&);

using Attribute = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;
using Attributes = std::map<std::string, Attribute>;

// Result `result` of node `node`.
struct Value {
  int32_t node = -1, result = 0;
  bool valid() const { return node >= 0; }
  auto operator<=>(const Value&) const = default;
};

// Graphs inside a node, run by it: isolated, they see their arguments only.
using Regions = std::vector<std::shared_ptr<const Graph>>;

struct Node {
  const OpDef* op = nullptr;
  std::vector<Value> inputs;
  Attributes attributes;
  std::vector<TensorType> types;  // one per result
  std::string name;               // unique in its graph and stable under passes: module scope + op, `fc1/matmul`
  Location location;
  Regions regions;

  bool flag(const std::string& key) const;                             // false if absent
  int64_t integer(const std::string& key) const;                       // must be present
  double number(const std::string& key) const;                         // must be present
  const std::string& text(const std::string& key) const;               // must be present
  const std::vector<int64_t>& integers(const std::string& key) const;  // must be present
  const std::vector<double>& numbers(const std::string& key) const;    // must be present
};

}  // namespace gmc::graph
