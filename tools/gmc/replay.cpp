#include "tools/gmc/replay.h"

#include "compiler/graph/interpret.h"
#include "compiler/package/link.h"
#include "compiler/package/process.h"
#include "compiler/package/program_source.h"
#include "runtime/base/error.h"
#include "runtime/files/npy.h"
#include "runtime/files/safetensors.h"

#include <cstring>

namespace gmc::tool {
namespace {

graph::Reference widen(const HostTensor& t) {
  graph::Reference r{t.shape, std::vector<double>(static_cast<size_t>(t.count()))};
  for (size_t i = 0; i < r.values.size(); ++i) {
    switch (t.dtype) {
    case DType::f32:
      r.values[i] = t.as<float>()[i];
      break;
    case DType::f64:
      r.values[i] = t.as<double>()[i];
      break;
    case DType::i64:
      r.values[i] = static_cast<double>(t.as<int64_t>()[i]);
      break;
    default:
      fail("the interpreter takes f32, f64 and i64, got {}", name_of(t.dtype));
    }
  }
  return r;
}

HostTensor narrow(const graph::Reference& r, DType dtype) {
  HostTensor t(dtype, r.shape);
  for (size_t i = 0; i < r.values.size(); ++i) {
    if (dtype == DType::f32)
      t.as<float>()[i] = static_cast<float>(r.values[i]);
    else if (dtype == DType::i64)
      t.as<int64_t>()[i] = static_cast<int64_t>(r.values[i]);
    else
      fail("the interpreter gives f32 and i64, not {}", name_of(dtype));
  }
  return t;
}

class Interpreter : public Backend {
public:
  explicit Interpreter(const package::Source& source) : entries_(source.entries) {}
  void set_state(const TensorMap& state) override {
    for (const auto& [name, tensor] : state) state_[name] = widen(tensor);
  }
  TensorMap state() const override {
    TensorMap out;
    for (const auto& [name, value] : state_) out[name] = narrow(value, DType::f32);
    return out;
  }
  TensorMap run(const std::string& entry, const TensorMap& inputs) override {
    for (const graph::Graph& g : entries_) {
      if (g.entry() != entry) continue;
      auto values = state_;
      for (const auto& [name, tensor] : inputs) values[name] = widen(tensor);
      const graph::Interpretation result = graph::interpret(g, values);
      for (const auto& [name, value] : result.updates) state_[name] = value;
      TensorMap out;
      for (const graph::Output& o : g.outputs())
        if (!o.is_state) out[o.name] = narrow(result.outputs.at(o.name), g.type(o.value).dtype);
      return out;
    }
    fail("the program has no entry '{}'", entry);
  }

private:
  const std::vector<graph::Graph> entries_;
  std::map<std::string, graph::Reference> state_;
};

class InProcess : public Backend {
public:
  InProcess(const package::Source& source, const package::Options& options, const RunOptions& run)
      : session_(package::compile(source, options), session_options(run)) {}
  void set_state(const TensorMap& state) override { session_.set_state(state, true); }
  TensorMap state() const override { return session_.state(); }
  TensorMap run(const std::string& entry, const TensorMap& inputs) override { return session_.run(entry, inputs); }

private:
  package::Session session_;
};

class Executable : public Backend {
public:
  Executable(const package::Source& source, const package::Options& options, const RunOptions& run)
      : threads_(run.threads) {
    const package::Compiled compiled = package::compile(source, options);
    package::link_executable(compiled, {}, directory_.file("program"));
    for (const auto& e : compiled.entries)
      for (const graph::Output& o : e.graph->outputs())
        if (!o.is_state) outputs_[e.plan.entry].push_back(o.name);
  }
  void set_state(const TensorMap& state) override { files::save_safetensors(directory_.file("state"), state); }
  TensorMap state() const override { return files::load_safetensors(directory_.file("state")); }
  TensorMap run(const std::string& entry, const TensorMap& inputs) override {
    std::vector<std::string> arguments{directory_.file("program"), entry,    "--weights",
                                       directory_.file("state"),   "--save", directory_.file("next")};
    if (threads_ > 0) arguments.insert(arguments.end(), {"--threads", std::to_string(threads_)});
    for (const auto& [name, tensor] : inputs) {
      const std::string file = directory_.file(fmt::format("in{}.npy", arguments.size()));
      files::save_npy(file, tensor);
      arguments.insert(arguments.end(), {"--input", name + "=" + file});
    }
    std::map<std::string, std::string> results;
    for (const std::string& name : outputs_[entry]) {
      results[name] = directory_.file(fmt::format("out{}.npy", results.size()));
      arguments.insert(arguments.end(), {"--output", name + "=" + results[name]});
    }
    const package::ProcessResult process = package::run_process(arguments);
    if (process.status != 0) fail("the compiled program failed with status {}: {}", process.status, process.output);
    set_state(files::load_safetensors(directory_.file("next")));
    TensorMap out;
    for (const auto& [name, file] : results) out[name] = files::load_npy(file);
    return out;
  }

private:
  package::TemporaryDirectory directory_;
  std::map<std::string, std::vector<std::string>> outputs_;
  int threads_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& kind, const package::Source& source,
                                      const package::Options& options, const RunOptions& run) {
  if (kind == "interp") return std::make_unique<Interpreter>(source);
  if (kind == "jit") return std::make_unique<InProcess>(source, options, run);
  if (kind == "aot") return std::make_unique<Executable>(source, options, run);
  fail_usage("unknown backend '{}': expected interp, jit or aot", kind);
}

Outcome replay(Backend& backend, const Entry& step, const CaseInputs& c) {
  Outcome out;
  backend.set_state(c.initial);
  out.gradients = backend.run(step.name + "_gradients", c.batches.at(0));
  for (const TensorMap& batch : c.batches) {
    out.losses.emplace_back();
    for (const auto& [name, tensor] : backend.run(step.name, batch))
      if (tensor.dtype == DType::f32 && tensor.count() == 1) out.losses.back()[name] = tensor.as<float>()[0];
  }
  // What sampling writes, such as the running statistics of batch norm, belongs to the weights of a case.
  out.samples = backend.run("sample", c.draw);
  const TensorMap state = backend.state();
  for (const std::string& name : c.weights) {
    auto it = state.find(name);
    if (it == state.end()) fail("the case judges '{}', which is no state of the program", name);
    out.weights[name] = it->second;
  }
  return out;
}

}  // namespace gmc::tool
