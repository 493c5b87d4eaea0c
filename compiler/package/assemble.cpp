#include "compiler/package/assemble.h"

#include "compiler/package/memory.h"
#include "compiler/package/table.h"
#include "compiler/package/write.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <algorithm>
#include <map>
#include <set>

namespace gmc::package {
namespace {

using execute::Space;
using graph::Category;
using graph::Value;
using kernel::Instruction;
using Kind = Instruction::Kind;

// Work below this many additions takes less time than waking a second thread: about 20 us.
constexpr double serial_work = 40000;
constexpr int64_t library_rows_per_tile = 32;

class EntryAssembler {
public:
  EntryAssembler(const Source& source, const CompiledEntry& entry, const std::vector<lower::Step>& steps,
                 const std::map<std::string, codegen::KernelCode>& code, const std::map<std::string, uint32_t>& states,
                 PackageWriter& writer)
      : source_(source), entry_(entry), graph_(*entry.graph), steps_(steps), code_(code), states_(states),
        writer_(writer) {}

  // Returns the bytes of the arena.
  int64_t run() {
    execute::Entry entry{};
    entry.name = writer_.add_string(graph_.entry());
    declare_inputs(entry);
    declare_outputs(entry);
    declare_tables();
    entry.first_step = writer_.step_count();
    place_results();
    copies_of_inputs();
    const int64_t arena = plan_arena();
    emit_steps();
    for (const auto& [from, to] : late_copies_) copy(buffer_of(from), to);
    entry.step_count = writer_.step_count() - entry.first_step;
    writer_.add_entry(entry);
    return arena;
  }

private:
  uint32_t buffer(Space space, uint64_t offset, int64_t bytes) {
    execute::Buffer b{};
    b.space = space;
    b.offset = offset;
    b.bytes = static_cast<uint64_t>(bytes);
    return writer_.add_buffer(b);
  }
  int64_t bytes(Value v) const { return byte_size(graph_.type(v).dtype, graph_.type(v).shape); }
  uint32_t state_buffer(const std::string& name) {
    auto it = states_.find(name);
    if (it == states_.end()) fail("entry '{}' names state '{}', which the program does not have", graph_.entry(), name);
    auto [slot, inserted] = state_buffers_.try_emplace(it->second, 0);
    if (inserted) {
      const graph::TensorType& type = source_.states[it->second].type;
      slot->second = buffer(Space::state, writer_.state_offset(it->second), byte_size(type.dtype, type.shape));
    }
    return slot->second;
  }

  void declare_inputs(execute::Entry& entry) {
    bool first = true;
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      const graph::Node& n = graph_.nodes()[i];
      if (n.op->category != Category::input) continue;
      const Value v{static_cast<int32_t>(i), 0};
      if (n.text("role") == "state") {
        buffers_[v] = state_buffer(n.text("name"));
        continue;
      }
      const uint32_t at =
          writer_.add_tensor(n.text("name"), n.types[0], n.text("role") == "draw" ? uint32_t{execute::input_draw} : 0);
      if (first) entry.first_input = at;
      first = false;
      buffers_[v] = buffer(Space::input, entry.input_count++, bytes(v));
    }
  }

  void declare_outputs(execute::Entry& entry) {
    bool first = true;
    for (const graph::Output& o : graph_.outputs()) {
      if (o.is_state) continue;
      const uint32_t at = writer_.add_tensor(o.name, graph_.type(o.value), 0);
      if (first) entry.first_output = at;
      first = false;
      outputs_.push_back({o.value, buffer(Space::output, entry.output_count++, bytes(o.value))});
    }
  }

  void declare_tables() {
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      const graph::Node& n = graph_.nodes()[i];
      if (n.op->category == Category::literal)
        buffers_[{static_cast<int32_t>(i), 0}] = writer_.add_constant(bytes_of(n.types[0].dtype, n.numbers("values")));
    }
  }

  // Results that leave the entry are computed where they are wanted; a second use of the same value is a copy.
  void place_results() {
    for (const auto& [value, at] : outputs_) {
      if (buffers_.count(value)) {
        if (is_input(value) || is_table(value))
          early_copies_.push_back({value, at});
        else
          late_copies_.push_back({value, at});
        continue;
      }
      buffers_[value] = at;
    }
    for (const graph::Output& o : graph_.outputs()) {
      if (!o.is_state) continue;
      const uint32_t at = state_buffer(o.name);
      const Value old = graph_.find_input(o.name);
      if (o.value == old) continue;
      if (!buffers_.count(o.value) && can_replace(old, o.value))
        buffers_[o.value] = at;
      else
        late_copies_.push_back({o.value, at});
    }
    // An old state that becomes another state's new value is copied aside before it changes.
    std::set<Value> sources;
    for (const auto& [from, to] : late_copies_)
      if (is_input(from) && sources.insert(from).second) asides_.push_back({from, bytes(from)});
  }
  bool is_table(Value v) const { return graph_.node(v).op->category == Category::literal; }
  bool is_input(Value v) const { return graph_.node(v).op->category == Category::input; }

  // Whether `result` may be written over the old value of its state: nobody reads the old value afterwards, and the
  // kernel that writes it reads each old element only where it writes it.
  bool can_replace(Value old, Value result) const {
    int writer = -1, last_reader = -1;
    for (size_t s = 0; s < steps_.size(); ++s)
      for (size_t p = 0; p < steps_[s].values.size(); ++p) {
        if (!steps_[s].values[p].valid()) continue;
        const bool writes = steps_[s].kernel.parameters[p].mode == kernel::Parameter::Mode::out;
        if (writes && steps_[s].values[p] == result) writer = static_cast<int>(s);
        if (!writes && old.valid() && steps_[s].values[p] == old) last_reader = static_cast<int>(s);
      }
    if (writer < 0 || last_reader > writer) return false;
    for (const auto& [from, to] : early_copies_)
      if (from == old) return false;
    for (const graph::Output& o : graph_.outputs())
      if (o.is_state && o.value == old) return false;
    return last_reader < writer || reads_where_it_writes(steps_[static_cast<size_t>(writer)], old, result);
  }

  static bool reads_where_it_writes(const lower::Step& step, Value old, Value result) {
    if (!step.library.empty() || step.kernel.phases.size() != 1) return false;
    auto holds = [&](int parameter, Value v) { return step.values[static_cast<size_t>(parameter)] == v; };
    for (const kernel::Region& region : step.kernel.phases[0].regions) {
      bool reads = false, writes = false, passes = false;
      const kernel::Access *read = nullptr, *write = nullptr;
      for (const Instruction& in : region.body) {
        if (in.kind == Kind::row || in.kind == Kind::fold) passes = true;
        if (in.kind == Kind::gather && holds(in.parameter, old)) return false;
        if (in.kind == Kind::load && holds(in.parameter, old)) {
          if (!in.guards.empty() || (read && !(*read == in.access))) return false;
          read = &in.access;
          reads = true;
        }
        if (in.kind == Kind::store && holds(in.parameter, result)) {
          write = &in.access;
          writes = true;
        }
      }
      if (const auto& p = region.product; p && (holds(p->a, old) || holds(p->b, old))) return false;
      if (!reads) continue;
      if (!writes || passes || !(*read == *write) || !visits_once(region, *write)) return false;
    }
    return true;
  }

  // Whether one tile visits each element of the access, at one point or, along the columns of a row, in one pass.
  static bool visits_once(const kernel::Region& region, const kernel::Access& access) {
    for (size_t axis = 0; axis < region.extents.size(); ++axis) {
      if (access.strides[axis] != 0 || region.extents[axis] <= 1) continue;
      const bool one_pass = axis + 1 == region.extents.size() && region.tile_columns >= region.extents[axis];
      if (!one_pass || region.product) return false;
    }
    return true;
  }

  void copies_of_inputs() {
    for (const auto& [value, at] : early_copies_) copy(buffers_.at(value), at);
  }

  int64_t plan_arena() {
    std::map<Value, size_t> index;
    std::vector<Interval> intervals;
    const int end = static_cast<int>(steps_.size());
    for (size_t s = 0; s < steps_.size(); ++s)
      for (size_t p = 0; p < steps_[s].values.size(); ++p) {
        const Value v = steps_[s].values[p];
        const int now = static_cast<int>(s);
        if (!v.valid()) {
          temporaries_[{now, static_cast<int>(p)}] = intervals.size();
          const kernel::Parameter& parameter = steps_[s].kernel.parameters[p];
          intervals.push_back({byte_size(parameter.dtype, {parameter.elements}), now, now});
        } else if (!buffers_.count(v)) {
          auto [it, inserted] = index.try_emplace(v, intervals.size());
          if (inserted) intervals.push_back({bytes(v), now, now});
          intervals[it->second].last = now;
        }
      }
    for (const auto& [from, to] : late_copies_)
      if (auto it = index.find(from); it != index.end()) intervals[it->second].last = end;
    const size_t first_aside = intervals.size();
    for (const auto& [v, size] : asides_) intervals.push_back({size, 0, end});
    const int64_t total = plan_memory(intervals);
    std::vector<uint32_t> ids;
    for (const Interval& i : intervals) ids.push_back(buffer(Space::arena, static_cast<uint64_t>(i.offset), i.bytes));
    for (const auto& [v, i] : index) buffers_[v] = ids[i];
    for (auto& [at, i] : temporaries_) i = ids[i];
    for (size_t i = 0; i < asides_.size(); ++i) {
      copy(buffers_.at(asides_[i].first), ids[first_aside + i]);
      aside_of_[asides_[i].first] = ids[first_aside + i];
    }
    return total;
  }

  uint32_t buffer_of(Value v) const {
    if (auto it = aside_of_.find(v); it != aside_of_.end()) return it->second;
    return buffers_.at(v);
  }

  void copy(uint32_t from, uint32_t to) {
    execute::Step step{};
    step.kind = execute::StepKind::copy;
    step.name = writer_.add_string("copy");
    step.serial = 1;
    writer_.add_step(step, {from, to});
  }

  void emit_steps() {
    size_t next = 0;
    for (size_t s = 0; s < steps_.size(); ++s) {
      const lower::Step& step = steps_[s];
      std::vector<uint32_t> operands;
      for (size_t p = 0; p < step.values.size(); ++p) {
        auto temporary = temporaries_.find({static_cast<int>(s), static_cast<int>(p)});
        operands.push_back(temporary != temporaries_.end() ? static_cast<uint32_t>(temporary->second)
                                                           : buffers_.at(step.values[p]));
      }
      execute::Step out{};
      out.name = writer_.add_string(step.kernel.name);
      out.serial = step.work < serial_work ? 1 : 0;
      if (step.routine.symbol) {
        emit_routine(step.routine, out, operands);
        continue;
      }
      if (!step.library.empty()) {
        emit_library(step, out, operands);
        continue;
      }
      const codegen::KernelCode& code = code_.at(entry_.kernels[next++].symbol);
      for (const codegen::Phase& phase : code.phases) {
        if (phase.tiles == 0) continue;
        out.kind = execute::StepKind::launch;
        out.function = writer_.add_function(phase.symbol);
        out.tiles = static_cast<uint64_t>(phase.tiles);
        writer_.add_step(out, operands);
      }
      reserve_scratch(code.scratch_bytes);
    }
  }
  void reserve_scratch(int64_t bytes) {
    writer_.header.scratch_bytes =
        std::max(writer_.header.scratch_bytes, static_cast<uint64_t>((bytes + 63) / 64 * 64));
  }

  void emit_routine(const graph::Routine& routine, execute::Step out, std::vector<uint32_t> operands) {
    if (routine.tiles == 0) return;
    const auto* parameters = reinterpret_cast<const char*>(routine.parameters.data());
    operands.insert(operands.begin(), writer_.add_constant({parameters, routine.parameters.size() * sizeof(int64_t)}));
    out.kind = execute::StepKind::launch;
    out.function = writer_.add_function(routine.symbol);
    out.tiles = static_cast<uint64_t>(routine.tiles);
    writer_.add_step(out, operands);
    reserve_scratch(routine.scratch_bytes);
  }

  void emit_library(const lower::Step& step, execute::Step out, const std::vector<uint32_t>& operands) {
    out.kind = execute::StepKind::matmul;
    const lower::LibraryProduct& p = step.product;
    const int64_t rows = std::min(p.m, library_rows_per_tile);
    out.matmul = {p.m, p.n, p.k,
                  (p.transpose_a ? uint32_t{execute::matmul_transpose_a} : 0) |
                      (p.transpose_b ? uint32_t{execute::matmul_transpose_b} : 0),
                  static_cast<uint32_t>(rows)};
    out.tiles = static_cast<uint64_t>((p.m + rows - 1) / rows);
    writer_.add_step(out, operands);
  }

  const Source& source_;
  const CompiledEntry& entry_;
  const graph::Graph& graph_;
  const std::vector<lower::Step>& steps_;
  const std::map<std::string, codegen::KernelCode>& code_;
  const std::map<std::string, uint32_t>& states_;
  PackageWriter& writer_;
  std::map<Value, uint32_t> buffers_, aside_of_;
  std::map<uint32_t, uint32_t> state_buffers_;
  std::vector<std::pair<Value, uint32_t>> outputs_, early_copies_, late_copies_;
  std::vector<std::pair<Value, int64_t>> asides_;
  std::map<std::pair<int, int>, size_t> temporaries_;  // (step, parameter) -> interval, then buffer
};

}  // namespace

void assemble(const Source& source, const std::vector<std::vector<lower::Step>>& steps,
              const std::map<std::string, codegen::KernelCode>& code, Compiled& out) {
  PackageWriter writer;
  writer.header.name = writer.add_string(source.name);
  writer.header.config = writer.add_string(source.config);
  writer.header.isa = out.target.isa;
  std::map<std::string, uint32_t> states;
  for (const StateSource& s : source.states)
    states[s.name] = writer.add_state(s.name, s.type,
                                      (s.is_parameter ? uint32_t{execute::state_parameter} : 0) |
                                          (s.is_training ? uint32_t{execute::state_training} : 0));
  std::string plans;
  for (size_t e = 0; e < out.entries.size(); ++e) {
    CompiledEntry& entry = out.entries[e];
    entry.arena_bytes = EntryAssembler(source, entry, steps[e], code, states, writer).run();
    writer.header.arena_bytes = std::max(writer.header.arena_bytes, static_cast<uint64_t>(entry.arena_bytes));
    plans += entry.plan.graph;
    for (const fusion::PlanKernel& k : entry.plan.kernels) {
      plans += "|" + k.library;
      for (const auto& region : k.regions) {
        plans += ';';
        for (int op : region) plans += entry.view->node(op).name + ",";
      }
    }
  }
  writer.header.plan_hash = execute::stream_of(plans.c_str());
  out.package = writer.finish();
  out.functions = writer.functions();
}

}  // namespace gmc::package
