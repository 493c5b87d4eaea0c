#include "tools/onnx/model.h"

#include "runtime/base/error.h"
#include "tools/onnx/wire.h"

#include <google/protobuf/stubs/logging.h>
#include <onnx.pb.h>

#include <bit>
#include <cstring>
#include <limits>

namespace gmc::onnx {
namespace {

namespace pb = ::onnx;
static_assert(std::endian::native == std::endian::little);

template <class Message>
Message parse(std::span<const std::byte> file, int depth) {
  if (file.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
    fail("{} bytes: a protobuf file has less than 2 GiB", file.size());
  check_encoding(file, *Message::descriptor(), depth);
  const google::protobuf::LogSilencer quiet;  // it would write to the terminal what it thinks of names in the file
  Message message;
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(file.data()),
                                                static_cast<int>(file.size()));
  stream.SetRecursionLimit(depth + 1);
  if (!message.ParseFromCodedStream(&stream)) fail("byte {}: no field can start here", stream.CurrentPosition());
  return message;
}

// Copies numbers that the file holds one by one, each cast to the element's type.
template <class To, class Fields>
void put(TensorData& t, const Fields& values) {
  const auto count = static_cast<size_t>(values.size());
  t.bytes.resize(count * sizeof(To));
  for (size_t i = 0; i < count; ++i) {
    const To value = static_cast<To>(values.Get(static_cast<int>(i)));
    std::memcpy(t.bytes.data() + i * sizeof(To), &value, sizeof(To));
  }
}

void take_values(const pb::TensorProto& p, TensorData& t) {
  switch (t.element) {
  case Element::f32:
    return put<float>(t, p.float_data());
  case Element::f64:
    return put<double>(t, p.double_data());
  case Element::i64:
    return put<int64_t>(t, p.int64_data());
  case Element::i32:
    return put<int32_t>(t, p.int32_data());
  case Element::i16:
  case Element::u16:
  case Element::f16:
  case Element::bf16:
    return put<uint16_t>(t, p.int32_data());
  case Element::i8:
  case Element::u8:
    return put<uint8_t>(t, p.int32_data());
  case Element::boolean:
    return put<bool>(t, p.int32_data());
  case Element::u32:
    return put<uint32_t>(t, p.uint64_data());
  case Element::u64:
    return put<uint64_t>(t, p.uint64_data());
  default:
    break;
  }
}

// Says no more of the file's names than it has to, and never all of a long one.
std::string quoted(const std::string& name) {
  std::string text;
  for (const char c : name.substr(0, 60)) text += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return "'" + text + (name.size() > 60 ? "..." : "") + "'";
}

void describe_external(const pb::TensorProto& p, TensorData& t) {
  std::string location;
  for (const auto& entry : p.external_data())
    if (entry.key() == "location") location = entry.value();
  const bool leaves = location.empty() || location[0] == '/' || location.find('\\') != std::string::npos ||
                      location.find('\0') != std::string::npos ||
                      ("/" + location + "/").find("/../") != std::string::npos;
  t.missing = fmt::format("its values are in another file, {}, {}", quoted(location),
                          leaves ? "which is not beneath the model's folder" : "and other files are not read");
}

TensorData tensor(const pb::TensorProto& p) {
  TensorData t{.name = p.name(),
               .element = static_cast<Element>(p.data_type()),
               .dims = {p.dims().begin(), p.dims().end()},
               .bytes = {},
               .strings = {},
               .missing = {}};
  const auto refuse = [&](const std::string& field, const std::string& what) {
    fail("tensor {}, field {}: {}", quoted(t.name), field, what);
  };
  for (const int64_t d : t.dims)
    if (d < 0) refuse("dims", fmt::format("{} holds a negative extent", to_string(t.dims)));
  if (t.dims.size() > 64) refuse("dims", fmt::format("{} dimensions are more than 64", t.dims.size()));
  int64_t count = 0;
  try {
    count = element_count(t.dims);
  } catch (const Error& e) {
    refuse("dims", e.what());
  }
  if (t.element == Element::undefined) refuse("data_type", "it is missing");
  if (p.has_segment()) refuse("segment", "tensors in segments are not defined by any version");
  if (p.data_location() == pb::TensorProto::EXTERNAL) {
    describe_external(p, t);
    return t;
  }
  if (t.element == Element::text) {
    t.strings.assign(p.string_data().begin(), p.string_data().end());
    if (static_cast<int64_t>(t.strings.size()) != count)
      refuse("string_data", fmt::format("{} asks for {} elements, got {}", to_string(t.dims), count, t.strings.size()));
    return t;
  }
  const size_t size = size_of(t.element);
  if (size == 0) {
    t.missing = fmt::format("its elements are of {}", name_of(t.element));
    return t;
  }
  int64_t wanted = 0;
  try {
    wanted = checked_mul(count, static_cast<int64_t>(size), "bytes of the tensor");
  } catch (const Error& e) {
    refuse("dims", e.what());
  }
  if (p.has_raw_data()) {
    if (static_cast<int64_t>(p.raw_data().size()) != wanted)
      refuse("raw_data", fmt::format("{}{} asks for {} bytes, got {}", name_of(t.element), to_string(t.dims), wanted,
                                     p.raw_data().size()));
    t.bytes.resize(p.raw_data().size());
    if (!t.bytes.empty()) std::memcpy(t.bytes.data(), p.raw_data().data(), t.bytes.size());
    // What else a byte may say is no bool.
    if (t.element == Element::boolean)
      for (std::byte& b : t.bytes) b = std::byte{b != std::byte{0}};
    return t;
  }
  take_values(p, t);
  if (static_cast<int64_t>(t.bytes.size()) != wanted)
    refuse("data", fmt::format("{}{} asks for {} elements, got {}", name_of(t.element), to_string(t.dims), count,
                               t.bytes.size() / size));
  return t;
}

void take_type(const pb::TypeProto& p, ValueInfo& v) {
  if (p.has_tensor_type()) {
    v.kind = ValueInfo::Kind::tensor;
    v.element = static_cast<Element>(p.tensor_type().elem_type());
    v.has_shape = p.tensor_type().has_shape();
    for (const auto& d : p.tensor_type().shape().dim()) {
      if (d.has_dim_value() && d.dim_value() < 0)
        fail("value {}, field type.tensor_type.shape.dim: extent {} is negative", quoted(v.name), d.dim_value());
      v.dims.push_back({d.has_dim_value() ? d.dim_value() : -1, d.dim_param()});
    }
    return;
  }
  if (p.has_sequence_type()) {
    take_type(p.sequence_type().elem_type(), v);
    v.kind = v.kind == ValueInfo::Kind::tensor ? ValueInfo::Kind::sequence : ValueInfo::Kind::other;
    return;
  }
  if (p.has_optional_type()) {
    take_type(p.optional_type().elem_type(), v);
    v.inner = v.kind;
    v.kind = ValueInfo::Kind::optional;
    return;
  }
  v.kind = p.value_case() == pb::TypeProto::VALUE_NOT_SET ? ValueInfo::Kind::none : ValueInfo::Kind::other;
}

ValueInfo value_info(const pb::ValueInfoProto& p) {
  ValueInfo v;
  v.name = p.name();
  take_type(p.type(), v);
  return v;
}

Graph graph(const pb::GraphProto&, int64_t& nodes);

Attribute attribute(const pb::AttributeProto& p, int64_t& nodes) {
  using P = pb::AttributeProto;
  Attribute a;
  a.name = p.name();
  a.reference = p.ref_attr_name();
  a.number = static_cast<double>(p.f());
  a.integer = p.i();
  a.text = p.s();
  a.numbers.assign(p.floats().begin(), p.floats().end());
  a.integers.assign(p.ints().begin(), p.ints().end());
  a.texts.assign(p.strings().begin(), p.strings().end());
  // Files of the first IR versions do not say the type.
  P::AttributeType type = p.type();
  if (!p.has_type())
    type = p.has_f()          ? P::FLOAT
           : p.has_i()        ? P::INT
           : p.has_s()        ? P::STRING
           : p.has_t()        ? P::TENSOR
           : p.has_g()        ? P::GRAPH
           : p.floats_size()  ? P::FLOATS
           : p.ints_size()    ? P::INTS
           : p.strings_size() ? P::STRINGS
                              : P::UNDEFINED;
  switch (type) {
  case P::FLOAT:
    a.kind = Attribute::Kind::number;
    break;
  case P::INT:
    a.kind = Attribute::Kind::integer;
    break;
  case P::STRING:
    a.kind = Attribute::Kind::text;
    break;
  case P::TENSOR:
    a.kind = Attribute::Kind::tensor;
    if (a.reference.empty()) a.tensors.push_back(tensor(p.t()));
    break;
  case P::GRAPH:
    a.kind = Attribute::Kind::graph;
    if (a.reference.empty()) a.graphs.push_back(std::make_shared<Graph>(graph(p.g(), nodes)));
    break;
  case P::FLOATS:
    a.kind = Attribute::Kind::numbers;
    break;
  case P::INTS:
    a.kind = Attribute::Kind::integers;
    break;
  case P::STRINGS:
    a.kind = Attribute::Kind::texts;
    break;
  case P::TENSORS:
    a.kind = Attribute::Kind::tensors;
    for (const auto& t : p.tensors()) a.tensors.push_back(tensor(t));
    break;
  case P::GRAPHS:
    a.kind = Attribute::Kind::graphs;
    for (const auto& g : p.graphs()) a.graphs.push_back(std::make_shared<Graph>(graph(g, nodes)));
    break;
  case P::UNDEFINED:
    break;
  default:
    a.kind = Attribute::Kind::other;
  }
  return a;
}

// Values of a field that the schema of this build does not name.
std::string unknown_text(const google::protobuf::UnknownFieldSet& fields, int number) {
  for (int i = 0; i < fields.field_count(); ++i)
    if (fields.field(i).number() == number &&
        fields.field(i).type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      return fields.field(i).length_delimited();
  return {};
}

Node node(const pb::NodeProto& p, int64_t& nodes) {
  if (++nodes > max_nodes) fail("the model has more than {} nodes", max_nodes);
  Node n;
  n.name = p.name();
  n.op = p.op_type();
  n.domain = p.domain() == "ai.onnx" ? "" : p.domain();
  n.overload = unknown_text(p.unknown_fields(), 8);  // since IR version 10
  n.inputs.assign(p.input().begin(), p.input().end());
  n.outputs.assign(p.output().begin(), p.output().end());
  try {
    if (n.op.empty()) fail("field op_type: it is missing");
    for (const auto& a : p.attribute()) {
      if (a.name().empty()) fail("an attribute has no name");
      try {
        n.attributes.push_back(attribute(a, nodes));
      } catch (const Error& e) {
        fail("attribute {}: {}", quoted(a.name()), e.what());
      }
    }
  } catch (const Error& e) {
    fail("node {} ({}): {}", quoted(n.name), n.op, e.what());
  }
  return n;
}

Graph graph(const pb::GraphProto& p, int64_t& nodes) {
  Graph g;
  g.name = p.name();
  if (p.sparse_initializer_size())
    fail("graph {}, field sparse_initializer: sparse tensors are not supported", quoted(g.name));
  for (const auto& t : p.initializer()) g.initializers.push_back(tensor(t));
  for (const auto& v : p.input()) g.inputs.push_back(value_info(v));
  for (const auto& v : p.output()) g.outputs.push_back(value_info(v));
  for (const auto& n : p.node()) g.nodes.push_back(node(n, nodes));
  return g;
}

Opsets opsets(const google::protobuf::RepeatedPtrField<pb::OperatorSetIdProto>& p) {
  Opsets out;
  for (const auto& o : p) {
    const std::string domain = o.domain() == "ai.onnx" ? "" : o.domain();
    if (o.version() < 1) fail("field opset_import: version {} of domain {}", o.version(), quoted(domain));
    out[domain] = std::max(out[domain], o.version());
  }
  return out;
}

Function function(const pb::FunctionProto& p, int64_t& nodes) {
  Function f;
  f.name = p.name();
  f.domain = p.domain() == "ai.onnx" ? "" : p.domain();
  f.overload = unknown_text(p.unknown_fields(), 13);  // since IR version 10
  f.inputs.assign(p.input().begin(), p.input().end());
  f.outputs.assign(p.output().begin(), p.output().end());
  f.attributes.assign(p.attribute().begin(), p.attribute().end());
  f.opsets = opsets(p.opset_import());
  for (int i = 0; i < p.unknown_fields().field_count(); ++i) {  // attribute_proto, since IR version 9
    const auto& field = p.unknown_fields().field(i);
    if (field.number() != 11 || field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) continue;
    const std::string& text = field.length_delimited();
    f.defaults.push_back(attribute(parse<pb::AttributeProto>(std::as_bytes(std::span(text)), max_depth), nodes));
  }
  for (const auto& n : p.node()) f.nodes.push_back(node(n, nodes));
  return f;
}

}  // namespace

std::string name_of(Element e) {
  static constexpr const char* names[] = {"undefined",      "float32",  "uint8",        "int8",           "uint16",
                                          "int16",          "int32",    "int64",        "string",         "bool",
                                          "float16",        "float64",  "uint32",       "uint64",         "complex64",
                                          "complex128",     "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
                                          "float8e5m2fnuz", "uint4",    "int4",         "float4e2m1"};
  const auto i = static_cast<size_t>(e);
  return i < std::size(names) ? names[i] : fmt::format("type {}", static_cast<int32_t>(e));
}

size_t size_of(Element e) {
  switch (e) {
  case Element::u8:
  case Element::i8:
  case Element::boolean:
    return 1;
  case Element::u16:
  case Element::i16:
  case Element::f16:
  case Element::bf16:
    return 2;
  case Element::f32:
  case Element::i32:
  case Element::u32:
    return 4;
  case Element::f64:
  case Element::i64:
  case Element::u64:
    return 8;
  default:
    return 0;
  }
}

Model read(std::span<const std::byte> file) {
  const auto p = parse<pb::ModelProto>(file, max_depth);
  Model m;
  m.ir_version = p.ir_version();
  if (!p.has_graph()) fail("byte {}: the file ends, and field graph is missing", file.size());
  if (m.ir_version < 1) fail("byte {}: the file ends, and field ir_version is missing", file.size());
  m.opsets = opsets(p.opset_import());
  if (m.opsets.empty()) {
    if (m.ir_version >= 3) fail("byte {}: the file ends, and field opset_import is missing", file.size());
    m.opsets[""] = 1;
  }
  int64_t nodes = 0;
  try {
    m.graph = graph(p.graph(), nodes);
  } catch (const Error& e) {
    fail("graph: {}", e.what());
  }
  for (const auto& f : p.functions()) try {
      m.functions.push_back(function(f, nodes));
    } catch (const Error& e) {
      fail("function {}: {}", quoted(f.name()), e.what());
    }
  return m;
}

namespace {

ValueData sequence(const pb::SequenceProto& p) {
  ValueData v{ValueInfo::Kind::sequence, {}};
  for (const auto& t : p.tensor_values()) v.items.push_back(tensor(t));
  return v;
}

}  // namespace

ValueData read_value(std::span<const std::byte> file, const ValueInfo& declared) {
  if (declared.kind == ValueInfo::Kind::sequence) return sequence(parse<pb::SequenceProto>(file, max_depth));
  if (declared.kind != ValueInfo::Kind::optional) return {ValueInfo::Kind::tensor, {read_tensor(file)}};
  const auto p = parse<pb::OptionalProto>(file, max_depth);
  if (p.has_sequence_value()) return sequence(p.sequence_value());
  if (p.has_tensor_value()) return {ValueInfo::Kind::tensor, {tensor(p.tensor_value())}};
  return {};
}

TensorData read_tensor(std::span<const std::byte> file) { return tensor(parse<pb::TensorProto>(file, max_depth)); }

}  // namespace gmc::onnx
