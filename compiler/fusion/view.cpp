#include "compiler/fusion/unfolded.h"

#include "compiler/graph/indexing.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <cmath>
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

// The same sum over the indices of a movement's result: `strides` run over its operand.
struct Sum {
  int64_t base;
  Shape strides;
};

// Nothing if strides cannot say it.
std::optional<Sum> through(const graph::Node& movement, const Shape& from, const Sum& sum) {
  const Shape& to = movement.types[0].shape;
  Sum out{sum.base, Shape(to.size(), 0)};
  switch (movement.op->category) {
  case Category::reshape: {
    if (element_count(to) == 0) return out;
    auto reshaped = reshape_strides(from, sum.strides, to);
    if (!reshaped) return std::nullopt;
    out.strides = *reshaped;
    return out;
  }
  case Category::broadcast:
    for (size_t i = 0; i < from.size(); ++i)
      if (from[i] != 1) out.strides[static_cast<size_t>(movement.integers("dims")[i])] = sum.strides[i];
    return out;
  case Category::transpose:
    for (size_t i = 0; i < to.size(); ++i)
      out.strides[i] = sum.strides[static_cast<size_t>(movement.integers("perm")[i])];
    return out;
  case Category::affine: {
    const graph::AffineMap map = movement.op->affine(movement, from);
    for (size_t d = 0; d < from.size(); ++d) {
      out.base += sum.strides[d] * map.base[d];
      for (size_t i = 0; i < to.size(); ++i) out.strides[i] += sum.strides[d] * map.steps[d][i];
    }
    return out;
  }
  default:
    return std::nullopt;
  }
}

// The reader's dimension for each of the operand's, or -1; nothing where dimensions do not stay what they are.
std::optional<std::vector<int>> dims_through(const graph::Node& movement, const Shape& from) {
  const Shape& to = movement.types[0].shape;
  std::vector<int> map(from.size(), -1);
  switch (movement.op->category) {
  case Category::reshape:
    return squeeze_dims(from, to);
  case Category::broadcast:
    for (size_t i = 0; i < from.size(); ++i)
      if (from[i] != 1) map[i] = static_cast<int>(movement.integers("dims")[i]);
    return map;
  case Category::transpose:
    for (size_t i = 0; i < to.size(); ++i) map[static_cast<size_t>(movement.integers("perm")[i])] = static_cast<int>(i);
    return map;
  default:
    return std::nullopt;
  }
}

// The access of a movement's operand, expressed over the movement's result. Nothing if strides cannot say it.
std::optional<Access> through(const graph::Node& movement, const Shape& from, Access a) {
  const auto sum = through(movement, from, Sum{a.base, a.strides});
  if (!sum) return std::nullopt;
  a.base = sum->base;
  a.strides = sum->strides;
  for (Guard& guard : a.guards) {
    const auto moved = through(movement, from, Sum{guard.base, guard.strides});
    if (!moved) return std::nullopt;
    guard.base = moved->base;
    guard.strides = moved->strides;
  }
  if (const std::vector<Guard> added = guards_of(movement, from); !added.empty()) {
    const double value = movement.op->affine(movement, from).value;
    const bool same = value == a.outside && std::signbit(value) == std::signbit(a.outside);
    if (!a.guards.empty() && !same) return std::nullopt;
    a.outside = value;
    a.guards.insert(a.guards.end(), added.begin(), added.end());
  }
  const auto map = a.aligned ? dims_through(movement, from) : std::nullopt;
  a.aligned = map.has_value();
  if (map)
    for (int& d : a.dims)
      if (d >= 0) d = (*map)[static_cast<size_t>(d)];
  return a;
}

Access dense_access(Value v, const Shape& shape) {
  Access a{v, 0, graph::dense_strides(shape), std::vector<int>(shape.size()), true};
  for (size_t i = 0; i < shape.size(); ++i) a.dims[i] = shape[i] == 1 ? -1 : static_cast<int>(i);
  return a;
}

// Of an index the number itself: it runs along one dimension.
Access index_access(Value v, const graph::Node& node) {
  Access a = dense_access(v, node.types[0].shape);
  std::fill(a.strides.begin(), a.strides.end(), 0);
  a.strides[static_cast<size_t>(node.integer("axis"))] = 1;
  return a;
}

bool is_free_source(Category c) { return c == Category::constant || c == Category::index; }

// The generated product reads matrices in which one of the two dimensions is contiguous; one without elements reads
// nothing.
bool product_can_read(const Access& a, const Shape& space) {
  if (element_count(space) == 0) return true;
  return a.guards.empty() && matrix_layout(a, space.end()[-2], space.end()[-1]).has_value();
}

// Whether the operand is all of its source, whose elements lie one after the other as its own do.
bool is_dense(const Access& a, const Shape& shape, const Shape& source) {
  const Shape dense = graph::dense_strides(shape);
  bool same = a.base == 0 && a.guards.empty() && element_count(shape) == element_count(source);
  for (size_t d = 0; d < shape.size(); ++d) same &= shape[d] == 1 || a.strides[d] == dense[d];
  return same || element_count(shape) == 0;
}

}  // namespace

std::optional<MatrixLayout> matrix_layout(const Access& a, int64_t rows, int64_t columns) {
  const int64_t down = a.strides.end()[-2], right = a.strides.end()[-1];
  if ((right == 1 || columns == 1) && (down >= columns || rows == 1))
    return MatrixLayout{false, rows == 1 ? columns : down};
  if ((down == 1 || rows == 1) && (right >= rows || columns == 1))
    return MatrixLayout{true, columns == 1 ? rows : right};
  return std::nullopt;
}

std::optional<Access> View::resolve(Value v) const {
  const graph::Node& node = graph_->node(v);
  if (node.op->category == Category::index && op_of(v) < 0) return index_access(v, node);
  if (!is_movement(node.op->category) || op_of_[static_cast<size_t>(v.node)] >= 0)
    return dense_access(v, graph_->type(v).shape);
  const auto inner = resolve(node.inputs[0]);
  return inner ? through(node, graph_->type(node.inputs[0]).shape, *inner) : std::nullopt;
}

bool View::is_source(Value v) const {
  return !is_movement(graph_->node(v).op->category) || op_of_[static_cast<size_t>(v.node)] >= 0;
}

// As if node `copied` were a copy.
std::optional<Access> View::resolve_unfolded(Value v, int32_t copied) const {
  auto a = unfolded_access(*graph_, v, [&](Value x) { return x.node == copied || is_source(x); });
  if (!a || (is_free(a->source) && op_of(a->source) < 0)) return std::nullopt;
  for (size_t d = 0; d + 2 < a->axes.size(); ++d) {
    if (a->axes[d].extents.size() != 1) return std::nullopt;
    a->strides.push_back(a->axes[d].strides[0]);
  }
  a->strides.resize(a->axes.size(), 0);
  const auto several = [&](const Axes& axes) { return merged(axes).extents.size() > 1; };
  if (!several(a->axes.end()[-2]) && !several(a->axes.end()[-1])) return std::nullopt;
  return a;
}

Value View::blocking(Value v, bool unfolds) const {
  std::vector<Value> chain;  // from the reader to the source
  for (Value at = v; !is_source(at); at = graph_->node(at).inputs[0]) chain.push_back(at);
  // A product reads what is padded once the padded tensor lies in memory.
  for (size_t i = chain.size(); unfolds && i-- > 0;) {
    const graph::Node& n = graph_->node(chain[i]);
    if (guards_of(n, graph_->type(n.inputs[0]).shape).empty()) continue;
    if (resolve_unfolded(v, chain[i].node)) return chain[i];
    break;
  }
  for (size_t i = 0; i + 1 < chain.size(); ++i)
    if (!resolve(chain[i]) && resolve(chain[i + 1])) return chain[i + 1];
  return v;
}

// How node `n`, whose work runs over `index_space`, reads operand k; nothing if it cannot.
std::optional<Access> View::access_of(const graph::Node& n, size_t k, const Shape& index_space) const {
  const Category c = n.op->category;
  const Shape& shape = graph_->type(n.inputs[k]).shape;
  std::optional<Access> access = resolve(n.inputs[k]);
  if (is_movement(c)) access = access ? through(n, shape, *access) : access;
  Shape space = index_space;
  if (c == Category::matmul && access) {
    space = shape;
    if (n.flag(k == 0 ? "transpose_a" : "transpose_b")) {
      std::iter_swap(access->strides.end() - 1, access->strides.end() - 2);
      std::iter_swap(space.end() - 1, space.end() - 2);
    }
  }
  // Products, gathers and what takes whole tensors read from memory, where constants and indices are not.
  const bool in_memory = access && (op_of(access->source) >= 0 || !is_free(access->source));
  const bool whole = is_whole(c) || (c == Category::gather && k == 0);
  if (whole && access) access->aligned = false;
  const bool inside = access && access->guards.empty();
  const bool readable =
      access && (c == Category::matmul ? in_memory && product_can_read(*access, space)
                 : is_whole(c) ? in_memory && inside && is_dense(*access, shape, graph_->type(access->source).shape)
                 : whole       ? in_memory && inside
                               : true);
  if (readable) return access;
  if (c != Category::matmul || k != 1) return std::nullopt;
  auto unfolded = resolve_unfolded(n.inputs[k], -1);
  if (unfolded && n.flag("transpose_b")) std::iter_swap(unfolded->axes.end() - 1, unfolded->axes.end() - 2);
  return unfolded;
}

View::View(const Graph& g) : graph_(&g), op_of_(g.nodes().size(), -1) {
  std::vector<bool> copies(g.nodes().size(), false);
  for (const graph::Output& o : g.outputs()) {
    const Category c = g.node(o.value).op->category;
    if (is_movement(c) || is_free_source(c) || c == Category::literal || c == Category::input)
      copies[static_cast<size_t>(o.value.node)] = true;
  }
  // What is a copy already, or computes by itself, cannot become one.
  auto make_copy = [&](Value v, const graph::Node& reader) {
    const Category from = g.node(v).op->category;
    if (copies[static_cast<size_t>(v.node)] || (!is_movement(from) && !is_free_source(from)))
      fail("'{}' reads '{}' in a way that cannot be compiled: {}", reader.name, g.node(v).name, to_string(g.type(v)));
    copies[static_cast<size_t>(v.node)] = true;
  };
  // An access that strides cannot express makes the movement below it a copy; from there on everything is looked at
  // again.
  for (size_t i = 0; i < g.nodes().size(); ++i) {
    const graph::Node& n = g.nodes()[i];
    const Category c = n.op->category;
    if (c == Category::composite) fail("composite '{}' must be expanded before fusion", n.name);
    const bool works = c == Category::elementwise || c == Category::random || c == Category::gather ||
                       c == Category::reduce || c == Category::matmul || is_whole(c);
    if (!works && !(copies[i] && c != Category::input && c != Category::literal)) continue;
    Op op{static_cast<int32_t>(i), works ? c : Category::elementwise, !works, n.types[0].shape, {}};
    if (c == Category::reduce) op.index_space = g.type(n.inputs[0]).shape;
    std::optional<Value> copied;
    for (size_t k = 0; k < n.inputs.size() && !copied; ++k)
      if (auto access = access_of(n, k, op.index_space))
        op.operands.push_back(std::move(*access));
      else
        copied = blocking(n.inputs[k], c == Category::matmul && k == 1);
    if (copied) {
      make_copy(*copied, n);
      for (; !ops_.empty() && ops_.back().node >= copied->node; ops_.pop_back())
        op_of_[static_cast<size_t>(ops_.back().node)] = -1;
      i = static_cast<size_t>(copied->node) - 1;
      continue;
    }
    for (int64_t d = 0; d < std::ssize(op.index_space); ++d)
      if (c != Category::reduce || std::ranges::count(n.integers("axes"), d) == 0)
        op.kept.push_back(static_cast<int>(d));
    op_of_[i] = static_cast<int>(ops_.size());
    ops_.push_back(std::move(op));
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
  for (size_t i = 0; i < ops_.size(); ++i) {
    bytes_.push_back(0);
    for (const graph::TensorType& type : node(static_cast<int>(i)).types)
      bytes_.back() += byte_size(type.dtype, type.shape);
    elements_.push_back(element_count(ops_[i].index_space));
  }
}

bool View::is_free(Value v) const {
  const Category c = graph_->node(v).op->category;
  return c == Category::constant || (c == Category::index && op_of(v) < 0);
}

int View::find(const std::string& name) const {
  for (size_t i = 0; i < ops_.size(); ++i)
    if (node(static_cast<int>(i)).name == name) return static_cast<int>(i);
  return -1;
}

}  // namespace gmc::fusion
