// Products, convolutions and pooling.
#include "tools/onnx/build.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace gmc::onnx {
namespace {

using graph::reshape;
using List = std::vector<int64_t>;

std::vector<Value> matmul(Call& c) { return one(product(c[0], c[1])); }

std::vector<Value> gemm(Call& c) {
  if (c.rank(0) != 2 || c.rank(1) != 2)
    fail("expected matrices, got {} and {}", to_string(c[0].shape()), to_string(c[1].shape()));
  Var out = graph::matmul(c[0], c[1], c.integer("transA", 0) != 0, c.integer("transB", 0) != 0);
  if (const double alpha = c.number("alpha", 1); alpha != 1) out = out * alpha;
  if (!c.has(2)) return one(out);
  Var bias = c[2];
  if (const double beta = c.number("beta", 1); beta != 1) bias = bias * beta;
  if (graph::broadcast_shape(out.shape(), bias.shape()) != out.shape())
    fail("a bias {} for {}", to_string(bias.shape()), to_string(out.shape()));
  return one(out + bias);
}

// ---- windows -------------------------------------------------------------------------------------------------------

constexpr int64_t most = int64_t{1} << 40;  // beyond any size that fits into memory

// Where the windows of a convolution or pooling lie: per spatial dimension.
struct Grid {
  List kernel, stride, dilation, low, high;
  size_t rank() const { return kernel.size(); }
  int64_t reach(size_t i) const {
    const int64_t elements = checked_add(checked_mul(kernel[i] - 1, dilation[i]), 1);
    if (elements > most) fail("a window of {} elements", elements);
    return elements;
  }
};

// `extents`: spatial ones of the operand. `round_up`: a last window that does not fit is taken if it begins inside.
Grid grid_of(Call& c, const Shape& extents, const List& kernel, bool round_up = false) {
  const size_t rank = extents.size();
  Grid g;
  g.kernel = kernel;
  if (kernel.size() != rank) fail("a kernel {} for {} dimensions", to_string(kernel), rank);
  for (const int64_t k : kernel)
    if (k < 1 || k > most) fail("a kernel {}", to_string(kernel));
  g.stride = list_of(c, "strides", rank, 1, 1);
  g.dilation = list_of(c, "dilations", rank, 1, 1);
  const List pads = list_of(c, "pads", 2 * rank, 0, -most);
  g.low.assign(pads.begin(), pads.begin() + static_cast<ptrdiff_t>(rank));
  g.high.assign(pads.begin() + static_cast<ptrdiff_t>(rank), pads.end());
  const std::string automatic = c.text("auto_pad", "NOTSET");
  if (automatic != "NOTSET" && automatic != "" && automatic != "VALID" && automatic != "SAME_UPPER" &&
      automatic != "SAME_LOWER")
    fail("attribute 'auto_pad': there is no '{}'", plain_name(automatic));
  for (size_t i = 0; i < rank; ++i) {
    if (automatic == "VALID") g.low[i] = g.high[i] = 0;
    if (automatic.starts_with("SAME")) {
      const int64_t count = (extents[i] + g.stride[i] - 1) / g.stride[i];
      const int64_t missing = std::max<int64_t>((count - 1) * g.stride[i] + g.reach(i) - extents[i], 0);
      g.low[i] = automatic == "SAME_UPPER" ? missing / 2 : missing - missing / 2;
      g.high[i] = missing - g.low[i];
    }
    const int64_t room = extents[i] + g.low[i] + g.high[i] - g.reach(i);
    if (room < 0) fail("a window of {} does not fit dimension {} of {}", g.reach(i), i, to_string(extents));
    if (!round_up || room % g.stride[i] == 0) continue;
    const int64_t begin = (room / g.stride[i] + 1) * g.stride[i];
    if (begin < extents[i] + g.low[i]) g.high[i] += g.stride[i] - room % g.stride[i];
  }
  return g;
}

Shape spatial(const Shape& s) {
  if (s.size() < 3) fail("expected at least 3 dimensions, got {}", to_string(s));
  return {s.begin() + 2, s.end()};
}

List spatial_axes(size_t rank) {
  List axes(rank);
  std::iota(axes.begin(), axes.end(), 2);
  return axes;
}

// [N, C, extents..] -> [N, C, windows.., kernel..]
Var windows_of(Var x, const Grid& g, double value) {
  return graph::windows(x, spatial_axes(g.rank()), g.kernel, g.stride, g.low, g.high, g.dilation, value);
}

// The window's dimensions are the last ones.
List window_axes(Var w, const Grid& g) {
  List axes(g.rank());
  std::iota(axes.begin(), axes.end(), std::ssize(w.shape()) - static_cast<int64_t>(g.rank()));
  return axes;
}

// ---- convolution ---------------------------------------------------------------------------------------------------

// x [N, C, extents..], w [M, C / groups, kernel..] -> [N, M, windows..]: a product of the windows with the weights.
Var convolve(Var x, Var w, const Grid& g, int64_t groups) {
  const Shape xs = x.shape(), ws = w.shape();
  if (groups < 1 || ws.size() != xs.size() || xs[1] != ws[1] * groups || ws[0] % groups != 0)
    fail("weights {} in {} groups for {}", to_string(ws), groups, to_string(xs));
  const Var all = windows_of(x, g, 0);
  const Shape as = all.shape();
  const auto rank = static_cast<int64_t>(g.rank());
  const Shape count(as.begin() + 2, as.begin() + 2 + rank);
  // [N, G, C/G, windows.., kernel..] -> [G, N, windows.., C/G, kernel..]
  Shape apart{xs[0], groups, ws[1]};
  apart.insert(apart.end(), as.begin() + 2, as.end());
  List perm{1, 0};
  for (int64_t i = 0; i < rank; ++i) perm.push_back(3 + i);
  perm.push_back(2);
  for (int64_t i = 0; i < rank; ++i) perm.push_back(3 + rank + i);
  const int64_t rows = xs[0] * element_count(count), depth = ws[1] * product_of(ws, 2, ws.size()), m = ws[0] / groups;
  const Var columns = graph::transpose(reshape(all, apart), perm);
  Var out = groups == 1
                ? graph::matmul(reshape(columns, {rows, depth}), reshape(w, {m, depth}), false, true)
                : graph::matmul(reshape(columns, {groups, rows, depth}), reshape(w, {groups, m, depth}), false, true);
  // [G, N, windows.., M/G] -> [N, G, M/G, windows..]
  Shape by{groups, xs[0]};
  by.insert(by.end(), count.begin(), count.end());
  by.push_back(m);
  List back{1, 0, 2 + rank};
  for (int64_t i = 0; i < rank; ++i) back.push_back(2 + i);
  out = graph::transpose(reshape(out, by), back);
  Shape to{xs[0], ws[0]};
  to.insert(to.end(), count.begin(), count.end());
  return reshape(out, to);
}

Var with_bias(Call& c, Var out, size_t operand) {
  if (!c.has(operand)) return out;
  if (c.rank(operand) != 1 || c[operand].shape()[0] != out.shape()[1])
    fail("a bias {} for {}", to_string(c[operand].shape()), to_string(out.shape()));
  return out + along(c[operand], 1, std::ssize(out.shape()));
}

List kernel_of(Call& c, Var w) {
  if (w.shape().size() < 3) fail("weights {}", to_string(w.shape()));
  const List own = spatial(w.shape());
  if (c.find("kernel_shape") && c.integers("kernel_shape") != own)
    fail("attribute 'kernel_shape' is {}, the weights are {}", to_string(c.integers("kernel_shape")),
         to_string(w.shape()));
  return own;
}

std::vector<Value> conv(Call& c) { return one(with_bias(c, convolution(c, c[0], c[1]), 2)); }

// Of integers less their zero points, in i32.
std::vector<Value> conv_integer(Call& c) {
  const auto less_zero = [&](size_t i, size_t zero) {
    Var x = graph::cast(c[i], DType::i32);
    if (!c.has(zero)) return x;
    const Var z = graph::cast(c[zero], DType::i32);
    return x - (z.shape().size() == 1 && z.shape()[0] != 1 ? along(z, i == 0 ? 1 : 0, std::ssize(x.shape()))
                                                           : reshape(z, {}));
  };
  return one(convolution(c, less_zero(0, 2), less_zero(1, 3)));
}

// The transpose of a convolution: one with the kernel turned round, over the operand with zeros between its elements.
std::vector<Value> conv_transpose(Call& c) {
  Var x = c[0], w = c[1];
  const Shape xs = x.shape(), ws = w.shape();
  const Shape extents = spatial(xs);
  const size_t rank = extents.size();
  const int64_t groups = c.integer("group", 1);
  Grid g;
  g.kernel = kernel_of(c, w);
  if (ws.size() != xs.size() || groups < 1 || ws[0] != xs[1] || xs[1] % groups != 0)
    fail("weights {} in {} groups for {}", to_string(ws), groups, to_string(xs));
  g.stride = list_of(c, "strides", rank, 1, 1);
  g.dilation = list_of(c, "dilations", rank, 1, 1);
  const List more = list_of(c, "output_padding", rank, 0, 0), pads = list_of(c, "pads", 2 * rank, 0, -most);
  const std::string automatic = c.text("auto_pad", "NOTSET");
  List wanted = c.integers("output_shape");
  if (wanted.size() == rank + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (!wanted.empty() && wanted.size() != rank)
    fail("attribute 'output_shape' has {} numbers, expected {}", wanted.size(), rank);
  for (size_t i = 0; i < rank; ++i) {
    int64_t low = pads[i], high = pads[i + rank];
    if (checked_mul(g.stride[i], extents[i]) > most) fail("{} elements in steps of {}", extents[i], g.stride[i]);
    const int64_t whole = g.stride[i] * (extents[i] - 1) + more[i] + g.reach(i);
    const bool same = automatic.starts_with("SAME");
    if (!wanted.empty() || same) {
      const int64_t target = wanted.empty() ? extents[i] * g.stride[i] : wanted[i];
      if (target < 0 || target > most) fail("attribute 'output_shape' holds {}", target);
      // A target beyond what the windows reach is filled with the bias.
      const int64_t total = whole - target, half = std::max<int64_t>(total, 0) / 2;
      // Before version 11, an odd one of an `output_shape` went to the other side.
      const bool less_in_front = (automatic == "SAME_UPPER") == (same || c.version >= 11);
      low = less_in_front ? half : std::max<int64_t>(total, 0) - half;
      high = total - low;
    }
    if (automatic == "VALID") low = high = 0;
    g.low.push_back(g.reach(i) - 1 - low);
    g.high.push_back(g.reach(i) - 1 - high + more[i]);
    x = graph::dilate(x, static_cast<int64_t>(i) + 2, g.stride[i]);
    g.stride[i] = 1;
  }
  // [C, M/G, kernel..] -> [M, C/G, kernel.. turned round]
  Shape apart{groups, ws[0] / groups, ws[1]}, to{ws[1] * groups, ws[0] / groups};
  List perm{0, 2, 1};
  for (size_t i = 0; i < rank; ++i) {
    apart.push_back(ws[i + 2]);
    to.push_back(ws[i + 2]);
    perm.push_back(static_cast<int64_t>(i) + 3);
  }
  w = graph::flip(reshape(graph::transpose(reshape(w, apart), perm), to), spatial_axes(rank));
  return one(with_bias(c, convolve(x, w, g, groups), 2));
}

// ---- pooling -------------------------------------------------------------------------------------------------------

double lowest(DType d) {
  if (is_float(d)) return -std::numeric_limits<double>::infinity();
  return d == DType::u8 || d == DType::boolean ? 0 : -std::ldexp(1.0, static_cast<int>(size_of(d)) * 8 - 1);
}

Grid pool_grid(Call& c) {
  return grid_of(c, spatial(c[0].shape()), c.integers("kernel_shape"), c.integer("ceil_mode", 0) != 0);
}

// For each element its place in the whole tensor, counted in row-major order, or with the spatial dimensions the other
// way round.
Var flat_places(Var x, bool column_major) {
  const Shape shape = x.shape();
  Var out;
  const auto rank = static_cast<int64_t>(shape.size());
  std::vector<int64_t> stride(shape.size(), 1);
  List order(shape.size());
  std::iota(order.begin(), order.end(), 0);
  if (column_major) std::reverse(order.begin() + 2, order.end());
  for (int64_t i = rank - 2; i >= 0; --i)
    stride[static_cast<size_t>(order[static_cast<size_t>(i)])] =
        stride[static_cast<size_t>(order[static_cast<size_t>(i) + 1])] *
        shape[static_cast<size_t>(order[static_cast<size_t>(i) + 1])];
  for (int64_t d = 0; d < rank; ++d) {
    const Var term =
        graph::index(*x.graph, d, {DType::i64, shape}) * static_cast<double>(stride[static_cast<size_t>(d)]);
    out = out.valid() ? out + term : term;
  }
  return out;
}

std::vector<Value> max_pool(Call& c) {
  const Grid g = pool_grid(c);
  const Var all = windows_of(c[0], g, lowest(c[0].type().dtype));
  const List axes = window_axes(all, g);
  const Var top = graph::reduce(all, "max", axes);
  if (c.node.outputs.size() < 2 || c.node.outputs[1].empty()) return one(top);
  const auto none = static_cast<double>(element_count(c[0].shape()));
  const Var places = windows_of(flat_places(c[0], c.integer("storage_order", 0) != 0), g, none);
  const Var hit = graph::equal(all, graph::broadcast_to(keep_axes(top, all.shape(), axes), all.shape()));
  const Var first = graph::reduce(graph::select(hit, places, number_like(places, none)), "min", axes);
  return {{top, nullptr}, {first, nullptr}};
}

// How many elements of each window count, as a tensor that broadcasts along the windows.
Var counts(Call& c, const Grid& g, DType dtype) {
  const Shape extents = spatial(c[0].shape());
  const bool with_pads = c.integer("count_include_pad", 0) != 0;
  const List pads = c.integers("pads", List(2 * g.rank(), 0));
  const std::string automatic = c.text("auto_pad", "NOTSET");
  Var out = c.constant(1, dtype);
  for (size_t i = 0; i < g.rank(); ++i) {
    const int64_t count = (extents[i] + g.low[i] + g.high[i] - g.reach(i)) / g.stride[i] + 1;
    check_table(count, g.kernel[i]);
    // What rounding up added to the padding does not count.
    const int64_t high = automatic.starts_with("SAME") ? g.high[i] : automatic == "VALID" ? 0 : pads[i + g.rank()];
    const int64_t first = with_pads ? -g.low[i] : 0, last = extents[i] + (with_pads ? high : 0);
    std::vector<double> values;
    for (int64_t o = 0; o < count; ++o) {
      int64_t inside = 0;
      for (int64_t k = 0; k < g.kernel[i]; ++k) {
        const int64_t at = o * g.stride[i] + k * g.dilation[i] - g.low[i];
        inside += at >= first && at < last;
      }
      values.push_back(static_cast<double>(std::max<int64_t>(inside, 1)));
    }
    out = out * along(c.constant(host_tensor(dtype, {count}, values)), static_cast<int64_t>(i) + 2,
                      static_cast<int64_t>(g.rank()) + 2);
  }
  return out;
}

std::vector<Value> average_pool(Call& c) {
  const Grid g = pool_grid(c);
  const Var all = windows_of(c[0], g, 0);
  return one(graph::reduce(all, "sum", window_axes(all, g)) / counts(c, g, c[0].type().dtype));
}

// (sum |x|^p)^(1/p)
template <class Sum>
Var p_norm(Var x, double p, Sum sum) {
  const Var size = apply_named("abs", {x});
  if (p == 1) return sum(size);
  if (p == 2) return apply_named("sqrt", {sum(x * x)});
  return apply_named("pow", {sum(apply_named("pow", {size, number_like(x, p)})), number_like(x, 1 / p)});
}

double p_of(Call& c) {
  const Attribute* a = c.find("p");
  if (!a) return 2;
  const double p = a->kind == Attribute::Kind::number ? a->number : static_cast<double>(c.integer("p"));
  if (!(p > 0)) fail("attribute 'p' is {}", p);
  return p;
}

std::vector<Value> lp_pool(Call& c) {
  const Grid g = pool_grid(c);
  const Var all = windows_of(c[0], g, 0);
  return one(p_norm(all, p_of(c), [&](Var x) { return graph::reduce(x, "sum", window_axes(all, g)); }));
}

std::vector<Value> global(Call& c, const char* monoid) {
  const Shape extents = spatial(c[0].shape());
  const Var all = reduce_kept(c[0], monoid, spatial_axes(extents.size()));
  return one(monoid == std::string("max") ? all : all / static_cast<double>(element_count(extents)));
}

std::vector<Value> global_lp(Call& c) {
  const List axes = spatial_axes(spatial(c[0].shape()).size());
  return one(p_norm(c[0], p_of(c), [&](Var x) { return reduce_kept(x, "sum", axes); }));
}

std::vector<Value> lp_normalization(Call& c) {
  const int64_t axis = c.axis_in(c.integer("axis", -1), c.rank(0));
  const Var norm = p_norm(c[0], p_of(c), [&](Var x) { return reduce_kept(x, "sum", {axis}); });
  const Var zero = graph::equal(norm, number_like(norm, 0));
  return one(c[0] / graph::select(zero, number_like(norm, 1), norm));
}

// Each maximum goes back to where it was found.
std::vector<Value> max_unpool(Call& c) {
  const Shape from = c[0].shape(), extents = spatial(from);
  if (c[1].shape() != from) fail("indices {} for {}", to_string(c[1].shape()), to_string(from));
  const List kernel = list_of(c, "kernel_shape", extents.size(), 0, 1);
  const List stride = list_of(c, "strides", extents.size(), 1, 1), pads = list_of(c, "pads", 2 * extents.size(), 0, 0);
  Shape inner{from[0], from[1]};
  for (size_t i = 0; i < extents.size(); ++i)
    inner.push_back(checked_mul(extents[i] - 1, stride[i]) + kernel[i] - pads[i] - pads[i + extents.size()]);
  // Indices count in the tensor without the extents that a third operand asks for.
  Shape to = inner;
  if (c.has(2)) to = c.integers(2);
  if (to.size() != inner.size() || to[0] != from[0] || to[1] != from[1])
    fail("an output {} for {}", to_string(to), to_string(from));
  for (const int64_t e : to)
    if (e < 0) fail("an output {}", to_string(to));
  const int64_t n = element_count(from);
  const Var zeros = graph::constant(c.graph(), 0, {c[0].type().dtype, {element_count(inner)}});
  Var out = graph::scatter(zeros, reshape(c[0], {n}), {reshape(c[1], {n})}, {0}, {-1}, "set");
  out = reshape(out, inner);
  List low(to.size(), 0), high(to.size(), 0);
  for (size_t i = 0; i < to.size(); ++i) high[i] = to[i] - inner[i];
  return one(graph::pad(out, low, high));
}

// [N, C * kernel.., windows] -> [N, C, extents..]: the sum of all windows where they lie.
std::vector<Value> col2im(Call& c) {
  const Shape from = c[0].shape();
  const List extents = c.integers(1), kernel = c.integers(2);
  if (from.size() != 3 || extents.empty()) fail("expected 3 dimensions, got {}", to_string(from));
  const size_t rank = extents.size();
  for (const int64_t e : extents)
    if (e < 1 || e > most) fail("an image {}", to_string(extents));
  const Grid g = grid_of(c, extents, kernel);
  const int64_t area = element_count(kernel);
  if (from[1] % area != 0) fail("blocks {} for {}", to_string(kernel), to_string(from));
  Shape count;
  for (size_t i = 0; i < rank; ++i) count.push_back((extents[i] + g.low[i] + g.high[i] - g.reach(i)) / g.stride[i] + 1);
  if (element_count(count) != from[2]) fail("{} windows, got {}", element_count(count), from[2]);
  // [N, C, kernel.., windows..] -> [N, C, windows.., kernel..]
  Shape apart{from[0], from[1] / area};
  apart.insert(apart.end(), kernel.begin(), kernel.end());
  apart.insert(apart.end(), count.begin(), count.end());
  List perm{0, 1};
  for (size_t i = 0; i < rank; ++i) perm.push_back(static_cast<int64_t>(2 + rank + i));
  for (size_t i = 0; i < rank; ++i) perm.push_back(static_cast<int64_t>(2 + i));
  Var x = graph::transpose(reshape(c[0], apart), perm);
  List low = g.low, kernels;
  for (size_t i = 0; i < rank; ++i) {
    x = graph::dilate(x, static_cast<int64_t>(2 + i), g.stride[i]);
    kernels.push_back(static_cast<int64_t>(2 + rank + i));
  }
  const Var spread = graph::skew(x, spatial_axes(rank), kernels, low, g.dilation, extents);
  return one(graph::reduce(spread, "sum", kernels));
}

constexpr Row rows[] = {
    {"AveragePool", average_pool},
    {"Col2Im", col2im},
    {"Conv", conv},
    {"ConvInteger", conv_integer},
    {"ConvTranspose", conv_transpose},
    {"Gemm", gemm},
    {"GlobalAveragePool", [](Call& c) { return global(c, "sum"); }},
    {"GlobalLpPool", global_lp},
    {"GlobalMaxPool", [](Call& c) { return global(c, "max"); }},
    {"LpNormalization", lp_normalization},
    {"LpPool", lp_pool},
    {"MatMul", matmul},
    {"MaxPool", max_pool},
    {"MaxUnpool", max_unpool},
};

}  // namespace

List list_of(Call& c, const char* name, size_t count, int64_t otherwise, int64_t least) {
  List out = c.integers(name, List(count, otherwise));
  if (out.size() != count) fail("attribute '{}' has {} numbers, expected {}", name, out.size(), count);
  for (const int64_t v : out)
    if (v < least || v > most) fail("attribute '{}' holds {}", name, v);
  return out;
}

Var convolution(Call& c, Var x, Var weights) {
  const Grid g = grid_of(c, spatial(x.shape()), kernel_of(c, weights));
  return convolve(x, weights, g, c.integer("group", 1));
}

std::span<const Row> nn_rows() { return rows; }

}  // namespace gmc::onnx
