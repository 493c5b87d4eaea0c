// Programs that come as files: ONNX models, and the `.graph` text that `gmc import` writes.
#include "tools/gmc/command.h"

#include "compiler/graph/text.h"
#include "ops/registry.h"
#include "runtime/base/error.h"
#include "runtime/files/npy.h"
#include "runtime/files/reader.h"
#include "runtime/files/safetensors.h"
#include "tools/onnx/import.h"

#include <charconv>
#include <filesystem>

namespace gmc::tool {
namespace {

namespace fs = std::filesystem;

std::pair<std::string, std::string> split(const std::string& flag, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) fail_usage("{} {}: expected NAME=VALUE", flag, text);
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// The model's own names of inputs and extents, or what the importer calls them.
onnx::Request request_of(const ModelOptions& o, const onnx::Model& model) {
  onnx::Request request;
  std::map<std::string, int64_t> extents;
  std::set<std::string> used;
  std::map<std::string, HostTensor> bound;
  for (const std::string& text : o.set) {
    const auto [name, value] = split("--set", text);
    int64_t extent = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), extent);
    if (problem != std::errc() || end != value.data() + value.size() || extent < 0)
      fail_usage("--set {}: expected the extent of a symbolic dimension", text);
    extents[name] = extent;
  }
  for (const std::string& text : o.bind) {
    const auto [name, file] = split("--bind", text);
    bound[name] = files::load_npy(file);
  }
  for (const onnx::ValueInfo& v : model.graph.inputs) {
    for (const std::string& name : {v.name, onnx::plain_name(v.name)})
      if (const auto it = bound.find(name); it != bound.end()) {
        request.bound[v.name] = it->second;
        bound.erase(it);
      }
    for (const auto& d : v.dims)
      for (const std::string& name : {d.parameter, onnx::plain_name(d.parameter)})
        if (!d.parameter.empty() && extents.count(name)) {
          request.extents[d.parameter] = extents.at(name);
          used.insert(name);
        }
  }
  for (const auto& [name, extent] : extents)
    if (!used.count(name)) fail_usage("--set {}={}: the model has no such extent", name, extent);
  if (!bound.empty()) fail_usage("--bind {}: the model has no such input", bound.begin()->first);
  return request;
}

// The program of one graph whose states are the weights.
Model program_of(graph::Graph graph, TensorMap weights, const ModelOptions& o) {
  Model m;
  m.file_name = onnx::plain_name(fs::path(o.model).stem().string());
  m.program = new_program(o);
  for (const auto& [name, tensor] : weights)
    m.program->adopt(State{name, tensor.dtype, tensor.shape, {}, StateKind::parameter, {}});
  m.program->adopt(Entry{graph.entry(), std::make_shared<graph::Graph>(std::move(graph)), {}, {}});
  m.weights = std::move(weights);
  return m;
}

Model load_onnx(const ModelOptions& o) {
  const auto bytes = files::read_file(o.model);
  try {
    const onnx::Model model = onnx::read(bytes);
    onnx::Imported imported = onnx::import_model(model, request_of(o, model));
    return program_of(std::move(imported.graph), std::move(imported.weights), o);
  } catch (const onnx::NeedsConstant& e) {
    fail("'{}': {} with --bind NAME=FILE.npy", o.model, e.what());
  } catch (const Error& e) {
    throw Error(fmt::format("'{}': {}", o.model, e.what()), e.usage());
  }
}

Model load_graph(const ModelOptions& o) {
  const std::string text = read_text(o.model);
  if (text.find("\ngraph ") != std::string::npos)
    fail("'{}' holds several entries: expected one, as `gmc compile --entry NAME --emit graph` writes it", o.model);
  graph::Graph graph("");
  try {
    graph = graph::parse(text, ops::registry());
    graph::verify(graph);
  } catch (const Error& e) {
    throw Error(fmt::format("'{}': {}", o.model, e.what()), e.usage());
  }
  const std::string beside = weights_path(o.model);
  TensorMap weights;
  if (fs::exists(beside)) weights = files::load_safetensors(beside);
  for (const graph::Node& n : graph.nodes()) {
    if (n.op->category != graph::Category::input || n.text("role") != "state") continue;
    const auto it = weights.find(n.text("name"));
    if (it == weights.end()) fail("'{}': '{}' is missing in '{}'", o.model, n.text("name"), beside);
    if (it->second.dtype != n.types[0].dtype || it->second.shape != n.types[0].shape)
      fail("'{}': '{}' is {}, in '{}' it is {}{}", o.model, n.text("name"), to_string(n.types[0]), beside,
           name_of(it->second.dtype), to_string(it->second.shape));
  }
  return program_of(std::move(graph), std::move(weights), o);
}

}  // namespace

bool is_program_file(const std::string& path) { return path.ends_with(".onnx") || path.ends_with(".graph"); }

std::string weights_path(const std::string& graph_path) {
  return fs::path(graph_path).replace_extension(".safetensors").string();
}

Model load_program_file(const ModelOptions& o) {
  if (!o.size.empty()) fail_usage("--size: '{}' has no named configurations", o.model);
  if (o.precision != "f32") fail_usage("--precision: '{}' says itself what it computes in", o.model);
  std::error_code problem;
  if (!fs::is_regular_file(o.model, problem)) fail_usage("cannot read the model '{}'", o.model);
  if (o.model.ends_with(".onnx")) return load_onnx(o);
  if (!o.set.empty() || !o.bind.empty()) fail_usage("--set, --bind: '{}' is no ONNX model", o.model);
  return load_graph(o);
}

}  // namespace gmc::tool
