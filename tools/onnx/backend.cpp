#include "tools/onnx/backend.h"

#include "compiler/graph/interpret.h"

namespace gmc::onnx {
namespace {

graph::Reference reference(const HostTensor& t) { return {t.shape, numbers_of(t)}; }

}  // namespace

package::Source source_of(const Imported& m, const std::string& name) {
  package::Source source;
  source.name = name;
  for (const auto& [state, tensor] : m.weights)
    source.states.push_back({state, {tensor.dtype, tensor.shape}, true, false});
  source.entries.push_back(m.graph);
  return source;
}

TensorMap run_interpreted(const Imported& m, const TensorMap& inputs) {
  std::map<std::string, graph::Reference> values;
  for (const auto& [name, tensor] : m.weights) values[name] = reference(tensor);
  for (const auto& [name, tensor] : inputs) values[name] = reference(tensor);
  const graph::Interpretation result = graph::interpret(m.graph, values);
  TensorMap out;
  for (const graph::Output& o : m.graph.outputs()) {
    const graph::TensorType& type = m.graph.type(o.value);
    out[o.name] = host_tensor(type.dtype, type.shape, result.outputs.at(o.name).values);
  }
  return out;
}

TensorMap run_compiled(const Imported& m, const TensorMap& inputs, const package::Options& options,
                       const package::SessionOptions& session_options) {
  package::Compiled compiled;
  try {
    compiled = package::compile(source_of(m, "model"), options);
  } catch (const Error& e) {
    throw Unsupported(e.what());
  }
  package::Session session(compiled, session_options);
  session.set_state(m.weights, false);
  return session.run(m.graph.entry(), inputs);
}

}  // namespace gmc::onnx
