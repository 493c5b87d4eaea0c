// Modules are plain structs; naming their members is all they have to do.
#pragma once

#include "compiler/dsl/parameter.h"

#include <initializer_list>
#include <string>
#include <vector>

// Names the parts of a module: parameters, modules, vectors of modules. The member's name is the weight's name:
// `fc1.weight`, `h.0.ln_1.weight`.
#define GMC_PARTS(...)                                                                                                 \
  ::gmc::Parts gmc_parts() const { return ::gmc::name_parts(#__VA_ARGS__, {__VA_ARGS__}); }

namespace gmc {

struct Part;
using Parts = std::vector<Part>;

template <class T>
concept IsModule = requires(const T& t) { t.gmc_parts(); };

// A member of a module: a parameter, or the parts of a module or of several.
struct Part {
  std::string name;
  Parameter parameter;
  Parts parts;

  Part(const Parameter& p) : parameter(p) {}
  template <IsModule M>
  Part(const M& module) : parts(module.gmc_parts()) {}
  template <class M>
  Part(const std::vector<M>& list) {
    for (const M& m : list) parts.push_back(Part(m)), parts.back().name = std::to_string(parts.size() - 1);
  }
};

// Gives `parts` the names in `names`, the text of their list: "fc1, mu".
Parts name_parts(const char* names, std::initializer_list<Part> parts);

// A parameter with its path, in the order of declaration; a parameter that is held twice is listed once, at its first
// path.
struct NamedParameter {
  std::string path;
  Parameter parameter;
};
std::vector<NamedParameter> named_parameters(const Part&);

// What an optimiser learns: the parameters of a module, without its buffers.
std::vector<Parameter> parameters(const Part& module);
std::vector<Parameter> parameters(std::initializer_list<Part> modules);

}  // namespace gmc
