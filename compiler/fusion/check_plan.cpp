// The independent checker. It shares no code with legality and policies: which element an op reads is found by walking
// index tuples through the movements of the graph, and the common iteration space of a region by joining the dimensions
// that such walks show to be the same.
#include "compiler/fusion/plan.h"
#include "compiler/fusion/reading.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <map>
#include <set>

namespace gmc::fusion {
namespace {

using graph::Node;

constexpr size_t most_ops = 256, most_buffers = 64;  // of a region: L9

class Checker {
public:
  Checker(const View& view, const Plan& plan)
      : view_(view), graph_(view.graph()), plan_(plan), places_(view.ops().size()), readings_(view.ops().size()),
        needed_(graph_.nodes().size()) {
    for (const graph::Output& o : graph_.outputs()) needed_[static_cast<size_t>(o.value.node)] = true;
  }

  void run() {
    find_places();
    for (size_t k = 0; k < plan_.kernels.size(); ++k) check_kernel(k);
    check_order();
  }

private:
  struct Place {
    size_t kernel = none, region = 0, position = 0;  // the last: in its region
    bool shares_region(const Place& other) const { return kernel == other.kernel && region == other.region; }
  };
  static constexpr size_t none = static_cast<size_t>(-1);
  // A region under examination: every dimension of every op with more than one index is a member of an axis.
  struct Space {
    const std::vector<int>& ops;
    std::vector<size_t> first;   // of the dimensions of each op
    std::vector<size_t> parent;  // of joined dimensions
    std::vector<int> axis;       // of their roots, -1 where it is not known
    Shape domain;
    size_t root(size_t d) const {
      while (parent[d] != d) d = parent[d];
      return d;
    }
  };

  const Node& node(int op) const { return view_.node(op); }
  Category category(int op) const { return node(op).op->category; }
  [[noreturn]] void refuse(size_t k, const char* rule, const std::string& witness) const {
    fail("plan of entry '{}', kernel '{}' breaks {}: {}", graph_.entry(), plan_.kernels[k].id, rule, witness);
  }
  [[noreturn]] void malformed(const std::string& what) const { fail("plan of entry '{}': {}", graph_.entry(), what); }

  const Shape& index_space(int op) const {
    return category(op) == Category::reduce ? graph_.type(node(op).inputs[0]).shape : view_.type(op).shape;
  }
  // Dimensions of the index space that the result has.
  std::vector<size_t> kept(int op) const {
    std::vector<size_t> out;
    for (size_t d = 0; d < index_space(op).size(); ++d)
      if (category(op) != Category::reduce || !reduces(op, d)) out.push_back(d);
    return out;
  }
  bool reduces(int op, size_t d) const {
    const Shape& axes = node(op).integers("axes");
    return std::count(axes.begin(), axes.end(), static_cast<int64_t>(d)) > 0;
  }

  void find_places() {
    std::set<std::string> ids;
    for (size_t k = 0; k < plan_.kernels.size(); ++k) {
      const PlanKernel& kernel = plan_.kernels[k];
      if (!ids.insert(kernel.id).second) malformed(fmt::format("two kernels are called '{}'", kernel.id));
      if (kernel.regions.empty()) malformed(fmt::format("kernel '{}' has no ops", kernel.id));
      for (size_t r = 0; r < kernel.regions.size(); ++r) {
        const std::vector<int>& ops = kernel.regions[r];
        if (ops.empty()) malformed(fmt::format("kernel '{}' has a region without ops", kernel.id));
        size_t position = 0;
        for (int op : ops) {
          if (op < 0 || static_cast<size_t>(op) >= view_.ops().size())
            malformed(fmt::format("kernel '{}' names op {} of {}", kernel.id, op, view_.ops().size()));
          Place& place = places_[static_cast<size_t>(op)];
          if (place.kernel != none)
            malformed(fmt::format("op '{}' is in kernel '{}' and again in kernel '{}'", node(op).name,
                                  plan_.kernels[place.kernel].id, kernel.id));
          place = {k, r, position++};
        }
        if (!std::is_sorted(ops.begin(), ops.end()))
          malformed(fmt::format("kernel '{}' lists its ops out of order", kernel.id));
      }
    }
    for (int op = 0; op < static_cast<int>(view_.ops().size()); ++op) {
      if (place(op).kernel == none) malformed(fmt::format("op '{}' is in no kernel", node(op).name));
      std::vector<Reading>& readings = readings_[static_cast<size_t>(op)];
      for (size_t i = 0; i < node(op).inputs.size(); ++i) {
        readings.push_back(read_operand(view_, op, i));
        const int source = view_.op_of(readings.back().source);
        if (source >= 0 && !place(source).shares_region(place(op)))
          needed_[static_cast<size_t>(node_of(source))] = true;
      }
    }
  }
  const Place& place(int op) const { return places_[static_cast<size_t>(op)]; }
  const std::vector<Reading>& readings(int op) const { return readings_[static_cast<size_t>(op)]; }
  int32_t node_of(int op) const { return view_.ops()[static_cast<size_t>(op)].node; }
  bool stored(int op) const { return needed_[static_cast<size_t>(node_of(op))]; }

  void check_kernel(size_t k) const {
    const PlanKernel& kernel = plan_.kernels[k];
    if (!kernel.library.empty()) return check_library(k);
    for (const std::vector<int>& ops : kernel.regions)
      for (int op : ops) {
        if (is_whole(category(op)))
          refuse(k, "L7 (call)",
                 fmt::format("{} is a call of the library '{}'", node(op).name, library_of(category(op))));
        if (category(op) == Category::matmul && kernel.regions.size() > 1)
          refuse(k, "L6 (side by side)", fmt::format("the product {} shares a launch", node(op).name));
        for (const Reading& r : readings(op)) {
          const int from = view_.op_of(r.source);
          if (from >= 0 && place(from).kernel == k && !place(from).shares_region(place(op)))
            refuse(k, "L6 (side by side)",
                   fmt::format("{} reads {} of another region", node(op).name, node(from).name));
        }
      }
    for (const std::vector<int>& ops : kernel.regions) check_region(k, ops);
  }

  void check_library(size_t k) const {
    const PlanKernel& kernel = plan_.kernels[k];
    if (kernel.library == runtime_library || kernel.library == control_library) return check_whole(k);
    if (kernel.library != "onednn")
      refuse(k, "L7 (library product)", fmt::format("unknown library '{}'", kernel.library));
    const int op = kernel.regions[0][0];
    if (kernel.regions.size() != 1 || kernel.regions[0].size() != 1 || category(op) != Category::matmul)
      refuse(k, "L7 (library product)",
             fmt::format("it must hold one matmul and nothing else, it has {}", node(op).name));
    if (view_.type(op).dtype != DType::f32 || view_.type(op).shape.size() != 2)
      refuse(k, "L7 (library product)",
             fmt::format("{} is {}, not a matrix of f32", node(op).name, to_string(view_.type(op))));
    for (const Reading& r : readings(op)) {
      const int64_t rows = r.space[0], columns = r.space[1];
      auto is = [&](int64_t down, int64_t right) {
        return r.affine && (rows == 1 || r.strides[0] == down) && (columns == 1 || r.strides[1] == right);
      };
      if (rows * columns > 0 && !is(columns, 1) && !is(1, rows))
        refuse(k, "L7 (library product)",
               fmt::format("{} reads {}, which is not dense", node(op).name, graph_.node(r.source).name));
    }
  }

  void check_whole(size_t k) const {
    const PlanKernel& kernel = plan_.kernels[k];
    const int op = kernel.regions[0][0];
    if (kernel.regions.size() != 1 || kernel.regions[0].size() != 1 || library_of(category(op)) != kernel.library)
      refuse(k, "L7 (call)", fmt::format("it must hold one call and nothing else, it has {}", node(op).name));
    for (const Reading& r : readings(op)) {
      const Shape steps = row_major_steps(r.space);
      bool dense = r.affine && (view_.op_of(r.source) >= 0 || graph_.node(r.source).op->category != Category::constant);
      for (size_t d = 0; d < r.space.size(); ++d) dense &= r.space[d] == 1 || r.strides[d] == steps[d];
      if (!dense && element_count(r.space) > 0)
        refuse(k, "L7 (call)",
               fmt::format("{} reads {}, which is not dense", node(op).name, graph_.node(r.source).name));
    }
  }

  void check_region(size_t k, const std::vector<int>& ops) const {
    Space s{ops, {}, {}, {}, {}};
    int product = -1;
    for (int op : ops) {
      s.first.push_back(s.parent.size());
      for (size_t d = index_space(op).size(); d > 0; --d) s.parent.push_back(s.parent.size());
      if (category(op) != Category::matmul) continue;
      if (product >= 0) refuse(k, "L7 (one product)", node(product).name + " and " + node(op).name);
      product = op;
    }
    for (int op : ops)
      if (product >= 0 && category(op) == Category::reduce)
        refuse(k, "L7 (one product)", fmt::format("the reduction {} beside {}", node(op).name, node(product).name));
    s.axis.assign(s.parent.size(), -1);
    for (int op : ops) join_operands(k, s, op);
    place_axes(k, s, product);
    for (int op : ops) {
      if (category(op) == Category::reduce) check_reduction(k, s, op);
      if (stored(op)) check_store(k, s, op, product >= 0);
    }
    check_size(k, ops);
  }

  // Where the dimensions of an op of the region begin.
  size_t first(const Space& s, int op) const { return s.first[place(op).position]; }

  // A value of the region is read at the point where it is computed: each of its dimensions is one of the reader's.
  void join_operands(size_t k, Space& s, int op) const {
    for (const Reading& r : readings(op)) {
      const int source = view_.op_of(r.source);
      if (source < 0 || !place(source).shares_region(place(op))) continue;
      const std::string& who = node(op).name;
      if (category(op) == Category::matmul)
        refuse(k, "L7 (one product)", fmt::format("{} feeds {}", node(source).name, who));
      const Shape &shape = view_.type(source).shape, steps = row_major_steps(shape);
      const std::vector<size_t> dims = kept(source);
      auto wrong = [&] {
        refuse(k, "L2 (aligned)",
               fmt::format("{} {} reads {} {} at another point", who, to_string(r.space), node(source).name,
                           to_string(shape)));
      };
      if (!r.affine) wrong();
      if (element_count(r.space) == 0) continue;
      std::set<size_t> found;
      for (size_t d = 0; d < r.space.size(); ++d) {
        if (r.strides[d] == 0) continue;
        size_t j = 0;
        while (j < shape.size() && (shape[j] == 1 || steps[j] != r.strides[d])) ++j;
        if (j == shape.size() || shape[j] != r.space[d] || !found.insert(j).second) wrong();
        s.parent[s.root(first(s, source) + dims[j])] = s.root(first(s, op) + d);
      }
      if (static_cast<int64_t>(found.size()) !=
          std::count_if(shape.begin(), shape.end(), [](auto e) { return e != 1; }))
        wrong();
    }
  }

  // The widest op, or the product, spans the space; what edges leave open is bound from the right by its extent.
  void place_axes(size_t k, Space& s, int product) const {
    int widest = product >= 0 ? product : s.ops[0];
    for (int op : s.ops)
      if (product < 0 && element_count(index_space(op)) > element_count(index_space(widest))) widest = op;
    s.domain = index_space(widest);
    if (s.domain.empty()) s.domain = {1};
    auto place = [&](int op) {
      const Shape& space = index_space(op);
      std::set<int> used;
      auto axis_of = [&](size_t d) -> int& { return s.axis[s.root(first(s, op) + d)]; };
      auto misfit = [&] {
        refuse(k, "L2 (aligned)",
               fmt::format("{} over {} does not lie in {}", node(op).name, to_string(space), to_string(s.domain)));
      };
      for (size_t d = 0; d < space.size(); ++d)
        if (space[d] != 1 && axis_of(d) >= 0) used.insert(axis_of(d));
      int axis = static_cast<int>(s.domain.size()) - 1;
      for (size_t d = space.size(); d-- > 0;) {
        if (space[d] == 1 || axis_of(d) >= 0) continue;
        if (op == widest) axis = static_cast<int>(d);
        while (axis >= 0 && (used.count(axis) || s.domain[static_cast<size_t>(axis)] != space[d])) --axis;
        if (axis < 0) misfit();
        used.insert(axis);
        axis_of(d) = axis--;
      }
      std::set<int> own;
      for (size_t d = 0; d < space.size(); ++d)
        if (space[d] != 1 && !own.insert(axis_of(d)).second) misfit();
    };
    place(widest);
    for (int op : s.ops) place(op);
  }

  // Axes of more than one index that these dimensions of an op run along.
  std::set<int> axes_of(const Space& s, int op, const std::vector<size_t>& dims) const {
    std::set<int> out;
    for (size_t d : dims)
      if (index_space(op)[d] != 1) out.insert(s.axis[s.root(first(s, op) + d)]);
    return out;
  }
  std::set<int> reduced_axes(const Space& s, int op) const {
    std::vector<size_t> dims;
    for (size_t d = 0; d < index_space(op).size(); ++d)
      if (category(op) == Category::reduce && reduces(op, d)) dims.push_back(d);
    return axes_of(s, op, dims);
  }
  // Complete only after the last row.
  bool crosses_rows(const Space& s, int op) const {
    const std::set<int> reduced = reduced_axes(s, op);
    return !reduced.empty() && *reduced.begin() < static_cast<int>(s.domain.size()) - 1;
  }

  void check_reduction(size_t k, const Space& s, int op) const {
    if (!crosses_rows(s, op)) return;
    const std::set<int> reduced = reduced_axes(s, op);
    for (size_t axis = 0; axis + 1 < s.domain.size(); ++axis)
      if (s.domain[axis] != 1 && !reduced.count(static_cast<int>(axis)))
        refuse(k, "L4 (cross-row reduction)",
               fmt::format("{} reduces some of the rows of {}, but not axis {}", node(op).name, to_string(s.domain),
                           axis));
    for (int reader : s.ops)
      for (const Reading& r : readings(reader))
        if (view_.op_of(r.source) == op)
          refuse(
              k, "L4 (cross-row reduction)",
              fmt::format("{} reads {}, which is complete only after the last row", node(reader).name, node(op).name));
  }

  void check_store(size_t k, const Space& s, int op, bool product) const {
    if (crosses_rows(s, op)) return;
    const std::set<int> along = axes_of(s, op, kept(op));
    for (size_t axis = 0; axis + (product ? 0 : 1) < s.domain.size(); ++axis)
      if (s.domain[axis] != 1 && !along.count(static_cast<int>(axis)))
        refuse(k, "L5 (written once)",
               fmt::format("{} {} would be written once for every index of axis {} of {}", node(op).name,
                           to_string(view_.type(op).shape), axis, to_string(s.domain)));
  }

  void check_size(size_t k, const std::vector<int>& ops) const {
    std::set<Value> buffers;
    for (int op : ops) {
      if (stored(op)) buffers.insert({node_of(op), 0});
      for (const Reading& r : readings(op)) {
        const int source = view_.op_of(r.source);
        const bool inside = source >= 0 && place(source).shares_region(place(op));
        if (!inside && !view_.is_free(r.source)) buffers.insert(r.source);
      }
    }
    if (ops.size() > most_ops)
      refuse(k, "L9 (size)", fmt::format("{} ops in a region, at most {}", ops.size(), most_ops));
    if (buffers.size() > most_buffers)
      refuse(k, "L9 (size)", fmt::format("{} buffers in a region, at most {}", buffers.size(), most_buffers));
  }

  // Kernels in rounds: each runs once all it reads from have run.
  void check_order() const {
    std::vector<std::map<size_t, std::pair<int, int>>> before(plan_.kernels.size());  // who reads whom
    for (int op = 0; op < static_cast<int>(places_.size()); ++op)
      for (const Reading& r : readings(op))
        if (const int from = view_.op_of(r.source); from >= 0 && place(from).kernel != place(op).kernel)
          before[place(op).kernel].try_emplace(place(from).kernel, op, from);
    std::set<size_t> waiting;
    for (size_t k = 0; k < plan_.kernels.size(); ++k) waiting.insert(k);
    auto waits_for = [&](size_t k) {
      return std::find_if(before[k].begin(), before[k].end(),
                          [&](const auto& b) { return waiting.count(b.first) > 0; });
    };
    for (bool progress = true; progress && !waiting.empty();)
      progress = std::erase_if(waiting, [&](size_t k) { return waits_for(k) == before[k].end(); }) > 0;
    if (waiting.empty()) return;
    // Whoever waits waits for one that waits: following them arrives on the cycle.
    size_t at = *waiting.begin();
    for (size_t i = 0; i < plan_.kernels.size(); ++i) at = waits_for(at)->first;
    std::string witness;
    for (size_t k = at, first = 1; k != at || first; first = 0) {
      const auto next = waits_for(k);
      witness += (witness.empty() ? "" : "; ") +
                 fmt::format("{} reads {} ({} waits for {})", node(next->second.first).name,
                             node(next->second.second).name, plan_.kernels[k].id, plan_.kernels[next->first].id);
      k = next->first;
    }
    refuse(at, "L1 (convex)", witness);
  }

  const View& view_;
  const graph::Graph& graph_;
  const Plan& plan_;
  std::vector<Place> places_;                   // per op
  std::vector<std::vector<Reading>> readings_;  // per op
  std::vector<bool> needed_;                    // per node: whether its values leave the entry or their region
};

}  // namespace

void check_plan(const View& view, const Plan& plan) { Checker(view, plan).run(); }

}  // namespace gmc::fusion
