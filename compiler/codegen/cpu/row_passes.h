// How the body of a region is evaluated along a row: in passes over its columns.
#pragma once

#include "compiler/kernel/kernel.h"

#include <set>
#include <utility>
#include <vector>

namespace gmc::codegen {

struct RowPasses {
  explicit RowPasses(const kernel::Region&);

  // What a pass over the columns is made for, and which pass.
  bool is_sink(int instruction) const;
  int sink_level(int instruction) const;

  std::vector<kernel::Span> spans;
  std::vector<int> levels;  // the pass in which each value is first known: a `row` result after that of its operand
  int last_level = 0;
  std::set<int> saved;        // values along the columns that a later pass reads and that are dear: kept for the row
  int64_t saved_element = 0;  // bytes of the largest element of those

private:
  const kernel::Instruction& at(int i) const { return region_.body[static_cast<size_t>(i)]; }
  int size() const { return static_cast<int>(region_.body.size()); }
  int recompute_cost(int i, int below) const;
  void mark_saved(int i, int level);

  const kernel::Region& region_;
  std::set<std::pair<int, int>> marked_;  // instructions, and passes for which what they need is saved
};

}  // namespace gmc::codegen
