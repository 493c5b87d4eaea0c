// Reductions, and what looks for the greatest.
#include "tools/onnx/build.h"

#include <algorithm>
#include <numeric>

namespace gmc::onnx {
namespace {

using graph::reduce;

struct Reduction {
  std::vector<int64_t> axes;  // sorted
  bool keep = true, nothing = false;
};

Reduction reduction_of(Call& c) {
  Reduction r;
  const int64_t rank = c.rank(0);
  r.keep = c.integer("keepdims", 1) != 0;
  std::vector<int64_t> axes = c.integers("axes", 1).value_or(std::vector<int64_t>{});
  if (axes.empty()) {
    r.nothing = c.integer("noop_with_empty_axes", 0) != 0;
    if (r.nothing) return r;
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  r.axes = c.axes_in(axes, rank);
  return r;
}

// `over`: what is reduced, `then`: what becomes of the result.
template <class Over, class Then>
std::vector<Value> reduced(Call& c, const char* monoid, Over over, Then then) {
  const Reduction r = reduction_of(c);
  const Var x = c[0];
  const Var all = r.nothing || r.axes.empty() ? over(x) : reduce(over(x), monoid, r.axes);
  const Var out = then(all, x, r);
  return one(r.keep && !r.nothing ? keep_axes(out, x.shape(), r.axes) : out);
}

Var same(Var x) { return x; }
Var stays(Var x, Var, const Reduction&) { return x; }
Var square(Var x) { return x * x; }
Var absolute(Var x) { return apply_named("abs", {x}); }
Var logarithm(Var x, Var, const Reduction&) { return apply_named("log", {x}); }
Var root(Var x, Var, const Reduction&) { return apply_named("sqrt", {x}); }
Var divided(Var sum, Var x, const Reduction& r) {
  int64_t count = 1;
  for (const int64_t a : r.axes) count *= x.shape()[static_cast<size_t>(a)];
  return r.nothing ? sum : sum / static_cast<double>(count);
}

// The greatest is taken out first: e to the power of what is left does not overflow.
std::vector<Value> log_sum_exp(Call& c) {
  const Reduction r = reduction_of(c);
  const Var x = c[0];
  if (r.nothing || r.axes.empty()) return one(x);
  Var top = reduce_kept(x, "max", r.axes);
  // Where it is infinite there is nothing to take out.
  const Var finite = graph::equal(top - top, number_like(top, 0));
  top = graph::select(finite, top, number_like(top, 0));
  const Var sum = reduce_kept(apply_named("exp", {x - top}), "sum", r.axes);
  const Var out = top + apply_named("log", {sum});
  if (r.keep) return one(out);
  Shape shape;
  for (int64_t d = 0; d < c.rank(0); ++d)
    if (!std::binary_search(r.axes.begin(), r.axes.end(), d)) shape.push_back(x.shape()[static_cast<size_t>(d)]);
  return one(graph::reshape(out, shape));
}

// The first (or last) place along `axis` where x is its maximum (or minimum), i64, the axis kept.
Var place_of(Var x, const char* monoid, int64_t axis, bool last) {
  const int64_t extent = x.shape()[static_cast<size_t>(axis)];
  if (extent == 0) fail("axis {} of {} is empty", axis, to_string(x.shape()));
  const Var hit = graph::equal(x, reduce_kept(x, monoid, {axis}));
  const Var place = along(iota(*x.graph, extent, DType::i64), axis, std::ssize(x.shape()));
  return reduce_kept(graph::select(hit, place, number_like(place, last ? -1 : static_cast<double>(extent))),
                     last ? "max" : "min", {axis});
}

std::vector<Value> arg(Call& c, const char* monoid) {
  const int64_t axis = c.axis_in(c.integer("axis", 0), c.rank(0));
  const Var place = place_of(c[0], monoid, axis, c.integer("select_last_index", 0) != 0);
  return one(c.integer("keepdims", 1) != 0 ? place : squeezed(place, axis));
}

std::vector<Value> hardmax(Call& c) {
  Var x = c[0];
  const Shape shape = x.shape();
  int64_t axis = c.axis_in(c.integer("axis", c.version >= 13 ? -1 : 1), c.rank(0));
  if (c.version < 13) {
    const auto d = static_cast<size_t>(axis);
    x = graph::reshape(x, {product_of(shape, 0, d), product_of(shape, d, shape.size())});
    axis = 1;
  }
  const Var place =
      along(iota(c.graph(), x.shape()[static_cast<size_t>(axis)], DType::i64), axis, std::ssize(x.shape()));
  const Var hot = graph::equal(place, place_of(x, "max", axis, false));
  return one(graph::reshape(graph::cast(hot, x.type().dtype), shape));
}

// Sums of what lies before; as one reduction over windows that grow into padding.
std::vector<Value> cumulative(Call& c, const char* monoid, double identity) {
  Var x = c[0];
  const int64_t axis = c.axis_in(c.integer(1), c.rank(0));
  const int64_t extent = x.shape()[static_cast<size_t>(axis)];
  const bool reverse = c.integer("reverse", 0) != 0, exclusive = c.integer("exclusive", 0) != 0;
  if (extent == 0) return one(x);
  if (reverse) x = graph::flip(x, {axis});
  if (exclusive) {
    std::vector<int64_t> low(x.shape().size(), 0), high = low;
    low[static_cast<size_t>(axis)] = 1;
    high[static_cast<size_t>(axis)] = -1;
    x = graph::pad(x, low, high, identity);
  }
  const Var all = graph::windows(x, {axis}, {extent}, {1}, {extent - 1}, {0}, {1}, identity);
  Var out = reduce(all, monoid, {std::ssize(all.shape()) - 1});
  if (reverse) out = graph::flip(out, {axis});
  return one(out);
}

constexpr Row rows[] = {
    {"ArgMax", [](Call& c) { return arg(c, "max"); }},
    {"ArgMin", [](Call& c) { return arg(c, "min"); }},
    {"CumProd", [](Call& c) { return cumulative(c, "prod", 1); }},
    {"CumSum", [](Call& c) { return cumulative(c, "sum", 0); }},
    {"Hardmax", hardmax},
    {"ReduceL1", [](Call& c) { return reduced(c, "sum", absolute, stays); }},
    {"ReduceL2", [](Call& c) { return reduced(c, "sum", square, root); }},
    {"ReduceLogSum", [](Call& c) { return reduced(c, "sum", same, logarithm); }},
    {"ReduceLogSumExp", log_sum_exp},
    {"ReduceMax", [](Call& c) { return reduced(c, "max", same, stays); }},
    {"ReduceMean", [](Call& c) { return reduced(c, "sum", same, divided); }},
    {"ReduceMin", [](Call& c) { return reduced(c, "min", same, stays); }},
    {"ReduceProd", [](Call& c) { return reduced(c, "prod", same, stays); }},
    {"ReduceSum", [](Call& c) { return reduced(c, "sum", same, stays); }},
    {"ReduceSumSquare", [](Call& c) { return reduced(c, "sum", square, stays); }},
};

}  // namespace

std::span<const Row> reduction_rows() { return rows; }

}  // namespace gmc::onnx
