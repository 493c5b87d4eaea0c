// Entries of a program, compiled into this process: how programs embed gmc.
//
//   gmc::Program program;
//   gmc::load_model("vae-mlp").build(program);
//   auto step = gmc::compile(program, "step");
//   auto results = step.run({{"x", batch}});
#pragma once

#include "compiler/dsl/program.h"
#include "runtime/base/tensor.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gmc {

struct CompileSettings {
  std::string policy = "greedy";  // of fusion
  std::string target = "native";  // what code is generated for
  std::string library = {};       // `onednn`: products go there where it takes them; empty: all code is generated
  uint64_t seed = 0;              // of the initial state, and of the draws unless a call says otherwise
  int threads = 0;                // 0: as many as there are CPUs
};

// An entry that runs. Copies, and the entries of one compile_all(), share code, state and memory: one call at a time.
class CompiledEntry {
public:
  const std::string& name() const { return name_; }

  // Runs the entry once: inputs by name, with the dtypes and shapes that the entry declares; returns the outputs by
  // name and commits its updates to the state. Draws are those of the settings' seed and of the number of this run,
  // counted from 0 for each CompiledEntry. Throws `Error` for an input that is missing, unknown or of another type.
  TensorMap run(const TensorMap& inputs = {});
  // The same with the draws of (seed, step); does not count.
  TensorMap run(const TensorMap& inputs, uint64_t seed, uint64_t step);

  // All state by name: parameters, buffers, what the optimiser remembers.
  TensorMap state() const;
  // Replaces the named states, others stay. Throws `Error` that lists unknown names and other dtypes or shapes; nothing
  // is changed then.
  void set_state(const TensorMap&);

private:
  friend std::vector<CompiledEntry> compile_all(const Program&, const std::vector<std::string>&,
                                                const CompileSettings&);
  struct Shared;
  CompiledEntry(std::shared_ptr<Shared> shared, std::string name)
      : shared_(std::move(shared)), name_(std::move(name)) {}

  std::shared_ptr<Shared> shared_;
  std::string name_;
  uint64_t runs_ = 0;
};

// Compiles one entry; its state starts with the program's initial values. Throws `Error` for an unknown entry and from
// every stage of the compiler.
CompiledEntry compile(const Program&, const std::string& entry, const CompileSettings& = {});
// Compiles several entries, all if `entries` is empty, over one state: what `step` learns, `sample` uses.
std::vector<CompiledEntry> compile_all(const Program&, const std::vector<std::string>& entries = {},
                                       const CompileSettings& = {});

}  // namespace gmc
