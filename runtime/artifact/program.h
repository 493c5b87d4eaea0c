// What a compiled program is made of, and what its verbs do.
#pragma once

#include "runtime/artifact/arguments.h"
#include "runtime/execute/executor.h"

namespace gmc::artifact {

struct Program {
  const execute::Package* package;
  const execute::Kernel* functions;
  const void* weights;  // safetensors, or null
  uint64_t weights_bytes;
  const execute::Libraries* libraries;  // or null
  std::string name;                     // how it was called
};

// The flags of the verbs.
std::span<const Flag> program_flags();

// `f32 [64, 784]`.
std::string type_text(const execute::Tensor&);

// Texts of `--help`, `--version`, `info` and `info --json`.
std::string help_text(const Program&);
std::string version_text(const Program&);
std::string info_text(const Program&);
std::string info_json(const Program&);

// Throws `Error` if this machine lacks what the code needs.
void check_isa(const execute::Package*);

// Runs one entry as the flags say.
void call_entry(const Program&, uint64_t entry, const Arguments&);

}  // namespace gmc::artifact
