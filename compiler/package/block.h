// A graph of an entry, or of a region in it, as steps of a schedule.
#pragma once

#include "compiler/package/compile.h"
#include "compiler/package/schedule.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace gmc::package {

class Block {
public:
  // A value that is wanted in a place.
  struct Placement {
    graph::Value value;
    int memory;
  };
  // The new version of what `old`, an input, names: memory that holds the old one until it is replaced.
  struct Update {
    graph::Value old, value;
    int memory;
  };

  Block(PackageWriter& writer, Schedule& schedule, const CompiledEntry& entry)
      : writer_(writer), schedule_(schedule), entry_(entry), graph_(*entry.graph) {}

  // Appends the steps. `inputs`: where the graph's inputs are.
  void run(std::map<graph::Value, int> inputs, const std::vector<Placement>& outputs,
           const std::vector<Update>& updates);

private:
  int64_t bytes(graph::Value) const;
  bool is_kept(graph::Value) const;
  int place_of(graph::Value);
  void place_tables();
  void place_outputs(const std::vector<Placement>&);
  void place_updates(const std::vector<Update>&);
  void place_carries();
  struct Life {
    int writer = -1, last_reader = -1;  // steps
  };
  std::map<graph::Value, Life> lives() const;
  bool can_replace(const Update&, const Life& of_old, int writer, const std::vector<Update>&) const;
  bool ends_here(graph::Value, size_t step) const;
  bool only_reshapes(const lower::Step&) const;

  execute::Step named(const lower::Step&);
  void emit(const lower::Step&);
  void emit_kernel(const lower::Step&, const std::vector<int>& operands);
  // Constants.
  int numbers(const std::vector<int64_t>&);
  int numbers(codegen::Argument);
  void emit_routine(const lower::Step&, std::vector<int> operands);
  void emit_library(const lower::Step&, const std::vector<int>& operands);
  void emit_loop(const lower::Step&);
  void emit_cond(const lower::Step&);
  std::vector<const CompiledEntry*> regions_of(int32_t node) const;
  uint32_t run_region(const CompiledEntry&, const std::vector<int>& arguments, const std::vector<int>& outputs,
                      const std::vector<int>& carries = {});
  void reserve_scratch(int64_t bytes);

  PackageWriter& writer_;
  Schedule& schedule_;
  const CompiledEntry& entry_;
  const graph::Graph& graph_;
  std::map<graph::Value, int> places_, asides_;
  std::vector<Placement> early_copies_, late_copies_;
  std::vector<graph::Value> updated_;  // values that are written over old ones
  size_t next_kernel_ = 0;
};

}  // namespace gmc::package
