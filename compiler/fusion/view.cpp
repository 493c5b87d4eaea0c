#include "compiler/fusion/view.h"

#include "compiler/graph/indexing.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <numeric>

namespace gmc::fusion {
namespace {

bool is_movement(Category c) {
  return c == Category::broadcast || c == Category::reshape || c == Category::transpose || c == Category::affine;
}

// The strides of the same elements under another shape, if row-major order over `from` with these strides can be walked
// so.
std::optional<Shape> reshape_strides(const Shape& from, const Shape& strides, const Shape& to) {
  Shape extents, steps;  // `from` without extents of 1, neighbours merged where one continues the other
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] == 1) continue;
    if (!extents.empty() && steps.back() == strides[i] * from[i]) {
      extents.back() *= from[i];
      steps.back() = strides[i];
      continue;
    }
    extents.push_back(from[i]);
    steps.push_back(strides[i]);
  }
  Shape out(to.size(), 0);
  size_t at = extents.size();
  int64_t left = 1, step = 0;
  for (size_t i = to.size(); i-- > 0;) {
    if (to[i] == 1) continue;
    if (left == 1) {
      if (at == 0) return std::nullopt;
      left = extents[--at];
      step = steps[at];
    }
    if (left % to[i] != 0) return std::nullopt;
    out[i] = step;
    step *= to[i];
    left /= to[i];
  }
  return left == 1 ? std::optional(out) : std::nullopt;
}

// Dimension by dimension, when a reshape only adds and removes extents of 1: per old dimension, the new one or -1.
std::optional<std::vector<int>> squeeze_dims(const Shape& from, const Shape& to) {
  std::vector<int> map(from.size(), -1);
  size_t j = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] == 1) continue;
    while (j < to.size() && to[j] == 1) ++j;
    if (j == to.size() || to[j] != from[i]) return std::nullopt;
    map[i] = static_cast<int>(j++);
  }
  while (j < to.size() && to[j] == 1) ++j;
  return j == to.size() ? std::optional(map) : std::nullopt;
}

void apply_dims(Access& a, const std::vector<int>& map) {
  if (!a.aligned) return;  // dimensions that mean nothing any more
  for (int& d : a.dims)
    if (d >= 0) d = map[static_cast<size_t>(d)];
}

// The access of a movement's operand, expressed over the movement's result. Nothing if strides cannot say it.
std::optional<Access> through(const graph::Node& movement, const Shape& from, Access a) {
  const Shape& to = movement.types[0].shape;
  Shape strides(to.size(), 0);
  if (movement.op->category == Category::reshape) {
    auto reshaped = element_count(to) == 0 ? std::optional(strides) : reshape_strides(from, a.strides, to);
    if (!reshaped) return std::nullopt;
    a.strides = *reshaped;
    const auto map = squeeze_dims(from, to);
    if (map) apply_dims(a, *map);
    a.aligned = a.aligned && map;
    return a;
  }
  std::vector<int> map(from.size(), -1);
  if (movement.op->category == Category::broadcast) {
    const Shape& dims = movement.integers("dims");
    for (size_t i = 0; i < from.size(); ++i) {
      if (from[i] == 1) continue;
      strides[static_cast<size_t>(dims[i])] = a.strides[i];
      map[i] = static_cast<int>(dims[i]);
    }
  } else if (movement.op->category == Category::transpose) {
    const Shape& perm = movement.integers("perm");
    for (size_t i = 0; i < perm.size(); ++i) {
      strides[i] = a.strides[static_cast<size_t>(perm[i])];
      map[static_cast<size_t>(perm[i])] = static_cast<int>(i);
    }
  } else {
    return std::nullopt;
  }
  a.strides = strides;
  apply_dims(a, map);
  return a;
}

Access dense_access(Value v, const Shape& shape) {
  Access a{v, 0, graph::dense_strides(shape), std::vector<int>(shape.size()), true};
  for (size_t i = 0; i < shape.size(); ++i) a.dims[i] = shape[i] == 1 ? -1 : static_cast<int>(i);
  return a;
}

// The generated product reads matrices in which one of the two dimensions is contiguous.
bool product_can_read(const Access& a, const Shape& space) {
  if (a.base != 0 || space.size() != 2) return false;
  return (a.strides[1] == 1 && (a.strides[0] >= space[1] || space[0] == 1)) ||
         (a.strides[0] == 1 && (a.strides[1] >= space[0] || space[1] == 1));
}

// Whether the operand's elements lie one after the other from the start of its source.
bool is_dense(const Access& a, const Shape& shape) {
  const Shape dense = graph::dense_strides(shape);
  bool same = a.base == 0;
  for (size_t d = 0; d < shape.size(); ++d) same &= shape[d] == 1 || a.strides[d] == dense[d];
  return same || element_count(shape) == 0;
}

}  // namespace

std::optional<Access> View::resolve(Value v) const {
  const graph::Node& node = graph_->node(v);
  if (!is_movement(node.op->category) || op_of_[static_cast<size_t>(v.node)] >= 0)
    return dense_access(v, graph_->type(v).shape);
  const auto inner = resolve(node.inputs[0]);
  return inner ? through(node, graph_->type(node.inputs[0]).shape, *inner) : std::nullopt;
}

View::View(const Graph& g) : graph_(&g), op_of_(g.nodes().size(), -1) {
  std::vector<bool> copies(g.nodes().size(), false);
  for (const graph::Output& o : g.outputs()) {
    const Category c = g.node(o.value).op->category;
    if (is_movement(c) || c == Category::constant || c == Category::literal || c == Category::input)
      copies[static_cast<size_t>(o.value.node)] = true;
  }
  // What is a copy already, or computes by itself, cannot become one.
  auto make_copy = [&](Value v, const graph::Node& reader) {
    const Category from = g.node(v).op->category;
    if (copies[static_cast<size_t>(v.node)] || (!is_movement(from) && from != Category::constant))
      fail("'{}' reads '{}' in a way that cannot be compiled: {}", reader.name, g.node(v).name, to_string(g.type(v)));
    copies[static_cast<size_t>(v.node)] = true;
  };
  // An access that strides cannot express makes the movement below it a copy; then everything is looked at again.
  for (bool again = true; again;) {
    again = false;
    ops_.clear();
    std::fill(op_of_.begin(), op_of_.end(), -1);
    for (size_t i = 0; i < g.nodes().size() && !again; ++i) {
      const graph::Node& n = g.nodes()[i];
      const Category c = n.op->category;
      if (c == Category::composite) fail("composite '{}' must be expanded before fusion", n.name);
      const bool works = c == Category::elementwise || c == Category::random || c == Category::reduce ||
                         c == Category::matmul || c == Category::routine;
      if (!works && !(copies[i] && c != Category::input && c != Category::literal)) {
        if (is_movement(c) && !resolve({static_cast<int32_t>(i), 0})) {
          make_copy(n.inputs[0], n);
          again = true;
        }
        continue;
      }
      Op op{static_cast<int32_t>(i), works ? c : Category::elementwise, !works, n.types[0].shape, {}};
      if (c == Category::reduce) op.index_space = g.type(n.inputs[0]).shape;
      for (size_t k = 0; k < n.inputs.size() && !again; ++k) {
        std::optional<Access> access = resolve(n.inputs[k]);
        if (is_movement(c)) access = access ? through(n, g.type(n.inputs[k]).shape, *access) : access;
        Shape space = op.index_space;
        if (c == Category::matmul && access && access->strides.size() == 2) {
          space = g.type(n.inputs[k]).shape;
          if (n.flag(k == 0 ? "transpose_a" : "transpose_b")) {
            std::swap(access->strides[0], access->strides[1]);
            std::swap(space[0], space[1]);
          }
        }
        // Products and routines read their operands from memory, where constants are not.
        const bool in_memory =
            access && (op_of(access->source) >= 0 || g.node(access->source).op->category != Category::constant);
        if (c == Category::routine && access) access->aligned = false;
        if (!access || (c == Category::matmul && (!in_memory || !product_can_read(*access, space))) ||
            (c == Category::routine && (!in_memory || !is_dense(*access, g.type(n.inputs[k]).shape)))) {
          make_copy(n.inputs[k], n);
          again = true;
          break;
        }
        op.operands.push_back(std::move(*access));
      }
      if (again) break;
      op_of_[i] = static_cast<int>(ops_.size());
      ops_.push_back(std::move(op));
    }
  }
  readers_.resize(ops_.size());
  leaves_.assign(ops_.size(), false);
  for (size_t i = 0; i < ops_.size(); ++i)
    for (const Access& a : ops_[i].operands) {
      const int source = op_of(a.source);
      if (source < 0) continue;
      auto& readers = readers_[static_cast<size_t>(source)];
      if (readers.empty() || readers.back() != static_cast<int>(i)) readers.push_back(static_cast<int>(i));
    }
  for (const graph::Output& o : g.outputs())
    if (const int op = op_of(o.value); op >= 0) leaves_[static_cast<size_t>(op)] = true;
}

int64_t View::bytes(int op) const {
  int64_t sum = 0;
  for (const graph::TensorType& type : node(op).types) sum += byte_size(type.dtype, type.shape);
  return sum;
}

int View::find(const std::string& name) const {
  for (size_t i = 0; i < ops_.size(); ++i)
    if (node(static_cast<int>(i)).name == name) return static_cast<int>(i);
  return -1;
}

}  // namespace gmc::fusion
