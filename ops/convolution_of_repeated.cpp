// Convolutions of enlarged images. Where every element of the image stands there twice in a row (nearest resizing by
// two), neighbouring taps of a window see the same element, and their weights may be added before the products
// are made: the convolution is the transposed one, by step 2, of the image before it was enlarged. Of a kernel of 3 x 3
// that takes 4 products where there were 9, forward and in both gradients, and the enlarged image is never made.
#include "ops/convolution.h"

namespace gmc::ops {
namespace {

// Element i + 1 next to element i along a dimension, and both added up; what stands alone at an end stays as it is.
Var neighbours_added(Var w, size_t dimension) {
  List none(w.shape().size(), 0), one = none;
  one[dimension] = 1;
  return pad(w, none, one) + pad(w, one, none);
}

}  // namespace

// y[i] = sum over t of w[t] x[(i + t - low) / 2] is sum over v of x[v] W[i - 2 v + LOW], W[m] = u[m] + u[m - 1] with
// u[j] = w[kernel - 1 - j] and LOW = kernel - 1 - low. Halves are left alone: their added weights would be rounded.
Var convolve_image(Var x, Var w, const Sliding& s, int64_t groups) {
  const List times = repetition_of(x);
  const auto plain = [&] { return convolve(x, w, s, groups); };
  if (times.empty() || w.shape().size() != x.shape().size() || (w.type().dtype != f32 && w.type().dtype != f64))
    return plain();
  Sliding back = s;
  int64_t taps = 1, taps_now = 1;
  for (size_t j = 0; j < times.size(); ++j) {
    const int64_t kernel = w.shape()[2 + j];
    back.step[j] = times[j];
    back.low[j] = kernel - 1 - s.low[j];
    back.high[j] = kernel - 1 - s.high[j];
    if (times[j] > 2 || s.step[j] != 1 || s.dilation[j] != 1 || back.low[j] < 0 || back.high[j] < 0) return plain();
    taps *= kernel;
    taps_now *= times[j] == 2 ? kernel / 2 + 1 : kernel;
  }
  if (taps_now >= taps || groups < 1 || w.shape()[0] % groups != 0 || x.shape()[1] != w.shape()[1] * groups)
    return plain();
  const Var image{x.graph, x.graph->node(x.value).inputs[0]};
  Var weight = turned(w, groups);
  for (size_t j = 0; j < times.size(); ++j)
    if (times[j] == 2) weight = neighbours_added(weight, 2 + j);
  return apply(transposed_convolution_op, {image, weight},
               {{"step", back.step},
                {"low", back.low},
                {"high", back.high},
                {"dilation", back.dilation},
                {"groups", groups},
                {"extra", List(times.size(), 0)}});
}

}  // namespace gmc::ops
