#include "compiler/fusion/legality.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace gmc::fusion {
namespace {

constexpr int unknown = -2;

class Binder {
public:
  Binder(const View& view, const std::vector<int>& ops, const std::vector<bool>& stored)
      : view_(view), ops_(ops), stored_(stored) {
    for (size_t i = 0; i < ops.size(); ++i) positions_.emplace_back(ops[i], i);
    std::sort(positions_.begin(), positions_.end());
  }

  std::variant<Binding, Refusal> run() {
    if (ops_.size() > max_region_ops) return Refusal{"L9", fmt::format("{} ops", ops_.size())};
    // Nothing tells the axes of spaces without elements apart.
    for (size_t i = 0; i < ops_.size() && ops_.size() > 1; ++i)
      if (element_count(op(i).index_space) == 0)
        return Refusal{"L2", fmt::format("{} over {} has no elements", name(i), to_string(op(i).index_space))};
    if (!choose_domain()) return refusal_;
    propagate();
    if (!check_alignment() || !check_product() || !check_reductions() || !check_stores() || !check_buffers())
      return refusal_;
    return binding_;
  }

private:
  const Op& op(size_t i) const { return view_.ops()[static_cast<size_t>(ops_[i])]; }
  const std::string& name(size_t i) const { return view_.node(ops_[i]).name; }
  std::vector<int>& axes(size_t i) { return binding_.axes[i]; }
  // Of the op that computes it, in the region.
  std::optional<size_t> position(graph::Value v) const {
    const int op = view_.op_of(v);
    const auto at = std::lower_bound(positions_.begin(), positions_.end(), std::pair(op, size_t{0}));
    if (at == positions_.end() || at->first != op) return std::nullopt;
    return at->second;
  }
  bool refuse(const char* rule, std::string witness) {
    refusal_ = {rule, std::move(witness)};
    return false;
  }

  bool choose_domain() {
    size_t anchor = 0;
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (op(i).category == Category::matmul) {
        if (binding_.product >= 0)
          return refuse("L7",
                        fmt::format("two products: {} and {}", name(static_cast<size_t>(binding_.product)), name(i)));
        binding_.product = static_cast<int>(i);
      }
      if (element_count(op(i).index_space) > element_count(op(anchor).index_space)) anchor = i;
    }
    if (binding_.product >= 0) anchor = static_cast<size_t>(binding_.product);
    binding_.domain = op(anchor).index_space;
    if (binding_.domain.empty()) binding_.domain = {1};
    for (size_t i = 0; i < ops_.size(); ++i) {
      binding_.axes.emplace_back(op(i).index_space.size(), unknown);
      for (size_t d = 0; d < op(i).index_space.size(); ++d)
        if (op(i).index_space[d] == 1) axes(i)[d] = -1;
    }
    bind_identity(anchor);
    return true;
  }

  void bind_identity(size_t i) {
    for (size_t d = 0; d < axes(i).size(); ++d)
      if (axes(i)[d] == unknown) axes(i)[d] = static_cast<int>(d);
  }

  // Spreads bindings along the edges of the region until nothing changes; then binds what is left by its shape.
  void propagate() {
    const std::vector<Edge> edges = find_edges();
    while (true) {
      while (sweep(edges)) {
      }
      size_t left = ops_.size();
      for (size_t i = 0; i < ops_.size() && left == ops_.size(); ++i)
        if (std::count(axes(i).begin(), axes(i).end(), unknown) > 0) left = i;
      if (left == ops_.size() || !bind_by_shape(left)) return;
    }
  }

  // A dimension of an op and one of its reader that are one axis.
  using Edge = std::pair<int*, int*>;
  std::vector<Edge> find_edges() {
    std::vector<Edge> edges;
    for (size_t c = 0; c < ops_.size(); ++c) {
      if (op(c).category == Category::matmul) continue;
      for (const Access& a : op(c).operands) {
        const auto p = position(a.source);
        if (!p || !a.aligned) continue;
        const std::vector<int>& kept = op(*p).kept;
        for (size_t j = 0; j < a.dims.size(); ++j)
          if (a.dims[j] >= 0)
            edges.emplace_back(&axes(*p)[static_cast<size_t>(kept[j])], &axes(c)[static_cast<size_t>(a.dims[j])]);
      }
    }
    return edges;
  }

  static bool sweep(const std::vector<Edge>& edges) {
    bool changed = false;
    for (const auto& [a, b] : edges) {
      if (*a == *b || (*a != unknown && *b != unknown)) continue;
      (*a == unknown ? *a : *b) = *a == unknown ? *b : *a;
      changed = true;
    }
    return changed;
  }

  // Unknown dimensions take, in order, axes of their extent that the op does not use yet; all of them or none.
  bool bind_by_shape(size_t i) {
    std::vector<int> bound = axes(i);
    const Shape& space = op(i).index_space;
    auto axis = static_cast<int>(binding_.domain.size()) - 1;
    for (size_t d = space.size(); d-- > 0;) {
      if (bound[d] != unknown) continue;
      while (axis >= 0 && (binding_.domain[static_cast<size_t>(axis)] != space[d] ||
                           std::count(bound.begin(), bound.end(), axis) > 0))
        --axis;
      if (axis < 0) return false;
      bound[d] = axis--;
    }
    std::copy(bound.begin(), bound.end(), axes(i).begin());  // edges point there
    return true;
  }

  bool check_alignment() {
    std::vector<bool> used;
    for (size_t i = 0; i < ops_.size(); ++i) {
      used.assign(binding_.domain.size(), false);
      for (size_t d = 0; d < axes(i).size(); ++d) {
        const int axis = axes(i)[d];
        if (axis == -1) continue;
        if (axis == unknown || axis >= static_cast<int>(binding_.domain.size()) ||
            binding_.domain[static_cast<size_t>(axis)] != op(i).index_space[d] || used[static_cast<size_t>(axis)])
          return refuse("L2", fmt::format("{} over {} does not lie in {}", name(i), to_string(op(i).index_space),
                                          to_string(binding_.domain)));
        used[static_cast<size_t>(axis)] = true;
      }
    }
    for (size_t c = 0; c < ops_.size(); ++c)
      for (const Access& a : op(c).operands) {
        const auto p = position(a.source);
        if (!p) continue;
        if (op(c).category == Category::matmul)
          return refuse("L7", fmt::format("{} feeds the product {}", name(*p), name(c)));
        if (!a.aligned) return refuse("L2", fmt::format("{} reads {} at another point", name(c), name(*p)));
        const std::vector<int>& kept = op(*p).kept;
        for (size_t j = 0; j < a.dims.size(); ++j) {
          const int from = axes(*p)[static_cast<size_t>(kept[j])];
          const int at = a.dims[j] < 0 ? -1 : axes(c)[static_cast<size_t>(a.dims[j])];
          if (from != at) return refuse("L2", fmt::format("{} reads {} along another axis", name(c), name(*p)));
        }
      }
    return true;
  }

  bool check_product() {
    if (binding_.product < 0) return true;
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (static_cast<int>(i) == binding_.product) continue;
      if (op(i).category == Category::reduce)
        return refuse("L7", fmt::format("the reduction {} over the product {}", name(i),
                                        name(static_cast<size_t>(binding_.product))));
    }
    return true;
  }

  bool check_reductions() {
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (op(i).category != Category::reduce) continue;
      const auto columns = static_cast<int>(binding_.domain.size()) - 1;
      std::set<int> reduced;
      for (int64_t d : view_.node(ops_[i]).integers("axes"))
        if (const int axis = axes(i)[static_cast<size_t>(d)]; axis >= 0) reduced.insert(axis);
      bool all_rows = true, no_rows = true;
      for (int axis = 0; axis < columns; ++axis) {
        if (binding_.domain[static_cast<size_t>(axis)] == 1) continue;
        (reduced.count(axis) ? no_rows : all_rows) = false;
      }
      if (!no_rows && !all_rows)
        return refuse("L4", fmt::format("{} reduces some of the row axes of {}", name(i), to_string(binding_.domain)));
      const bool is_row = no_rows && reduced.count(columns);
      if (is_row || reduced.empty()) continue;
      for (size_t c = 0; c < ops_.size(); ++c)
        for (const Access& a : op(c).operands)
          if (view_.op_of(a.source) == ops_[i])
            return refuse("L4",
                          fmt::format("{} reads {}, which is complete only after the last row", name(c), name(i)));
    }
    return true;
  }

  bool check_stores() {
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (!stored_[i] || op(i).category == Category::reduce) {
        if (!stored_[i] || reduction_kind(view_, binding_, ops_, i) != ReductionKind::row) continue;
      }
      const std::vector<int> result = result_axes(view_, ops_[i], axes(i));
      const int columns = static_cast<int>(binding_.domain.size()) - 1;
      for (int axis = 0; axis <= columns; ++axis) {
        if (binding_.domain[static_cast<size_t>(axis)] == 1 || std::count(result.begin(), result.end(), axis) > 0)
          continue;
        // A row value of a plain region is written once a row; in a product every element is visited.
        if (axis == columns && binding_.product < 0) continue;
        return refuse("L5", fmt::format("{} {} would be written once for every index of axis {} of {}", name(i),
                                        to_string(view_.type(ops_[i]).shape), axis, to_string(binding_.domain)));
      }
    }
    return true;
  }

  bool check_buffers() {
    std::vector<graph::Value> buffers;
    for (size_t i = 0; i < ops_.size(); ++i) {
      if (stored_[i]) buffers.push_back({op(i).node, 0});
      for (const Access& a : op(i).operands)
        if (!position(a.source) && !view_.is_free(a.source)) buffers.push_back(a.source);
    }
    std::sort(buffers.begin(), buffers.end());
    buffers.erase(std::unique(buffers.begin(), buffers.end()), buffers.end());
    return buffers.size() <= max_buffers || refuse("L9", fmt::format("{} buffers", buffers.size()));
  }

  const View& view_;
  const std::vector<int>& ops_;
  const std::vector<bool>& stored_;
  std::vector<std::pair<int, size_t>> positions_;  // of the ops, by their numbers
  Binding binding_;
  Refusal refusal_;
};

}  // namespace

std::vector<int> result_axes(const View& view, int op, const std::vector<int>& index_axes) {
  const Op& o = view.ops()[static_cast<size_t>(op)];
  if (o.category != Category::reduce) return index_axes;
  std::vector<int> out;
  for (int d : o.kept) out.push_back(index_axes[static_cast<size_t>(d)]);
  return out;
}

ReductionKind reduction_kind(const View& view, const Binding& binding, const std::vector<int>& ops, size_t position) {
  const auto columns = static_cast<int>(binding.domain.size()) - 1;
  bool over_columns = false, over_rows = false;
  for (int64_t d : view.node(ops[position]).integers("axes")) {
    const int axis = binding.axes[position][static_cast<size_t>(d)];
    if (axis == columns) over_columns = true;
    if (axis >= 0 && axis < columns) over_rows = true;
  }
  if (!over_rows) return ReductionKind::row;
  return over_columns ? ReductionKind::all : ReductionKind::rows;
}

std::vector<bool> stored_ops(const View& view, const std::vector<int>& ops) {
  std::vector<bool> stored;
  for (int op : ops) {
    bool outside = view.leaves(op);
    for (int reader : view.readers(op)) outside |= !std::binary_search(ops.begin(), ops.end(), reader);
    stored.push_back(outside);
  }
  return stored;
}

std::variant<Binding, Refusal> bind_region(const View& view, const std::vector<int>& ops,
                                           const std::vector<bool>& stored) {
  return Binder(view, ops, stored).run();
}

}  // namespace gmc::fusion
