// Gradients of convolutions, in convolutions and products.
#include "ops/convolution.h"

namespace gmc::ops {
namespace {

List ones(size_t n) { return List(n, 1); }

// [.., d, ..] -> [.., groups, d / groups, ..].
Shape split_dimension(Shape shape, size_t d, int64_t groups) {
  shape[d] /= groups;
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(d), groups);
  return shape;
}
Shape merge_dimensions(Shape shape, size_t d) {
  shape[d] *= shape[d + 1];
  shape.erase(shape.begin() + static_cast<ptrdiff_t>(d) + 1);
  return shape;
}

// Elements apart by `step`, as the gradient of a convolution by that step needs them.
Var apart(Var x, const List& step) {
  for (size_t j = 0; j < step.size(); ++j)
    x = dilate(x, static_cast<int64_t>(2 + j), x.shape()[2 + j] > 1 ? step[j] : 1);
  return x;
}

// The same for steps 1 and 2 without the zeros between the elements. Element 2 v + q along a dimension (its phase is q)
// sees those taps t = 2 j + r of the kernel with r = (q + low) mod 2, at v + (q + low) / 2 - j: each phase is a
// convolution of g by step 1 with every other tap, and the phases are a batch of products.
Var gradient_by_phases(Var g, Var w, const Sliding& s, int64_t groups, const List& extents) {
  const size_t spatial = extents.size();
  const int64_t n = g.shape()[0], out = g.shape()[1] / groups, in = w.shape()[1];
  List taps(spatial), moves(spatial), low(2, 0), high(2, 0), places(spatial);
  for (size_t j = 0; j < spatial; ++j) {
    const int64_t first = s.low[j] >> (s.step[j] - 1), kernel = w.shape()[2 + j];
    taps[j] = (kernel + s.step[j] - 1) / s.step[j];
    moves[j] = s.step[j] == 2 && s.low[j] % 2 != 0 ? 1 : 0;  // from phase to phase
    places[j] = (extents[j] + s.step[j] - 1) / s.step[j];
    low.push_back((taps[j] - 1) * s.dilation[j] - first);
    high.push_back(places[j] + first + moves[j] - g.shape()[2 + j]);
  }
  // [n, channels, places.., phases.., taps..], taps from the last one to the first.
  const List axes = spatial_axes(spatial), none(spatial, 0);
  List phases(spatial);
  for (size_t j = 0; j < spatial; ++j) phases[j] = moves[j] + 1;
  Var x = windows(pad(g, low, high), axes, phases, ones(spatial), none, none, ones(spatial));
  x = windows(x, axes, taps, ones(spatial), none, none, s.dilation);
  // [n, phases.., channels, taps.., places..]; phases that do not move see the same.
  List perm{0};
  const auto append = [&](size_t first, size_t count) {
    for (size_t j = 0; j < count; ++j) perm.push_back(static_cast<int64_t>(first + j));
  };
  append(2 + spatial, spatial);
  append(1, 1);
  append(2 + 2 * spatial, spatial);
  append(2, spatial);
  x = transpose(x, perm);
  Shape all = x.shape();
  for (size_t j = 0; j < spatial; ++j) all[1 + j] = s.step[j];
  x = broadcast(x, all, all_axes(all));
  Shape batch{n};
  batch.insert(batch.end(), s.step.begin(), s.step.end());
  batch.push_back(groups);
  const auto matrices = [&](int64_t rows, int64_t columns) {
    Shape shape = batch;
    shape.insert(shape.end(), {rows, columns});
    return shape;
  };
  x = reshape(x, matrices(out * product(taps), product(places)));

  // [groups, out, in, (taps, phases)..] -> [phases.., groups, in, out, taps..].
  Shape split{groups, out, in};
  List behind(2, 0), turned_axes, order;
  for (size_t j = 0; j < spatial; ++j) {
    behind.push_back(taps[j] * s.step[j] - w.shape()[2 + j]);
    split.insert(split.end(), {taps[j], s.step[j]});
    turned_axes.push_back(static_cast<int64_t>(3 + 2 * j));
    if (moves[j]) turned_axes.push_back(static_cast<int64_t>(4 + 2 * j));
    order.push_back(static_cast<int64_t>(4 + 2 * j));
  }
  order.insert(order.end(), {0, 2, 1});
  for (size_t j = 0; j < spatial; ++j) order.push_back(static_cast<int64_t>(3 + 2 * j));
  const Var kernels = transpose(flip(reshape(pad(w, List(2 + spatial, 0), behind), split), turned_axes), order);
  const Shape rows = matrices(in, out * product(taps));
  List dims(rows.size() - 1);
  std::iota(dims.begin(), dims.end(), 1);
  Var y = matmul(broadcast(reshape(kernels, {rows.begin() + 1, rows.end()}), rows, dims), x);

  // [n, phases.., channels, places..] -> [n, channels, (places, phases)..].
  Shape apart_shape{n};
  apart_shape.insert(apart_shape.end(), s.step.begin(), s.step.end());
  apart_shape.push_back(groups * in);
  apart_shape.insert(apart_shape.end(), places.begin(), places.end());
  List together{0, static_cast<int64_t>(1 + spatial)};
  Shape whole{n, groups * in};
  for (size_t j = 0; j < spatial; ++j) {
    together.insert(together.end(), {static_cast<int64_t>(2 + spatial + j), static_cast<int64_t>(1 + j)});
    whole.push_back(places[j] * s.step[j]);
  }
  y = reshape(transpose(reshape(y, apart_shape), together), whole);
  for (size_t j = 0; j < spatial; ++j) y = slice(y, static_cast<int64_t>(2 + j), 0, extents[j]);
  return y;
}

// Where g has one place: each tap is seen at one element of x, and there is nothing to slide over.
Var gradient_of_one_place(Var g, Var w, const Sliding& s, int64_t groups, const List& extents) {
  const int64_t n = g.shape()[0], out = g.shape()[1] / groups, in = w.shape()[1];
  const List kernel = spatial_of(w.shape());
  const Var rows = transpose(reshape(g, {n, groups, out}), {1, 0, 2});
  Shape whole{n, groups * in};
  whole.insert(whole.end(), kernel.begin(), kernel.end());
  Var y = matmul(rows, reshape(w, {groups, out, in * product(kernel)}));
  y = apart(reshape(transpose(y, {1, 0, 2}), whole), s.dilation);
  List low(2, 0), high(2, 0);
  for (size_t j = 0; j < extents.size(); ++j) {
    low.push_back(-s.low[j]);
    high.push_back(extents[j] - y.shape()[2 + j] + s.low[j]);
  }
  return pad(y, low, high);
}

}  // namespace

Var turned(Var w, int64_t groups) {
  const Shape from = w.shape();
  List perm = all_axes(split_dimension(from, 0, groups));
  std::swap(perm[1], perm[2]);
  const Var grouped = transpose(reshape(w, split_dimension(from, 0, groups)), perm);
  return flip(reshape(grouped, merge_dimensions(grouped.shape(), 0)), spatial_axes(from.size() - 2));
}

// Gradient of x [.., extents..]: a convolution of the gradient, its elements apart, with the turned weight.
Var input_gradient(Var g, Var w, const Sliding& s, int64_t groups, const List& extents) {
  if (element_count(g.shape()) > 0 && product(spatial_of(g.shape())) == 1)
    return gradient_of_one_place(g, w, s, groups, extents);
  bool apart_by_two = false, by_phases = element_count(g.shape()) > 0;
  for (size_t j = 0; j < extents.size(); ++j) {
    apart_by_two |= s.step[j] == 2;
    by_phases &= s.step[j] == 1 || (s.step[j] == 2 && s.dilation[j] == 1);
  }
  if (apart_by_two && by_phases) return gradient_by_phases(g, w, s, groups, extents);
  const List kernel = spatial_of(w.shape()), places = spatial_of(g.shape());
  Sliding back{ones(kernel.size()), {}, {}, s.dilation};
  for (size_t j = 0; j < kernel.size(); ++j) {
    back.low.push_back(s.dilation[j] * (kernel[j] - 1) - s.low[j]);
    back.high.push_back(extents[j] - 1 - (places[j] > 1 ? (places[j] - 1) * s.step[j] : 0) + s.low[j]);
  }
  const Var between = apart(g, s.step);
  // Where padding is longer than a window's way to it, no window sees x: what is left is padding of the other end.
  for (size_t j = 0; j < kernel.size(); ++j) {
    const int64_t extent = between.shape()[2 + j];
    const int64_t front = std::min<int64_t>(0, back.low[j] + extent),
                  behind = std::min<int64_t>(0, back.high[j] + extent);
    back.low[j] += behind - front;
    back.high[j] += front - behind;
  }
  return convolve(between, turned(w, groups), back, groups);
}

// Gradient of the weight: per group a product of [o / groups, n places] with [n places, c / groups kernel].
Var weight_gradient(Var g, Var x, const Shape& weight, const Sliding& s, int64_t groups) {
  const int64_t n = g.shape()[0], out = g.shape()[1] / groups, places = product(spatial_of(g.shape()));
  const Var c = columns(x, spatial_of(weight), s, groups);
  const int64_t in = c.shape()[2];
  const Var left = reshape(transpose(reshape(g, {n, groups, out, places}), {1, 2, 0, 3}), {groups, out, n * places});
  const Var right = reshape(transpose(c, {1, 2, 0, 3}), {groups, in, n * places});
  return reshape(matmul(left, right, false, true), weight);
}

}  // namespace gmc::ops
