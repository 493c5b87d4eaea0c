#include "compiler/codegen/cpu/row_passes.h"

#include <algorithm>

namespace gmc::codegen {

using kernel::Instruction;
using kernel::Span;
using Kind = Instruction::Kind;

namespace {

// A value along the columns that a later pass over the same row needs is computed again if that is cheaper than keeping
// the row: at most this many additions.
constexpr int recompute_limit = 3;

}  // namespace

RowPasses::RowPasses(const kernel::Region& region) : spans(kernel::spans_of(region)), region_(region) {
  for (const Instruction& in : region.body) {
    int level = 0;
    for (int operand : in.operands) level = std::max(level, levels[static_cast<size_t>(operand)]);
    if (in.kind == Kind::row) ++level;
    levels.push_back(level);
    last_level = std::max(last_level, level);
  }
  for (int i = 0; i < size(); ++i)
    if (is_sink(i))
      for (int operand : at(i).operands) mark_saved(operand, sink_level(i));
  for (int i : saved) saved_element = std::max(saved_element, static_cast<int64_t>(size_of(at(i).dtype)));
}

bool RowPasses::is_sink(int i) const {
  const Kind kind = at(i).kind;
  if (kind == Kind::row) return true;
  return (kind == Kind::store || kind == Kind::fold) && spans[static_cast<size_t>(i)] == Span::full;
}

int RowPasses::sink_level(int i) const {
  const int level = levels[static_cast<size_t>(i)];
  return at(i).kind == Kind::row ? level - 1 : level;
}

// In additions; what is dearer than the limit is not counted to its end, which would follow every path of the body.
int RowPasses::recompute_cost(int i, int below) const {
  const Instruction& in = at(i);
  if (spans[static_cast<size_t>(i)] != Span::full || levels[static_cast<size_t>(i)] > below) return 0;
  int cost = in.kind == Kind::compute  ? kernel::function_named(in.function)->cost
             : in.kind == Kind::random ? 60
             : in.kind == Kind::gather ? 8
                                       : 0;
  for (size_t k = 0; k < in.operands.size() && cost <= recompute_limit; ++k)
    cost += recompute_cost(in.operands[k], below);
  return cost;
}

void RowPasses::mark_saved(int i, int level) {
  if (spans[static_cast<size_t>(i)] != Span::full || at(i).kind == Kind::row || !marked_.insert({i, level}).second)
    return;
  const int own = levels[static_cast<size_t>(i)];
  if (own < level && at(i).dtype != DType::boolean && recompute_cost(i, own) > recompute_limit) {
    if (saved.insert(i).second) mark_saved(i, own);
    return;
  }
  for (int operand : at(i).operands) mark_saved(operand, level);
}

}  // namespace gmc::codegen
