// What convolutions, their gradients and pooling share. Internal.
#pragma once

#include "ops/rules.h"

namespace gmc::ops {

// Per spatial dimension; shapes are [n, channels, spatial..].
struct Sliding {
  List step, low, high, dilation;
};
Sliding get_sliding(const Attributes&, size_t spatial);
Sliding sliding_of(const Node&);
inline List spatial_axes(size_t spatial) {
  List axes(spatial);
  std::iota(axes.begin(), axes.end(), 2);
  return axes;
}
inline List spatial_of(const Shape& s) { return {s.begin() + 2, s.end()}; }
inline int64_t product(const List& l) { return element_count(l); }
// Windows over the spatial dimensions: [n, channels, places.., kernel..].
Var sliding_windows(Var x, const List& kernel, const Sliding&, double outside = 0);
// The transpose of that: sums of what windows would read from each element of [n, channels, extents..].
Var overlap_add(Var windows, const Sliding&, const List& extents);

// The windows as matrices [n, groups, c / groups * kernel, places].
Var columns(Var x, const List& kernel, const Sliding&, int64_t groups);
Var convolve(Var x, Var weight, const Sliding&, int64_t groups);
// The same, by fewer products where x repeats the elements of an image (see convolution_of_repeated.cpp).
Var convolve_image(Var x, Var weight, const Sliding&, int64_t groups);
// [out, in / groups, kernel..] -> [in, out / groups, kernel..] with the kernel turned around: the weight of the
// gradient of x.
Var turned(Var weight, int64_t groups);
// Of a convolution, given the gradient g of its result: of x [.., extents..], and of the weight (its shape).
Var input_gradient(Var g, Var weight, const Sliding&, int64_t groups, const List& extents);
Var weight_gradient(Var g, Var x, const Shape& weight, const Sliding&, int64_t groups);

// How often each element stands in the result of a nearest resizing along each spatial dimension; none where it
// is no such resizing, or repeats some elements more often than others.
List repetition_of(Var);

}  // namespace gmc::ops
