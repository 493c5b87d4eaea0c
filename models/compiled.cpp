#include "models/compiled.h"

#include "compiler/dsl/nearest.h"
#include "compiler/package/program_source.h"
#include "compiler/package/session.h"
#include "runtime/base/error.h"

#include <algorithm>

namespace gmc {

struct CompiledEntry::Shared {
  package::Session session;
  uint64_t seed;
};

TensorMap CompiledEntry::run(const TensorMap& inputs) {
  TensorMap outputs = run(inputs, shared_->seed, runs_);
  ++runs_;
  return outputs;
}

TensorMap CompiledEntry::run(const TensorMap& inputs, uint64_t seed, uint64_t step) {
  std::vector<std::string> names;
  for (const auto& slot : shared_->session.inputs(shared_->session.entry_index(name_))) names.push_back(slot.name);
  for (const auto& [name, tensor] : inputs)
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail("entry '{}': {}", name_, unknown_name("input", name, names));
  return shared_->session.run(name_, inputs, seed, step);
}

TensorMap CompiledEntry::state() const { return shared_->session.state(); }

void CompiledEntry::set_state(const TensorMap& values) { shared_->session.set_state(values, false); }

std::vector<CompiledEntry> compile_all(const Program& program, const std::vector<std::string>& entries,
                                       const CompileSettings& settings) {
  package::Options options;
  options.target = codegen::target_named(settings.target);
  options.policy = settings.policy;
  options.library = settings.library;
  const package::Compiled compiled = package::compile(package::source_of(program, "program", entries), options);
  auto shared = std::make_shared<CompiledEntry::Shared>(
      CompiledEntry::Shared{package::Session(compiled, {settings.threads, false}), settings.seed});
  shared->session.set_state(package::initial_state(program, settings.seed), false);
  std::vector<CompiledEntry> out;
  if (entries.empty())
    for (const Entry& e : program.entries()) out.push_back({shared, e.name});
  for (const std::string& name : entries) out.push_back({shared, name});
  return out;
}

CompiledEntry compile(const Program& program, const std::string& entry, const CompileSettings& settings) {
  return compile_all(program, {entry}, settings).at(0);
}

}  // namespace gmc
