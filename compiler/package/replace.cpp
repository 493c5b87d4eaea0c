#include "compiler/package/replace.h"

#include "compiler/graph/core_loop.h"

#include <algorithm>

namespace gmc::package {

using graph::Value;
using kernel::Instruction;
using Kind = Instruction::Kind;

namespace {

// Whether one tile visits each element of the access, at one point or, along the columns of a row, in one pass.
bool visits_once(const kernel::Region& region, const kernel::Access& access) {
  for (size_t axis = 0; axis < region.extents.size(); ++axis) {
    if (access.strides[axis] != 0 || region.extents[axis] <= 1) continue;
    const bool one_pass = axis + 1 == region.extents.size() && region.tile_columns >= region.extents[axis];
    if (!one_pass || region.product) return false;
  }
  return true;
}

// Whether something along the columns waits for a whole row: the row is then passed over again.
bool passes_again(const kernel::Region& region) {
  const std::vector<kernel::Span> spans = kernel::spans_of(region);
  std::vector<bool> late;
  for (size_t i = 0; i < region.body.size(); ++i) {
    const Instruction& in = region.body[i];
    const bool waits = std::any_of(in.operands.begin(), in.operands.end(),
                                   [&](int operand) { return late[static_cast<size_t>(operand)]; });
    const bool along = in.kind == Kind::row ? spans[static_cast<size_t>(in.operands[0])] == kernel::Span::full
                                            : spans[i] == kernel::Span::full;
    const bool sink = in.kind == Kind::row || in.kind == Kind::fold || in.kind == Kind::store;
    if (sink && along && waits) return true;
    late.push_back(waits || in.kind == Kind::row);
  }
  return false;
}

bool carries(const graph::Graph& g, const lower::Step& step, Value old, Value result) {
  const graph::Node& node = g.nodes()[static_cast<size_t>(step.control)];
  if (node.op->category == graph::Category::cond || result.node != step.control) return false;
  const auto operands = step.values.begin() + static_cast<std::ptrdiff_t>(node.inputs.size());
  const auto k = static_cast<size_t>(result.result);
  return k < loop_parts(node).carries && step.values[k] == old && std::count(step.values.begin(), operands, old) == 1;
}

}  // namespace

bool reads_where_it_writes(const graph::Graph& g, const lower::Step& step, Value old, Value result) {
  if (step.control >= 0) return carries(g, step, old, result);
  if (!step.library.empty() || step.kernel.phases.empty()) return false;
  auto holds = [&](int parameter, Value v) { return step.values[static_cast<size_t>(parameter)] == v; };
  // Later phases combine partial results, and see neither.
  for (size_t p = 1; p < step.kernel.phases.size(); ++p)
    for (const kernel::Region& region : step.kernel.phases[p].regions)
      for (const Instruction& in : region.body)
        if (in.parameter >= 0 && (holds(in.parameter, old) || holds(in.parameter, result))) return false;
  for (const kernel::Region& region : step.kernel.phases[0].regions) {
    std::vector<kernel::Access> reads;
    const Instruction* write = nullptr;
    for (const Instruction& in : region.body) {
      if (in.kind == Kind::gather && holds(in.parameter, old)) return false;
      if (in.kind == Kind::load && holds(in.parameter, old)) {
        if (!in.guards.empty()) return false;
        reads.push_back(in.access);
      }
      if (in.kind == Kind::store && holds(in.parameter, result)) write = &in;
    }
    if (const auto& p = region.product; p && (holds(p->a, old) || holds(p->b, old))) return false;
    if (reads.empty()) continue;
    if (!write || passes_again(region) || !visits_once(region, write->access)) return false;
    for (kernel::Access& read : reads) {
      read.base -= write->access.base;
      const bool written = read.base >= 0 && read.base < std::ssize(write->operands);
      read.base = write->access.base;
      if (!written || !(read == write->access)) return false;
    }
  }
  return true;
}

}  // namespace gmc::package
