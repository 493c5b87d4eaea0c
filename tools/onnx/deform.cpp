// Convolutions whose taps are moved by data (Dai et al. 2017; with factors of what is read, Zhu et al. 2019).
#include "tools/onnx/build.h"

namespace gmc::onnx {
namespace {

using graph::cast;
using graph::reshape;
using graph::select;
using List = std::vector<int64_t>;

Shape joined(Shape front, const Shape& back) {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

// Operands x [N, C, extents..], weights [M, C / groups, kernel..], offsets [N, sets * kernel.. * rank, windows..]: the
// channels of a set are read at the same places.
struct Deformed {
  Shape x, weights, extents, kernel, windows;
  int64_t rank = 0, groups = 1, sets = 1, taps = 1;
  List stride, dilation, pads;
  DType dtype = DType::f32;  // that places and sums are computed in

  Shape places() const { return joined({x[0], sets, taps}, windows); }
  Shape elements() const { return joined({x[0], sets, x[1] / sets, taps}, windows); }
  // What is the same for all channels of a set.
  Var spread(Var v) const {
    List dims{0, 1, 3};
    for (int64_t i = 0; i < rank; ++i) dims.push_back(4 + i);
    return graph::broadcast(graph::broadcast_to(v, places()), elements(), dims);
  }
};

Deformed deformed(Call& c) {
  const Shape xs = c[0].shape(), ws = c[1].shape(), os = c[2].shape();
  Deformed d;
  d.rank = c.rank(0) - 2;
  if (d.rank < 1 || d.rank > 3 || ws.size() != xs.size() || os.size() != xs.size() || os[0] != xs[0])
    fail("weights {} and offsets {} for {}", to_string(ws), to_string(os), to_string(xs));
  const auto rank = static_cast<size_t>(d.rank);
  d.x = xs;
  d.weights = ws;
  d.extents = {xs.begin() + 2, xs.end()};
  d.kernel = {ws.begin() + 2, ws.end()};
  d.windows = {os.begin() + 2, os.end()};
  d.groups = c.integer("group", 1);
  d.sets = c.integer("offset_group", 1);
  d.taps = element_count(d.kernel);
  if (d.groups < 1 || xs[1] != checked_mul(ws[1], d.groups) || ws[0] % d.groups != 0)
    fail("weights {} in {} groups for {}", to_string(ws), d.groups, to_string(xs));
  if (d.sets < 1 || xs[1] % d.sets != 0 || d.taps < 1 || os[1] != checked_mul(checked_mul(d.sets, d.taps), d.rank))
    fail("offsets {} in {} groups for {}", to_string(os), d.sets, to_string(xs));
  if (c.find("kernel_shape") && c.integers("kernel_shape") != d.kernel)
    fail("attribute 'kernel_shape' is {}, the weights are {}", to_string(c.integers("kernel_shape")), to_string(ws));
  check_table(d.taps, d.rank);
  d.stride = list_of(c, "strides", rank, 1, 1);
  d.dilation = list_of(c, "dilations", rank, 1, 1);
  d.pads = list_of(c, "pads", 2 * rank, 0, 0);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t reach = checked_mul(d.kernel[i] - 1, d.dilation[i]) + 1;
    const int64_t room = d.extents[i] + d.pads[i] + d.pads[i + rank] - reach;
    if (d.extents[i] < 1 || room < 0 || room / d.stride[i] + 1 != d.windows[i])
      fail("offsets {} for {}", to_string(os), to_string(xs));
  }
  if (c[0].type().dtype == DType::f64) d.dtype = DType::f64;
  return d;
}

// Where is read along each dimension, [N, sets, taps, windows..].
std::vector<Var> places_of(Call& c, const Deformed& d) {
  const Var offsets = cast(reshape(c[2], joined({d.x[0], d.sets, d.taps, d.rank}, d.windows)), d.dtype);
  std::vector<Var> out;
  int64_t inner = d.taps;
  for (int64_t axis = 0; axis < d.rank; ++axis) {
    const auto i = static_cast<size_t>(axis);
    inner /= d.kernel[i];
    std::vector<double> taps;
    for (int64_t t = 0; t < d.taps; ++t)
      taps.push_back(static_cast<double>(t / inner % d.kernel[i] * d.dilation[i] - d.pads[i]));
    const Var tap = along(c.constant(host_tensor(d.dtype, {d.taps}, taps)), 2, 3 + d.rank);
    const Var window = along(iota(c.graph(), d.windows[i], d.dtype), 3 + axis, 3 + d.rank);
    out.push_back(squeezed(graph::slice(offsets, 3, axis, axis + 1), 3) +
                  (window * static_cast<double>(d.stride[i]) + tap));
  }
  return out;
}

// What is read there, [N, sets, C / sets, taps, windows..]: the corners around a place by their shares, 0 outside.
Var read_at(Call& c, const Deformed& d, const std::vector<Var>& places) {
  const Var x = cast(reshape(c[0], joined({d.x[0], d.sets, d.x[1] / d.sets}, d.extents)), d.dtype);
  List axes, dims{0, 1, 2};
  for (int64_t axis = 0; axis < d.rank; ++axis) {
    axes.push_back(3 + axis);
    dims.push_back(-1);
  }
  Var out;
  for (uint32_t corner = 0; corner < 1u << d.rank; ++corner) {
    std::vector<Var> indices;
    Var share, inside;
    for (size_t i = 0; i < places.size(); ++i) {
      const Var low = apply_named("floor", {places[i]}), fraction = places[i] - low;
      const bool upper = (corner >> i & 1) != 0;
      const Var p = upper ? low + 1.0 : low, part = upper ? fraction : 1.0 - fraction;
      const Var first = number_like(p, 0), last = number_like(p, static_cast<double>(d.extents[i] - 1));
      const Var here = both(less_or_equal(first, p), less_or_equal(p, last));
      inside = inside.valid() ? both(inside, here) : here;
      share = share.valid() ? share * part : part;
      indices.push_back(d.spread(cast(maximum(minimum(p, last), first), DType::i64)));
    }
    const Var shares = d.spread(select(inside, share, number_like(share, 0)));
    const Var term = graph::gather(x, indices, axes, dims) * shares;
    out = out.valid() ? out + term : term;
  }
  return out;
}

// [G, M / G, C / G * taps] x [G, C / G * taps, N * windows] -> [N, M, windows..]
Var weighted(Call& c, const Deformed& d, Var read) {
  const int64_t depth = d.weights[1] * d.taps, count = element_count(d.windows), m = d.weights[0];
  const Var columns = graph::transpose(reshape(read, {d.x[0], d.groups, depth, count}), {1, 2, 0, 3});
  const Var w = reshape(cast(c[1], d.dtype), {d.groups, m / d.groups, depth});
  const Var out = graph::matmul(w, reshape(columns, {d.groups, depth, d.x[0] * count}));
  return reshape(graph::transpose(reshape(out, {m, d.x[0], count}), {1, 0, 2}), joined({d.x[0], m}, d.windows));
}

std::vector<Value> deformable_convolution(Call& c) {
  const Deformed d = deformed(c);
  Var read = read_at(c, d, places_of(c, d));
  if (c.has(4)) {
    if (element_count(c[4].shape()) != element_count(d.places()))
      fail("factors {} for {} places", to_string(c[4].shape()), to_string(d.places()));
    read = read * d.spread(cast(reshape(c[4], d.places()), d.dtype));
  }
  Var out = weighted(c, d, read);
  if (c.has(3)) {
    if (c[3].shape() != Shape{d.weights[0]}) fail("a bias {} for {}", to_string(c[3].shape()), to_string(out.shape()));
    out = out + cast(along(c[3], 1, d.rank + 2), d.dtype);
  }
  return one(cast(out, c[0].type().dtype));
}

constexpr Row rows[] = {
    {"DeformConv", deformable_convolution},
};

}  // namespace

std::span<const Row> deform_rows() { return rows; }

}  // namespace gmc::onnx
