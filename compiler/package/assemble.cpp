#include "compiler/package/assemble.h"

#include "compiler/package/block.h"
#include "compiler/package/write.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <algorithm>
#include <map>

namespace gmc::package {
namespace {

using execute::Space;
using graph::Category;
using graph::Value;

// The interface of an entry: where its inputs, outputs and states are.
class EntryAssembler {
public:
  EntryAssembler(const Source& source, const CompiledEntry& entry, const std::map<std::string, uint32_t>& states,
                 PackageWriter& writer)
      : source_(source), entry_(entry), graph_(*entry.graph), states_(states), writer_(writer), schedule_(writer) {}

  // Returns the bytes of the arena.
  int64_t run() {
    execute::Entry entry{};
    entry.name = writer_.add_string(graph_.entry());
    declare_inputs(entry);
    declare_outputs(entry);
    for (const graph::Output& o : graph_.outputs())
      if (o.is_state) updates_.push_back({old_version(o.name), o.value, state(o.name)});
    entry.first_step = writer_.step_count();
    Block(writer_, schedule_, entry_).run(inputs_, outputs_, updates_);
    const int64_t arena = schedule_.write();
    entry.step_count = writer_.step_count() - entry.first_step;
    writer_.add_entry(entry);
    return arena;
  }

private:
  int64_t bytes(Value v) const { return byte_size(graph_.type(v).dtype, graph_.type(v).shape); }
  int state(const std::string& name) {
    auto it = states_.find(name);
    if (it == states_.end()) fail("entry '{}' names state '{}', which the program does not have", graph_.entry(), name);
    auto [slot, inserted] = state_memory_.try_emplace(it->second, 0);
    if (inserted) {
      const graph::TensorType& type = source_.states[it->second].type;
      slot->second = schedule_.given(Space::state, writer_.state_offset(it->second), byte_size(type.dtype, type.shape));
    }
    return slot->second;
  }

  // The input that a state comes in by; not valid if the entry does not read it.
  Value old_version(const std::string& state) const {
    const auto it = old_versions_.find(state);
    return it == old_versions_.end() ? Value{} : it->second;
  }

  void declare_inputs(execute::Entry& entry) {
    bool first = true;
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      const graph::Node& n = graph_.nodes()[i];
      if (n.op->category != Category::input) continue;
      const Value v{static_cast<int32_t>(i), 0};
      if (n.text("role") == "state") {
        inputs_[v] = state(n.text("name"));
        old_versions_[n.text("name")] = v;
        continue;
      }
      const uint32_t at =
          writer_.add_tensor(n.text("name"), n.types[0], n.text("role") == "draw" ? uint32_t{execute::input_draw} : 0);
      if (first) entry.first_input = at;
      first = false;
      inputs_[v] = schedule_.given(Space::input, entry.input_count++, bytes(v));
    }
  }

  void declare_outputs(execute::Entry& entry) {
    bool first = true;
    for (const graph::Output& o : graph_.outputs()) {
      if (o.is_state) continue;
      const uint32_t at = writer_.add_tensor(o.name, graph_.type(o.value), 0);
      if (first) entry.first_output = at;
      first = false;
      outputs_.push_back({o.value, schedule_.given(Space::output, entry.output_count++, bytes(o.value))});
    }
  }

  const Source& source_;
  const CompiledEntry& entry_;
  const graph::Graph& graph_;
  const std::map<std::string, uint32_t>& states_;
  PackageWriter& writer_;
  Schedule schedule_;
  std::map<Value, int> inputs_;
  std::map<std::string, Value> old_versions_;
  std::map<uint32_t, int> state_memory_;
  std::vector<Block::Placement> outputs_;
  std::vector<Block::Update> updates_;
};

// Every plan as text: what the plan's hash is of.
void describe(const CompiledEntry& entry, std::string& plans) {
  plans += entry.plan.graph;
  for (const fusion::PlanKernel& k : entry.plan.kernels) {
    plans += "|" + k.library;
    for (const auto& region : k.regions) {
      plans += ';';
      for (int op : region) plans += entry.view->node(op).name + ",";
    }
  }
  for (const CompiledEntry& region : entry.regions) describe(region, plans);
}

}  // namespace

void assemble(const Source& source, Compiled& out) {
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
  for (CompiledEntry& entry : out.entries) {
    entry.arena_bytes = EntryAssembler(source, entry, states, writer).run();
    writer.header.arena_bytes = std::max(writer.header.arena_bytes, static_cast<uint64_t>(entry.arena_bytes));
    describe(entry, plans);
  }
  writer.header.plan_hash = execute::stream_of(plans.c_str());
  out.package = writer.finish();
  out.functions = writer.functions();
}

}  // namespace gmc::package
