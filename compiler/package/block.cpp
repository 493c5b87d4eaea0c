#include "compiler/package/block.h"

#include "compiler/graph/core_loop.h"
#include "compiler/package/replace.h"
#include "compiler/package/table.h"

#include <algorithm>
#include <set>

namespace gmc::package {

using graph::Category;
using graph::Value;
using Mode = kernel::Parameter::Mode;

namespace {

// Work below this many additions takes less time than waking a second thread: about 20 us.
constexpr double serial_work = 40000;
constexpr int64_t library_rows_per_tile = 32;

bool reads(const lower::Step& step, size_t parameter, Value v) {
  return step.values[parameter] == v && step.kernel.parameters[parameter].mode == Mode::in;
}

}  // namespace

int64_t Block::bytes(Value v) const { return byte_size(graph_.type(v).dtype, graph_.type(v).shape); }

// Whether a value has its memory already when the block begins.
bool Block::is_kept(Value v) const {
  const Category c = graph_.node(v).op->category;
  return c == Category::input || c == Category::literal;
}

int Block::place_of(Value v) {
  auto [it, inserted] = places_.try_emplace(v, 0);
  if (inserted) it->second = schedule_.arena(bytes(v));
  return it->second;
}

void Block::run(std::map<Value, int> inputs, const std::vector<Placement>& outputs,
                const std::vector<Update>& updates) {
  places_ = std::move(inputs);
  place_tables();
  place_outputs(outputs);
  place_updates(updates);
  place_carries();
  for (const Placement& p : early_copies_) schedule_.copy(places_.at(p.value), p.memory);
  // An old value that becomes another one's new value is copied aside before it changes.
  for (const Placement& p : late_copies_)
    if (graph_.node(p.value).op->category == Category::input && !updates.empty() && !asides_.count(p.value)) {
      const int aside = schedule_.arena(bytes(p.value));
      schedule_.copy(places_.at(p.value), aside);
      asides_[p.value] = aside;
    }
  for (const lower::Step& step : entry_.steps) emit(step);
  for (const Placement& p : late_copies_) {
    const auto aside = asides_.find(p.value);
    schedule_.copy(aside != asides_.end() ? aside->second : place_of(p.value), p.memory);
  }
}

void Block::place_tables() {
  for (size_t i = 0; i < graph_.nodes().size(); ++i) {
    const graph::Node& n = graph_.nodes()[i];
    if (n.op->category == Category::literal)
      places_[{static_cast<int32_t>(i), 0}] =
          schedule_.constant(writer_.add_constant(bytes_of(n.types[0].dtype, n.numbers("values"))));
  }
}

// Results that leave are computed where they are wanted; a second use of the same value is a copy.
void Block::place_outputs(const std::vector<Placement>& outputs) {
  for (const Placement& p : outputs) {
    if (!places_.count(p.value))
      places_[p.value] = p.memory;
    else
      (is_kept(p.value) ? early_copies_ : late_copies_).push_back(p);
  }
  // So is what they are reshapes of: a loop then stacks where the stack is wanted.
  for (const lower::Step& step : entry_.steps) {
    if (!only_reshapes(step)) continue;
    const Value result = step.values[1];
    const bool leaves = std::any_of(outputs.begin(), outputs.end(), [&](const Placement& p) {
      return p.value == result && places_.at(result) == p.memory;
    });
    if (leaves && !is_kept(step.values[0])) places_.try_emplace(step.values[0], places_.at(result));
  }
}

// Whether the step copies one value to another, element by element.
bool Block::only_reshapes(const lower::Step& step) const {
  if (step.control >= 0 || step.routine.symbol || !step.library.empty() || step.values.size() != 2) return false;
  const Value from = step.values[0], to = step.values[1];
  if (!from.valid() || !to.valid() || step.kernel.parameters[1].mode != Mode::out) return false;
  const graph::Node& n = graph_.node(to);
  return n.op == &graph::reshape_op && n.inputs[0] == from;
}

void Block::place_updates(const std::vector<Update>& updates) {
  const std::map<Value, Life> lives = this->lives();
  const auto life = [&](Value v) { return lives.count(v) ? lives.at(v) : Life{}; };
  for (const Update& u : updates) {
    if (u.value == u.old) continue;
    if (places_.count(u.value) || !can_replace(u, life(u.old), life(u.value).writer, updates)) {
      // It must last until it is copied: a loop that begins with it has to leave it alone.
      place_of(u.value);
      late_copies_.push_back({u.value, u.memory});
      continue;
    }
    places_[u.value] = u.memory;
    updated_.push_back(u.value);
  }
}

// Of the values that steps compute and read.
std::map<Value, Block::Life> Block::lives() const {
  std::map<Value, Life> out;
  for (size_t s = 0; s < entry_.steps.size(); ++s) {
    const lower::Step& step = entry_.steps[s];
    for (size_t p = 0; p < step.values.size(); ++p) {
      if (!step.values[p].valid()) continue;
      Life& life = out[step.values[p]];
      const Mode mode = step.kernel.parameters[p].mode;
      if (mode == Mode::out) life.writer = static_cast<int>(s);
      if (mode == Mode::in) life.last_reader = static_cast<int>(s);
    }
  }
  return out;
}

// Whether the new value may be written over the old one: nobody reads the old one afterwards, and what writes it reads
// each old element only where it writes it.
bool Block::can_replace(const Update& u, const Life& of_old, int writer, const std::vector<Update>& updates) const {
  if (writer < 0 || of_old.last_reader > writer) return false;
  for (const Placement& p : early_copies_)
    if (p.value == u.old) return false;
  for (const Update& other : updates)
    if (other.value == u.old) return false;
  return of_old.last_reader < writer ||
         reads_where_it_writes(graph_, entry_.steps[static_cast<size_t>(writer)], u.old, u.value);
}

// Whether `step` is the only one that reads the value, once.
bool Block::ends_here(Value v, size_t step) const {
  int count = 0;
  for (size_t s = 0; s < entry_.steps.size(); ++s)
    for (size_t p = 0; p < entry_.steps[s].values.size(); ++p)
      if (reads(entry_.steps[s], p, v)) count += s == step ? 1 : s > step ? 2 : 0;
  return count == 1;
}

// What a carry begins with is computed where it ends, if it dies in the loop: last loops first, so that the carries of
// one that feeds another share that one's memory.
void Block::place_carries() {
  for (size_t s = entry_.steps.size(); s-- > 0;) {
    const lower::Step& step = entry_.steps[s];
    if (step.control < 0) continue;
    const graph::Node& node = graph_.nodes()[static_cast<size_t>(step.control)];
    if (node.op->category == Category::cond) continue;
    for (size_t k = 0; k < graph::loop_parts(node).carries; ++k) {
      const Value result{step.control, static_cast<int32_t>(k)}, begin = step.values[k];
      const int memory = place_of(result);
      // The old value that the result replaces may be in use until the loop begins.
      if (std::find(updated_.begin(), updated_.end(), result) != updated_.end()) continue;
      if (!places_.count(begin) && ends_here(begin, s)) places_[begin] = memory;
    }
  }
}

execute::Step Block::named(const lower::Step& step) {
  execute::Step out{};
  out.name = writer_.add_string(step.kernel.name);
  out.serial = step.work < serial_work ? 1 : 0;
  return out;
}

void Block::emit(const lower::Step& step) {
  if (step.control >= 0) {
    const Category c = graph_.nodes()[static_cast<size_t>(step.control)].op->category;
    return c == Category::cond ? emit_cond(step) : emit_loop(step);
  }
  std::vector<int> operands;
  for (size_t p = 0; p < step.values.size(); ++p) {
    const kernel::Parameter& parameter = step.kernel.parameters[p];
    operands.push_back(step.values[p].valid() ? place_of(step.values[p])
                                              : schedule_.arena(byte_size(parameter.dtype, {parameter.elements})));
  }
  if (step.routine.symbol) return emit_routine(step, std::move(operands));
  if (!step.library.empty()) return emit_library(step, operands);
  emit_kernel(step, operands);
}

void Block::emit_kernel(const lower::Step& step, const std::vector<int>& operands) {
  const codegen::KernelCode& code = entry_.kernels[next_kernel_++].code;
  if (only_reshapes(step) && operands[0] == operands[1]) return;
  for (const codegen::TileFunction& function : code.functions) {
    if (function.tiles == 0) continue;
    execute::Step out = named(step);
    out.kind = execute::StepKind::launch;
    out.function = writer_.add_function(function.symbol);
    out.tiles = static_cast<uint64_t>(function.tiles);
    std::vector<int> given;
    for (const codegen::Argument& a : function.arguments)
      given.push_back(a.parameter >= 0 ? operands[static_cast<size_t>(a.parameter)] : numbers(a));
    schedule_.add(out, std::move(given));
  }
  reserve_scratch(code.scratch_bytes);
}

int Block::numbers(codegen::Argument argument) {
  for (const auto& [at, function] : argument.functions) argument.numbers[at] = writer_.add_function(function);
  return numbers(argument.numbers);
}

int Block::numbers(const std::vector<int64_t>& values) {
  const auto* bytes = reinterpret_cast<const char*>(values.data());
  return schedule_.constant(writer_.add_constant({bytes, values.size() * sizeof(int64_t)}));
}

void Block::emit_routine(const lower::Step& step, std::vector<int> operands) {
  const graph::Routine& routine = step.routine;
  if (routine.tiles == 0) return;
  operands.insert(operands.begin(), numbers(routine.parameters));
  execute::Step out = named(step);
  out.kind = execute::StepKind::launch;
  out.function = writer_.add_function(routine.symbol);
  out.tiles = static_cast<uint64_t>(routine.tiles);
  schedule_.add(out, std::move(operands));
  reserve_scratch(routine.scratch_bytes);
}

void Block::emit_library(const lower::Step& step, const std::vector<int>& operands) {
  execute::Step out = named(step);
  out.kind = execute::StepKind::matmul;
  const lower::LibraryProduct& p = step.product;
  const int64_t rows = std::min(p.m, library_rows_per_tile);
  out.matmul = {p.m, p.n, p.k,
                (p.transpose_a ? uint32_t{execute::matmul_transpose_a} : 0) |
                    (p.transpose_b ? uint32_t{execute::matmul_transpose_b} : 0),
                static_cast<uint32_t>(rows)};
  out.tiles = static_cast<uint64_t>((p.m + rows - 1) / rows);
  schedule_.add(out, operands);
}

void Block::reserve_scratch(int64_t bytes) {
  execute::Package& header = writer_.header;
  header.scratch_bytes = std::max(header.scratch_bytes, static_cast<uint64_t>((bytes + 63) / 64 * 64));
}

std::vector<const CompiledEntry*> Block::regions_of(int32_t node) const {
  std::vector<const CompiledEntry*> out;
  for (const CompiledEntry& region : entry_.regions)
    if (region.node == node) out.push_back(&region);
  return out;
}

// Carries come first among the region's outputs and, behind the index, among its arguments. Returns how many steps.
uint32_t Block::run_region(const CompiledEntry& region, const std::vector<int>& arguments,
                           const std::vector<int>& outputs, const std::vector<int>& carries) {
  const size_t before = schedule_.size();
  const std::vector<Value> names = graph::arguments(*region.graph);
  std::map<Value, int> inputs;
  for (size_t i = 0; i < names.size(); ++i) inputs[names[i]] = arguments[i];
  std::vector<Placement> wanted;
  std::vector<Update> updates;
  for (size_t k = 0; k < carries.size() + outputs.size(); ++k) {
    const Value v = region.graph->outputs()[k].value;
    if (k < carries.size())
      updates.push_back({names[k + 1], v, carries[k]});
    else
      wanted.push_back({v, outputs[k - carries.size()]});
  }
  Block(writer_, schedule_, region).run(std::move(inputs), wanted, updates);
  return static_cast<uint32_t>(schedule_.size() - before);
}

void Block::emit_loop(const lower::Step& step) {
  const graph::Node& node = graph_.nodes()[static_cast<size_t>(step.control)];
  const graph::LoopParts parts = graph::loop_parts(node);
  const std::vector<const CompiledEntry*> regions = regions_of(step.control);
  const bool asks = regions.size() > 1;
  std::vector<int> carries, operands, outputs;
  for (size_t k = 0; k < parts.carries; ++k) {
    carries.push_back(place_of({step.control, static_cast<int32_t>(k)}));
    if (const int begin = place_of(step.values[k]); begin != carries[k]) schedule_.copy(begin, carries[k]);
  }
  if (parts.trips == 0) return;
  const graph::Graph& body = *regions.back()->graph;
  const int index = schedule_.arena(byte_size(body.type(graph::arguments(body)[0]).dtype, {}));
  operands.push_back(index);
  if (asks) operands.push_back(schedule_.arena(1));
  for (size_t k = parts.carries; k < parts.carries + parts.inputs; ++k) operands.push_back(place_of(step.values[k]));
  for (size_t k = parts.carries; k < node.types.size(); ++k)
    operands.push_back(place_of({step.control, static_cast<int32_t>(k)}));

  execute::Step out = named(step);
  out.kind = execute::StepKind::loop;
  out.control = {parts.trips < 0 ? execute::endless : static_cast<uint64_t>(parts.trips),
                 graph::index_bound(node),
                 0,
                 0,
                 asks ? 1 : execute::none,
                 0,
                 parts.reverse ? 1u : 0u,
                 0};
  const size_t loop = schedule_.add(out, operands);
  schedule_.enter(loop);
  const auto slices = [&](int whole, const graph::TensorType& type) {
    return schedule_.slices(whole, loop, byte_size(type.dtype, Shape(type.shape.begin() + 1, type.shape.end())));
  };
  std::vector<int> arguments{index};
  arguments.insert(arguments.end(), carries.begin(), carries.end());
  for (size_t k = parts.carries; k < node.inputs.size(); ++k) {
    const int operand = place_of(step.values[k]);
    const bool sliced = k < parts.carries + parts.inputs;
    arguments.push_back(sliced ? slices(operand, graph_.type(node.inputs[k])) : operand);
  }
  for (size_t k = parts.carries; k < node.types.size(); ++k)
    outputs.push_back(slices(place_of({step.control, static_cast<int32_t>(k)}), node.types[k]));
  const uint32_t first = asks ? run_region(*regions[0], arguments, {operands[1]}) : 0,
                 second = run_region(*regions.back(), arguments, outputs, carries);
  schedule_.step(loop).control.first = first;
  schedule_.step(loop).control.second = second;
  schedule_.leave();
}

void Block::emit_cond(const lower::Step& step) {
  const std::vector<const CompiledEntry*> regions = regions_of(step.control);
  const graph::Node& node = graph_.nodes()[static_cast<size_t>(step.control)];
  std::vector<int> arguments, results;
  for (size_t k = 1; k < node.inputs.size(); ++k) arguments.push_back(place_of(step.values[k]));
  for (size_t k = 0; k < node.types.size(); ++k) results.push_back(place_of({step.control, static_cast<int32_t>(k)}));
  execute::Step out = named(step);
  out.kind = execute::StepKind::cond;
  out.control = {0, 0, 0, 0, 0, execute::none, 0, 0};
  const size_t at = schedule_.add(out, {place_of(step.values[0])});
  const uint32_t first = run_region(*regions[0], arguments, results),
                 second = run_region(*regions[1], arguments, results);
  schedule_.step(at).control.first = first;
  schedule_.step(at).control.second = second;
}

}  // namespace gmc::package
