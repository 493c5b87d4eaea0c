// Graph + plan -> kernels and library calls: the only place where graph and kernel meet.
#pragma once

#include "compiler/fusion/plan.h"
#include "compiler/graph/op.h"
#include "compiler/kernel/kernel.h"

#include <string>
#include <vector>

namespace gmc::lower {

// A library product: C[m, n] = op(A) op(B), operands as in execute::MatmulCall.
struct LibraryProduct {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
};

struct Step {
  kernel::Kernel kernel;             // of a call: name and parameters only
  std::vector<graph::Value> values;  // per parameter: the graph value it holds; invalid for a temporary
  std::string library;               // empty: generated
  LibraryProduct product;            // of a call of oneDNN
  graph::Routine routine = {};       // of a call of the runtime; without symbol otherwise
  int32_t control = -1;              // the node with regions that this is: operands and results are `values`
  double work = 0;                   // in additions: whether sharing it among threads pays
};

// Steps in the plan's order. Throws `Error` naming op and dtype where something cannot be compiled.
std::vector<Step> lower(const fusion::View&, const fusion::Plan&);

}  // namespace gmc::lower
