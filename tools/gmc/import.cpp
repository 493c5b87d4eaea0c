// gmc import: an ONNX model as a program of gmc.
#include "tools/gmc/command.h"

#include "compiler/graph/text.h"
#include "runtime/base/error.h"
#include "runtime/files/atomic_write.h"
#include "runtime/files/safetensors.h"

#include <span>

namespace gmc::tool {
namespace {

struct ImportOptions {
  ModelOptions model;
  std::string out;
};

void import(const ImportOptions& o) {
  if (!o.model.model.ends_with(".onnx")) fail_usage("'{}' is no .onnx file", o.model.model);
  if (!o.out.empty() && !o.out.ends_with(".graph")) fail_usage("-o {}: expected a name that ends in .graph", o.out);
  const Model m = load(o.model);
  const graph::Graph& g = *m.program->entries().at(0).graph;
  int64_t bytes = 0;
  for (const auto& [name, tensor] : m.weights) bytes += static_cast<int64_t>(tensor.bytes.size());
  fmt::print("{}: entry {}, {} ops, {} weights of {}\n", m.name(), g.entry(), g.nodes().size(), m.weights.size(),
             bytes_text(bytes));
  for (const graph::Node& n : g.nodes())
    if (n.op->category == graph::Category::input && n.text("role") == "data")
      fmt::print("  input {} : {}\n", n.text("name"), to_string(n.types[0]));
  for (const graph::Output& output : g.outputs())
    fmt::print("  output {} : {}\n", output.name, to_string(g.type(output.value)));
  if (o.out.empty()) return;
  const std::string text = graph::print(g);
  if (!m.weights.empty()) files::save_safetensors(weights_path(o.out), m.weights);
  files::write_file_atomically(o.out, std::as_bytes(std::span(text)));
}

}  // namespace

void add_import(CLI::App& app, int&) {
  auto o = std::make_shared<ImportOptions>();
  CLI::App* verb = app.add_subcommand(
      "import", "read an ONNX model; run, compile, inspect, bench and verify take one in place of a workload");
  add_onnx_options(*verb, o->model);
  verb->add_option("-o", o->out, "write the program there, the weights beside it as safetensors")
      ->type_name("FILE.graph");
  verb->footer("\nExamples:\n  gmc import net.onnx --set N=1 -o net.graph\n  gmc run net.onnx --input x=batch.npy");
  verb->callback([o] { import(*o); });
}

}  // namespace gmc::tool
