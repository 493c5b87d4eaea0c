// What convolutions and pooling share. Internal.
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
// Windows over the spatial dimensions: [n, channels, places.., kernel..].
Var sliding_windows(Var x, const List& kernel, const Sliding&, double outside = 0);
// The transpose of that: sums of what windows would read from each element of [n, channels, extents..].
Var overlap_add(Var windows, const Sliding&, const List& extents);

}  // namespace gmc::ops
