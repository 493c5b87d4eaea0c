// A program: named state, and entries that are captured by running a lambda once.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"
#include "compiler/graph/graph.h"

#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace gmc {

struct State {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  Initialiser initialiser;
  StateKind kind = StateKind::parameter;
  graph::Location location;  // where its layer was made
};

struct EntryOptions {
  // f32, or what products and the elementwise ops between them are computed in: bf16 or f16. State, inputs, outputs,
  // reductions and updates stay f32; f16 also scales the loss in `minimize` (models/nn/optimizer.h). Not given: the
  // program's.
  std::optional<DType> precision = {};
};

struct Entry {
  std::string name;
  std::shared_ptr<graph::Graph> graph;  // with the casts of its precision
  // Of each parameter that `minimize` updates, in order: its name and its gradient as the optimiser gets it, after
  // clipping. Values of `graph`.
  std::vector<std::pair<std::string, graph::Value>> gradients;
  graph::Location location;
  DType precision = f32;
};

namespace dsl {
class Capture;
}

class Program {
public:
  Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // In order of declaration; an optimiser's states come when its entry is captured.
  const std::vector<State>& states() const { return states_; }
  const std::vector<Entry>& entries() const { return entries_; }
  // Throw `Error` with the names there are.
  const State& state_named(const std::string& name) const;
  const Entry& entry_named(const std::string& name) const;

  // Gives all parameters and buffers of `module` to the program, under their paths, `prefix.` in front if not empty.
  void state(const Part& module, const std::string& prefix = {},
             std::source_location where = std::source_location::current());

  // Captures an entry: runs `body` once on symbolic tensors. The last versions of the states it updates are committed
  // when the entry ends.
  template <class Body>
  void entry(const std::string& name, Body&& body, std::source_location where = std::source_location::current()) {
    entry(name, EntryOptions{}, std::forward<Body>(body), where);
  }
  template <class Body>
  void entry(const std::string& name, const EntryOptions& options, Body&& body,
             std::source_location where = std::source_location::current()) {
    const Capturing capturing(*this, name, options, where);
    std::forward<Body>(body)();
    capturing.finish();
  }

  // Takes what was not captured but made by an importer. Throw `Error` for a name that is taken.
  void adopt(State);
  void adopt(Entry);

  // Of entries that do not name theirs; f32 at first. Throws `Error` unless it is f32, bf16 or f16.
  void set_precision(DType);

private:
  friend class dsl::Capture;
  struct Capturing {
    Capturing(Program&, const std::string& name, const EntryOptions&, std::source_location);
    ~Capturing();
    Capturing(const Capturing&) = delete;
    Capturing& operator=(const Capturing&) = delete;
    void finish() const;
    std::unique_ptr<dsl::Capture> capture;
  };
  Parameter add_state(const std::string& name, const Parameter&, const graph::Location&);

  uint64_t id_;
  DType precision_ = f32;
  std::vector<State> states_;
  std::vector<Entry> entries_;
};

// A value from outside. Its name is unique in the entry.
Tensor input(const std::string& name, DType, const Shape&,
             std::source_location where = std::source_location::current());
// A named result of the entry; each name is given once.
void output(const std::string& name, At value);
// Makes `value` the new version of a state: what reads after this line see, as a constant of differentiation.
void update(const Parameter& state, At value);

// While it lives, ops are named `path/op` and draws are keyed by `path`.
class Scope {
public:
  explicit Scope(const std::string& path);
  // The path is that of the module's parameters: `h.0.attn`.
  explicit Scope(const Part& module);
  // For layers of a library: also makes errors point at the call `at` and say `fc1 is WHAT, made at ...`.
  Scope(const Part& module, const At& at, const std::string& what);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

private:
  struct Saved;
  std::unique_ptr<Saved> saved_;
};

// For functions of a library that are no layers: while it lives, errors point at the call `at`.
class CalledFrom {
public:
  explicit CalledFrom(const At& at);
  ~CalledFrom();
  CalledFrom(const CalledFrom&) = delete;
  CalledFrom& operator=(const CalledFrom&) = delete;

private:
  bool pinned_here_;
};

// Throws `Error` that points at `at`, with the layer, its operand and `help`.
[[noreturn]] void fail_at(const At& at, const std::string& message, const std::string& help = {});

}  // namespace gmc
