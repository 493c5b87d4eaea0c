// How the ops of a graph read their operands, found by walking index tuples through the movements between them. The
// plan checker's own view of the graph: it shares no code with View's accesses.
#pragma once

#include "compiler/fusion/view.h"

namespace gmc::fusion {

// Index (i0, i1, ...) of the reader's index space reads element sum strides[d] * i_d of `source`, which is dense, if
// `affine`; otherwise no strides say it. Affinity through a reshape or an affine map is tried at every index of a small
// space and at 256 spread indices of a larger one; strides[d] is 0 where the extent is 1 or the space empty.
struct Reading {
  Value source;
  Shape space;  // of the reader: a reduction's or a product's operand, otherwise its result
  Shape strides;
  bool affine = true;
};

// Operand k of an op, down to the op, input or constant that holds the elements.
Reading read_operand(const View&, int op, size_t k);

// Distance between neighbours along each dimension of a dense tensor, in elements.
Shape row_major_steps(const Shape&);

}  // namespace gmc::fusion
