#include "tools/onnx/build.h"

#include "ops/registry.h"

#include <algorithm>
#include <numeric>

namespace gmc::onnx {
namespace {

const graph::OpDef* op_named(const std::string& name) {
  for (const graph::OpDef* op : ops::registry())
    if (name == op->name) return op;
  return nullptr;
}

}  // namespace

bool has_op(const std::string& name) { return op_named(name) != nullptr; }

Var apply_named(const std::string& name, std::vector<Var> operands, graph::Attributes attributes) {
  const graph::OpDef* op = op_named(name);
  if (!op) unsupported("gmc has no op '{}'", name);
  return graph::apply_elementwise(*op, std::move(operands), std::move(attributes));
}

Var number_like(Var like, double value) { return graph::constant(*like.graph, value, {like.type().dtype, {}}); }
Var fill(Var like, double value) { return graph::constant(*like.graph, value, like.type()); }

Var both(Var a, Var b) { return graph::select(a, b, number_like(a, 0)); }
Var either(Var a, Var b) { return graph::select(a, number_like(a, 1), b); }
Var negated(Var a) { return graph::equal(a, number_like(a, 0)); }
Var less_or_equal(Var a, Var b) { return either(graph::less(a, b), graph::equal(a, b)); }

Var keep_axes(Var reduced, const Shape& from, const std::vector<int64_t>& axes) {
  Shape shape = from;
  for (const int64_t a : axes) shape[static_cast<size_t>(a)] = 1;
  return graph::reshape(reduced, shape);
}

Var reduce_kept(Var x, const std::string& monoid, const std::vector<int64_t>& axes) {
  return axes.empty() ? x : keep_axes(graph::reduce(x, monoid, axes), x.shape(), axes);
}

void check_table(int64_t rows, int64_t columns) {
  if (checked_mul(rows, columns) > (int64_t{1} << 24)) unsupported("a table of {} x {}", rows, columns);
}

int64_t product_of(const Shape& shape, size_t from, size_t to) {
  return element_count(Shape(shape.begin() + static_cast<ptrdiff_t>(from), shape.begin() + static_cast<ptrdiff_t>(to)));
}

Var concat(const std::vector<Var>& parts, int64_t axis) {
  const auto d = static_cast<size_t>(axis);
  Shape whole = parts.at(0).shape();
  whole[d] = 0;
  for (const Var& part : parts) {
    Shape rest = part.shape();
    if (rest.size() != whole.size()) fail("ranks differ: {} and {}", to_string(parts[0].shape()), to_string(rest));
    whole[d] = checked_add(whole[d], rest[d]);
    rest[d] = parts[0].shape()[d];
    if (rest != parts[0].shape() || part.type().dtype != parts[0].type().dtype)
      fail("types differ: {} and {}", to_string(parts[0].type()), to_string(part.type()));
  }
  graph::Graph& g = *parts[0].graph;
  const Var place = along(iota(g, whole[d], DType::i32), axis, static_cast<int64_t>(whole.size()));
  Var out;
  int64_t offset = 0;
  for (const Var& part : parts) {
    const int64_t extent = part.shape()[d];
    if (extent == 0 && (out.valid() || &part != &parts.back())) continue;
    std::vector<int64_t> low(whole.size(), 0), high(whole.size(), 0);
    low[d] = offset;
    high[d] = whole[d] - offset - extent;
    const Var padded = extent == whole[d] ? part : graph::pad(part, low, high);
    out = out.valid() ? graph::select(graph::broadcast_to(
                                          graph::less(place, number_like(place, static_cast<double>(offset))), whole),
                                      out, padded)
                      : padded;
    offset += extent;
  }
  return out;
}

Var with_rank(Var x, int64_t rank) {
  Shape shape = x.shape();
  while (std::ssize(shape) < rank) shape.insert(shape.begin(), 1);
  return graph::reshape(x, shape);
}

Var unsqueezed(Var x, int64_t axis) {
  Shape shape = x.shape();
  shape.insert(shape.begin() + axis, 1);
  return graph::reshape(x, shape);
}

Var squeezed(Var x, int64_t axis) {
  Shape shape = x.shape();
  shape.erase(shape.begin() + axis);
  return graph::reshape(x, shape);
}

Var iota(graph::Graph& g, int64_t n, DType dtype) { return graph::index(g, 0, {dtype, {n}}); }

Var along(Var x, int64_t axis, int64_t rank) {
  Shape shape(static_cast<size_t>(rank), 1);
  shape[static_cast<size_t>(axis)] = x.shape().at(0);
  return graph::reshape(x, shape);
}

Var wrapped(Var indices, int64_t extent) {
  return graph::select(graph::less(indices, number_like(indices, 0)), indices + static_cast<double>(extent), indices);
}

Var take(Var x, Var indices, int64_t axis) {
  const Shape from = x.shape(), at = indices.shape();
  const auto d = static_cast<size_t>(axis);
  Shape to(from.begin(), from.begin() + axis);
  to.insert(to.end(), at.begin(), at.end());
  to.insert(to.end(), from.begin() + axis + 1, from.end());
  std::vector<int64_t> places(at.size()), dims(from.size());
  std::iota(places.begin(), places.end(), axis);
  for (size_t i = 0; i < from.size(); ++i)
    dims[i] = i < d ? static_cast<int64_t>(i) : static_cast<int64_t>(i + at.size()) - 1;
  dims[d] = -1;
  return graph::gather(x, {graph::broadcast(wrapped(indices, from[d]), to, places)}, {axis}, dims);
}

Var take(Var x, const std::vector<int64_t>& indices, int64_t axis) {
  const std::vector<double> values(indices.begin(), indices.end());
  return take(x, graph::literal(*x.graph, values, {DType::i64, {std::ssize(indices)}}), axis);
}

Var softmax(Var x, int64_t axis) { return graph::apply(*op_named("softmax"), {x}, {{"axis", axis}}); }
Var log_softmax(Var x, int64_t axis) { return graph::apply(*op_named("log_softmax"), {x}, {{"axis", axis}}); }

Var product(Var a, Var b) {
  const bool row = a.shape().size() == 1, column = b.shape().size() == 1;
  if (a.shape().empty() || b.shape().empty()) fail("a product of scalars");
  if (row) a = unsqueezed(a, 0);
  if (column) b = unsqueezed(b, 1);
  Shape as = a.shape(), bs = b.shape();
  Var out;
  if (bs.size() == 2) {
    // One matrix for all batches: one product with all rows.
    out = graph::matmul(graph::reshape(a, {product_of(as, 0, as.size() - 1), as.back()}), b);
    as.back() = bs[1];
    out = graph::reshape(out, as);
  } else {
    const Shape batch = graph::broadcast_shape({as.begin(), as.end() - 2}, {bs.begin(), bs.end() - 2});
    const auto spread = [&](Var x) {
      Shape to = batch, from = x.shape();
      to.insert(to.end(), from.end() - 2, from.end());
      return graph::broadcast_to(with_rank(x, std::ssize(to)), to);
    };
    out = graph::matmul(spread(a), spread(b));
  }
  const auto rank = std::ssize(out.shape());
  if (row) out = squeezed(out, rank - 2);
  if (column) out = squeezed(out, std::ssize(out.shape()) - 1);
  return out;
}

}  // namespace gmc::onnx
