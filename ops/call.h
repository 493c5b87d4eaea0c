// What the functions on Tensor share. Internal.
#pragma once

#include "compiler/dsl/capture.h"
#include "compiler/graph/core_ops.h"
#include "ops/ops.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <utility>

namespace gmc::ops {

using dsl::Call;

inline Tensor unary(const graph::OpDef& op, At x, graph::Attributes attributes = {}) {
  const Call call(op.name, {x});
  return call.result(graph::apply(op, {call[0]}, std::move(attributes)));
}

inline Tensor binary(const graph::OpDef& op, At a, At b, graph::Attributes attributes = {}) {
  const Call call(op.name, {a, b});
  return call.result(graph::apply_elementwise(op, {call[0], call[1]}, std::move(attributes)));
}

// An op on its operands as they are.
inline Tensor call_op(const graph::OpDef& op, std::initializer_list<At> operands, graph::Attributes attributes = {}) {
  const Call call(op.name, operands);
  std::vector<graph::Var> x;
  for (size_t i = 0; i < operands.size(); ++i) x.push_back(call[i]);
  return call.result(graph::apply(op, std::move(x), std::move(attributes)));
}

// Where a value without operands is made: its entry, with the location set. Throws `Error` outside an entry.
inline const std::shared_ptr<graph::Graph>& entry_at(const std::string& name, const std::source_location& where) {
  const graph::Location at = dsl::place_of(where);
  const std::shared_ptr<graph::Graph>& g = dsl::current(name, at).graph();
  g->context.location = at;
  return g;
}

inline int64_t rank_of(const graph::Var& x) { return std::ssize(x.shape()); }

inline int64_t axis_of(const Call& call, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) call.fail(fmt::format("axis {} is out of range for {} dimensions", axis, rank));
  return axis < 0 ? axis + rank : axis;
}

// Sorted, not negative; all if `axes` is empty.
inline Axes axes_of(const Call& call, const Axes& axes, const Shape& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  Axes out;
  for (int64_t axis : axes) out.push_back(axis_of(call, axis, rank));
  if (axes.empty())
    for (int64_t d = 0; d < rank; ++d) out.push_back(d);
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end())
    call.fail(fmt::format("axes {} name a dimension twice", to_string(axes)));
  return out;
}

inline graph::Var keep_dims(graph::Var reduced, Shape shape, const Axes& axes, bool keep) {
  if (!keep) return reduced;
  for (int64_t axis : axes) shape[static_cast<size_t>(axis)] = 1;
  return graph::reshape(reduced, shape);
}

// An op with the attribute `axes`, which it reduces over.
inline Tensor reduced_by(const graph::OpDef& op, At x, const Axes& axes, bool keep, graph::Attributes attributes = {}) {
  const Call call(op.name, {x});
  const Shape shape = call[0].shape();
  const Axes over = axes_of(call, axes, shape);
  attributes["axes"] = over;
  return call.result(keep_dims(graph::apply(op, {call[0]}, std::move(attributes)), shape, over, keep));
}

// An op with the attribute `axis`.
inline Tensor along(const graph::OpDef& op, At x, int64_t axis) {
  const Call call(op.name, {x});
  return call.result(graph::apply(op, {call[0]}, {{"axis", axis_of(call, axis, rank_of(call[0]))}}));
}

}  // namespace gmc::ops
