#include "compiler/dsl/program.h"

#include "compiler/dsl/capture.h"
#include "compiler/dsl/nearest.h"
#include "compiler/transform/pass.h"
#include "runtime/base/error.h"

#include <atomic>

namespace gmc {

using graph::diagnose;
using graph::Location;

namespace {

uint64_t next_program() {
  static constinit std::atomic<uint64_t> last{0};
  return ++last;
}

template <class Named>
const Named& find(const std::vector<Named>& all, const std::string& name, const char* what) {
  std::vector<std::string> names;
  for (const Named& n : all) {
    if (n.name == name) return n;
    names.push_back(n.name);
  }
  fail_usage("{}", unknown_name(what, name, names));
}

}  // namespace

Program::Program() : id_(next_program()) {}

const State& Program::state_named(const std::string& name) const { return find(states_, name, "state"); }
const Entry& Program::entry_named(const std::string& name) const { return find(entries_, name, "entry"); }

Parameter Program::add_state(const std::string& name, const Parameter& p, const Location& at) {
  ParameterData& d = *p.data();
  for (const State& s : states_)
    if (s.name == name)
      throw Error(diagnose(at, fmt::format("state '{}' is given twice", name), {{"first made", s.location}},
                           "give modules different names, or a prefix: p.state(net, \"ema\")"));
  if (d.program != 0)
    throw Error(diagnose(at, fmt::format("state '{}' was given to a program before, as '{}'", name, d.name)));
  for (size_t i = 0; i < d.shape.size(); ++i)
    if (d.shape[i] < 0)
      throw Error(diagnose(dsl::location_of(d.made),
                           fmt::format("state '{}': dimension {} of {} is negative", name, i, to_string(d.shape))));
  try {
    byte_size(d.dtype, d.shape);
  } catch (const Error&) {
    throw Error(diagnose(dsl::location_of(d.made),
                         fmt::format("state '{}': the size of {} overflows", name, to_string(d.shape))));
  }
  d.name = name;
  d.program = id_;
  d.index = states_.size();
  states_.push_back(
      {name, d.dtype, d.shape, d.initialiser, d.kind, d.kind == StateKind::optimizer ? at : dsl::location_of(d.made)});
  return p;
}

void Program::state(const Part& module, const std::string& prefix, std::source_location where) {
  for (const NamedParameter& n : named_parameters(module)) {
    const std::string separator = prefix.empty() || n.path.empty() ? "" : ".";
    add_state(prefix + separator + n.path, n.parameter, dsl::location_of(where));
  }
}

void Program::adopt(State state) {
  for (const State& s : states_)
    if (s.name == state.name) fail("state '{}' is given twice", state.name);
  states_.push_back(std::move(state));
}
void Program::adopt(Entry entry) {
  for (const Entry& e : entries_)
    if (e.name == entry.name) fail("entry '{}' is given twice", entry.name);
  if (entry.precision != precision_ && entry.gradients.empty()) {
    entry.graph = std::make_shared<graph::Graph>(transform::mixed_precision(*entry.graph, precision_));
    entry.precision = precision_;
  }
  entries_.push_back(std::move(entry));
}

void Program::set_precision(DType precision) {
  if (precision != f32 && precision != bf16 && precision != f16)
    fail("precision {}: expected f32, bf16 or f16", name_of(precision));
  precision_ = precision;
}

Program::Capturing::Capturing(Program& program, const std::string& name, const EntryOptions& options,
                              std::source_location where)
    : capture(std::make_unique<dsl::Capture>(program, name, options, dsl::location_of(where))) {}
Program::Capturing::~Capturing() = default;
void Program::Capturing::finish() const { capture->finish(); }

Tensor input(const std::string& name, DType dtype, const Shape& shape, std::source_location where) {
  const Location at = dsl::location_of(where);
  return dsl::current("input '" + name + "'", at).input(name, {dtype, shape}, at);
}

void output(const std::string& name, At value) {
  const Location at = dsl::location_of(value.where());
  dsl::current("output '" + name + "'", at).output(name, value, at);
}

void update(const Parameter& state, At value) {
  const Location at = dsl::location_of(value.where());
  dsl::current("update", at).update(state, value, at);
}

}  // namespace gmc
