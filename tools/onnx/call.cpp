#include "tools/onnx/call.h"

#include "tools/onnx/importer.h"

#include <algorithm>
#include <cmath>

namespace gmc::onnx {
namespace {

const char* text_of(Attribute::Kind k) {
  static constexpr const char* names[] = {"nothing", "a float", "an int",  "a string", "a tensor", "a graph",
                                          "floats",  "ints",    "strings", "tensors",  "graphs",   "another type"};
  return names[static_cast<size_t>(k)];
}

int64_t to_integer(double v) {
  if (!(v >= -0x1p63 && v < 0x1p63)) fail("{} is no whole number", v);
  return static_cast<int64_t>(v);
}

}  // namespace

const Value& Call::value(size_t i) const {
  if (!has(i)) fail("input {} is missing", i);
  return inputs_[i];
}

Var Call::operator[](size_t i) const {
  const Value& v = value(i);
  if (!v.var.valid()) fail("input {} is no tensor", i);
  return v.var;
}

const std::vector<Value>& Call::sequence(size_t i) const {
  const Value& v = value(i);
  if (!v.items) fail("input {} is no sequence", i);
  return *v.items;
}

std::vector<double> Call::numbers(size_t i) const { return importer_.evaluate((*this)[i]); }

std::optional<std::vector<double>> Call::if_known(size_t i) const {
  if (!importer_.is_known((*this)[i])) return std::nullopt;
  return numbers(i);
}

std::vector<int64_t> Call::integers(size_t i) const {
  if ((*this)[i].shape().size() > 1) fail("input {} has more than one dimension: {}", i, to_string((*this)[i].shape()));
  std::vector<int64_t> out;
  for (const double v : numbers(i)) out.push_back(to_integer(v));
  return out;
}

double Call::number(size_t i) const {
  const auto all = numbers(i);
  if (all.size() != 1) fail("input {} has {} elements, expected one", i, all.size());
  return all[0];
}

int64_t Call::integer(size_t i) const { return to_integer(number(i)); }

const Attribute* Call::find(const std::string& name) const {
  for (const Attribute& a : node.attributes)
    if (a.name == name) return &a;
  return nullptr;
}

const Attribute* Call::find(const std::string& name, Attribute::Kind kind) const {
  const Attribute* a = find(name);
  if (a && a->kind != kind) fail("attribute '{}' is {}, expected {}", name, text_of(a->kind), text_of(kind));
  return a;
}

int64_t Call::integer(const std::string& name) const {
  const Attribute* a = find(name, Attribute::Kind::integer);
  if (!a) fail("attribute '{}' is missing", name);
  return a->integer;
}
int64_t Call::integer(const std::string& name, int64_t otherwise) const {
  const Attribute* a = find(name, Attribute::Kind::integer);
  return a ? a->integer : otherwise;
}
double Call::number(const std::string& name, double otherwise) const {
  const Attribute* a = find(name, Attribute::Kind::number);
  return a ? a->number : otherwise;
}
std::string Call::text(const std::string& name, const std::string& otherwise) const {
  const Attribute* a = find(name, Attribute::Kind::text);
  return a ? a->text : otherwise;
}
std::vector<int64_t> Call::integers(const std::string& name, std::vector<int64_t> otherwise) const {
  const Attribute* a = find(name, Attribute::Kind::integers);
  return a ? a->integers : otherwise;
}
std::vector<double> Call::numbers(const std::string& name) const {
  const Attribute* a = find(name, Attribute::Kind::numbers);
  return a ? a->numbers : std::vector<double>();
}
const TensorData& Call::tensor(const std::string& name) const {
  const Attribute* a = find(name, Attribute::Kind::tensor);
  if (!a) fail("attribute '{}' is missing", name);
  return a->tensors.at(0);
}
const Graph& Call::graph(const std::string& name) const {
  const Attribute* a = find(name, Attribute::Kind::graph);
  if (!a) fail("attribute '{}' is missing", name);
  return *a->graphs.at(0);
}

std::optional<std::vector<int64_t>> Call::integers(const std::string& name, size_t operand) const {
  if (has(operand)) return integers(operand);
  if (const Attribute* a = find(name, Attribute::Kind::integers)) return a->integers;
  return std::nullopt;
}

int64_t Call::axis_in(int64_t axis, int64_t rank) const {
  if (axis < -rank || axis >= rank) fail("axis {} is out of range for {} dimensions", axis, rank);
  return axis < 0 ? axis + rank : axis;
}

std::vector<int64_t> Call::axes_in(std::vector<int64_t> axes, int64_t rank) const {
  for (int64_t& a : axes) a = axis_in(a, rank);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) fail("axes {} name one twice", to_string(axes));
  return axes;
}

graph::Graph& Call::graph() const { return importer_.graph(); }
Var Call::constant(const HostTensor& t) const { return importer_.constant(t); }
Var Call::weight(const TensorData& t, int64_t least) const { return importer_.weight(t, least); }
Var Call::constant(double value, DType dtype) const { return graph::constant(importer_.graph(), value, {dtype, {}}); }

}  // namespace gmc::onnx
