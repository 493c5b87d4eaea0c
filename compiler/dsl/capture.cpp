#include "compiler/dsl/capture.h"

#include "compiler/graph/core_loop.h"
#include "compiler/transform/pass.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <algorithm>

namespace gmc::dsl {

using graph::diagnose;
using graph::Location;
using graph::Var;

namespace {

thread_local Capture* the_capture = nullptr;

void check_extents(const std::string& what, const graph::TensorType& type, const Location& at) {
  for (size_t i = 0; i < type.shape.size(); ++i)
    if (type.shape[i] < 0)
      throw Error(diagnose(at, fmt::format("{}: dimension {} of {} is negative", what, i, to_string(type.shape))));
  try {
    byte_size(type.dtype, type.shape);
  } catch (const Error&) {
    throw Error(diagnose(at, fmt::format("{}: the size of {} overflows", what, to_string(type.shape))));
  }
}

}  // namespace

Location location_of(const std::source_location& s) {
  return {s.file_name(), static_cast<int>(s.line()), static_cast<int>(s.column())};
}

Capture* current_or_null() { return the_capture; }

Capture& current(const std::string& what, const Location& at) {
  if (the_capture) return *the_capture;
  throw Error(diagnose(at, what + " outside an entry", {}, "call it in the body of p.entry(...)"));
}

Location place_of(const std::source_location& where) {
  return the_capture ? the_capture->place(location_of(where)) : location_of(where);
}

Capture::Capture(Program& program, const std::string& name, const EntryOptions& options, Location location)
    : program_(program), graph_(std::make_shared<graph::Graph>(name)), location_(std::move(location)),
      precision_(options.precision.value_or(program.precision_)) {
  if (the_capture)
    throw Error(diagnose(location_,
                         fmt::format("entry '{}' begins inside entry '{}'", name, the_capture->graph()->entry()),
                         {{fmt::format("entry '{}' begins", the_capture->graph()->entry()), the_capture->location_}}));
  const bool word =
      !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) { return isalnum(c) || c == '_'; });
  if (!word) throw Error(diagnose(location_, fmt::format("entry name '{}': expected letters, digits and '_'", name)));
  if (precision_ != f32 && precision_ != bf16 && precision_ != f16)
    throw Error(diagnose(
        location_, fmt::format("entry '{}': precision {}: expected f32, bf16 or f16", name, name_of(precision_))));
  for (const Entry& e : program.entries_)
    if (e.name == name) refuse_twice("entry '" + name + "'", location_, e.location);
  the_capture = this;
}

Capture::~Capture() {
  if (the_capture == this) the_capture = nullptr;
}

void Capture::finish() {
  for (const auto& [index, version] : versions_)
    if (version.updated.valid()) graph_->add_output({program_.states_[index].name, version.updated, true});
  if (graph_->outputs().empty())
    throw Error(diagnose(location_, fmt::format("entry '{}' has no output and updates no state", graph_->entry())));
  graph_->context = {};
  if (precision_ != f32) lower_precision();
  program_.entries_.push_back({graph_->entry(), graph_, std::move(gradients_), location_, precision_});
}

void Capture::lower_precision() {
  // Gradients travel as outputs, so that they are followed.
  const size_t count = graph_->outputs().size();
  for (const auto& [name, value] : gradients_) graph_->add_output({name, value, false});
  *graph_ = transform::mixed_precision(*graph_, precision_);
  std::vector<graph::Output> outputs = graph_->outputs();
  for (size_t i = 0; i < gradients_.size(); ++i) gradients_[i].second = outputs[count + i].value;
  outputs.resize(count);
  graph_->set_outputs(std::move(outputs));
}

void Capture::refuse_twice(const std::string& what, const Location& at, const Location& first) const {
  throw Error(diagnose(at, what + " is given twice", {{"first given", first}}));
}

void Capture::refuse_foreign(const Tensor& tensor, const std::string& what, const Location& at) const {
  const graph::Node& node = tensor.graph()->node(tensor.value());
  for (const auto& region : left_)
    if (region == tensor.graph())
      throw Error(diagnose(at, fmt::format("{}: a tensor of a region is used outside of it", what),
                           {{"it was made", node.location}}, "return it from the region's function"));
  const bool same_program = std::any_of(program_.entries_.begin(), program_.entries_.end(),
                                        [&](const Entry& e) { return e.graph == tensor.graph(); });
  throw Error(diagnose(at,
                       fmt::format("{}: a tensor of entry '{}'{} is used in entry '{}'", what, tensor.graph()->entry(),
                                   same_program ? "" : " of another program", graph_->entry()),
                       {{"it was made", node.location}},
                       same_program ? "pass it through a state, or compute it again in this entry" : ""));
}

Tensor Capture::adopt(const Tensor& tensor, const std::string& what, const Location& at) {
  if (!tensor.valid()) throw Error(diagnose(at, what + ": an operand is a tensor without a value"));
  size_t level = frames_.size();
  while (level > 0 && frames_[level - 1].graph != tensor.graph()) --level;
  if (level == 0 && tensor.graph() != graph_) refuse_foreign(tensor, what, at);
  graph::Value v = tensor.value();
  for (; level < frames_.size(); ++level) {
    Frame& frame = frames_[level];
    const graph::Graph& around = *graph_at(level);
    const graph::Node node = around.node(v);
    const auto known =
        std::find_if(frame.captured.begin(), frame.captured.end(), [&](const auto& pair) { return pair.first == v; });
    if (known != frame.captured.end()) {
      v = known->second;
    } else if (node.op->category == graph::Category::constant) {
      v = frame.graph->copy(node, {});
    } else {
      const Location here = frame.graph->context.location;
      frame.graph->context.location = node.location;
      const graph::Value inside = graph::argument(*frame.graph, node.name, around.type(v)).value;
      frame.graph->context.location = here;
      frame.captured.emplace_back(v, inside);
      v = inside;
    }
  }
  return {graph(), v};
}

void Capture::enter(const std::string& what, const std::string& name) {
  auto region = std::make_shared<graph::Graph>(name);
  region->context = graph()->context;
  frames_.push_back({what, std::move(region), {}});
}

Capture::Frame Capture::leave() {
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  left_.push_back(frame.graph);
  return frame;
}

void Capture::refuse_inside(const std::string& what, const Location& at, const std::string& help) const {
  if (!frames_.empty()) throw Error(diagnose(at, fmt::format("{} inside {}", what, frames_.back().what), {}, help));
}

void Capture::check_member(const Parameter& p, const Location& at) const {
  if (!p.valid())
    throw Error(diagnose(at, "a parameter without a value is used", {}, "a layer without a bias has no bias to use"));
  const ParameterData& d = *p.data();
  if (d.program == program_.id_) return;
  const std::vector<graph::Note> notes{{"it was made", location_of(d.made)}};
  if (d.program != 0)
    throw Error(diagnose(at, fmt::format("parameter '{}' belongs to another program", d.name), notes));
  throw Error(
      diagnose(at, fmt::format("a parameter of shape {} is used but was not given to the program", to_string(d.shape)),
               notes, "name it in GMC_PARTS of its module, and call p.state(module) before the entries"));
}

Tensor Capture::read(const Parameter& p, const Location& at) {
  check_member(p, place(at));
  const ParameterData& d = *p.data();
  Version& version = versions_[d.index];
  const graph::Graph::Context saved = graph_->context;
  if (!version.value.valid() && version.updated.valid()) {
    // An update is a leaf: no gradient flows back through an optimiser.
    graph_->context.location = place(at);
    version.value = {graph_, graph::stop_gradient({graph_.get(), version.updated}).value};
  }
  if (!version.value.valid()) {
    graph_->context.location = program_.states_[d.index].location;
    version.value = {graph_, graph::input(*graph_, d.name, "state", {d.dtype, d.shape}).value};
  }
  graph_->context = saved;
  return adopt(version.value, "a parameter is used", at);
}

void Capture::update(const Parameter& p, const Tensor& value, const Location& where) {
  const Location at = place(where);
  check_member(p, at);
  refuse_inside("update", at, "carry the value through the loop and update after it");
  adopt(value, "update", at);
  const ParameterData& d = *p.data();
  const graph::TensorType type{d.dtype, d.shape}, got = graph_->type(value.value());
  if (!(type == got))
    throw Error(diagnose(
        at, fmt::format("update: state '{}' is {}, the new value is {}", d.name, to_string(type), to_string(got)),
        {{fmt::format("'{}' was made", d.name), location_of(d.made)}}));
  versions_[d.index] = {{}, value.value()};
}

Tensor Capture::input(const std::string& name, graph::TensorType type, const Location& where) {
  const Location at = place(where);
  check_extents("input '" + name + "'", type, at);
  refuse_inside("input '" + name + "'", at, "declare it in front of the region");
  if (name.empty()) throw Error(diagnose(at, "input: the name is empty"));
  if (auto [it, fresh] = inputs_.try_emplace(name, at); !fresh) refuse_twice("input '" + name + "'", at, it->second);
  for (const State& s : program_.states_)
    if (s.name == name) refuse_twice("name '" + name + "' of an input and a state", at, s.location);
  graph_->context.location = at;
  return {graph_, graph::input(*graph_, name, "data", std::move(type)).value};
}

void Capture::output(const std::string& name, const Tensor& value, const Location& where) {
  const Location at = place(where);
  refuse_inside("output '" + name + "'", at, "return the value from the region's function");
  adopt(value, "output '" + name + "'", at);
  if (name.empty()) throw Error(diagnose(at, "output: the name is empty"));
  if (auto [it, fresh] = outputs_.try_emplace(name, at); !fresh) refuse_twice("output '" + name + "'", at, it->second);
  graph_->add_output({name, value.value(), false});
}

uint64_t Capture::draw_stream(const std::string& name, const Location& at) {
  const std::string& scope = graph()->context.scope;
  const std::string path = scope.empty() ? name : scope + "/" + name;
  if (name.empty()) throw Error(diagnose(at, "draw: the name is empty"));
  if (auto [it, fresh] = draws_.try_emplace(path, at); !fresh)
    throw Error(diagnose(at, fmt::format("draw '{}' is made twice", path), {{"first made", it->second}},
                         "two draws of one name are the same numbers: give it another name, or use the first"));
  return execute::stream_of((graph_->entry() + "/" + path).c_str());
}

Parameter Capture::optimizer_state(const std::string& name, const Shape& shape, const Initialiser& initialiser) {
  const Parameter p(shape, initialiser, StateKind::optimizer);
  for (size_t i = 0; i < program_.states_.size(); ++i) {
    const State& s = program_.states_[i];
    if (s.name != name) continue;
    if (s.kind != StateKind::optimizer || s.shape != shape)
      refuse_twice("state '" + name + "'", graph_->context.location, s.location);
    p.data()->name = name;
    p.data()->program = program_.id_;
    p.data()->index = i;
    return p;
  }
  return program_.add_state(name, p, graph_->context.location);
}

void Capture::use_optimizer(const std::string& name, const Location& at) {
  if (auto [it, fresh] = optimizers_.try_emplace(name, at); !fresh)
    throw Error(diagnose(at, fmt::format("optimizer '{}' is used twice in entry '{}'", name, graph_->entry()),
                         {{"first used", it->second}}, "give each a name of its own: Adam{.name = \"adam_d\"}"));
}

void Capture::record_gradient(const std::string& parameter, graph::Value gradient) {
  gradients_.emplace_back(parameter, gradient);
}

Call::Call(const std::string& name, const std::vector<At>& operands, char symbol) : name_(name) {
  if (operands.empty()) gmc::fail("{}: expected at least 1 operand, got 0", name);
  const Location at = place_of(operands.front().where());
  Capture& capture = current(name, at);
  graph_ = capture.graph();
  DType dtype = f32;
  std::vector<Tensor> tensors;
  for (const At& a : operands) tensors.push_back(a.is_number() ? Tensor() : capture.adopt(a.tensor(), name, at));
  for (const At& a : operands)
    if (!a.is_number() && a.dtype() != DType::boolean) {
      dtype = a.dtype();
      break;
    }
  graph_->context.location = at;
  graph_->context.symbol = symbol;
  size_t next = 0;
  for (const At& a : operands) {
    const Tensor& tensor = tensors[next++];
    x_.push_back(a.is_number() ? graph::constant(*graph_, a.number(), {dtype, {}}) : Var{graph_.get(), tensor.value()});
  }
}

Tensor Call::result(Var v) const {
  graph_->context.symbol = 0;
  return {graph_, v.value};
}

void Call::fail(const std::string& message, const std::string& help) const {
  std::vector<graph::Value> operands;
  for (const Var& v : x_) operands.push_back(v.value);
  throw Error(diagnose(*graph_, name_ + ": " + message, operands, help));
}

Tensor draw(const graph::OpDef& op, const std::string& distribution, const std::string& name, const Shape& shape,
            const std::source_location& where) {
  const Location at = place_of(where);
  const std::string what = distribution + " '" + name + "'";
  Capture& capture = current(what, at);
  check_extents(what, {f32, shape}, at);
  const auto stream = static_cast<int64_t>(capture.draw_stream(name, at));
  capture.graph()->context.location = at;
  return {capture.graph(), capture.graph()->add(op, {},
                                                {{"distribution", distribution},
                                                 {"dtype", std::string("f32")},
                                                 {"name", name},
                                                 {"shape", shape},
                                                 {"stream", stream}})};
}

}  // namespace gmc::dsl
