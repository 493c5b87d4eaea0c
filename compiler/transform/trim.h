// A node without what nobody needs of it.
#pragma once

#include "compiler/graph/op.h"

#include <vector>

namespace gmc::transform {

struct Trimmed {
  graph::Node node;                // `inputs` are those of the graph it came from
  std::vector<int32_t> result_of;  // per old result: its number now, -1 if it is gone
};

// `used`: per result, whether anything reads it. Of a loop go the outputs that are not used, the carries that neither
// they nor the other carries need, and the operands that are then not read; of a cond, results and operands alike.
Trimmed trim(graph::Node, const std::vector<bool>& used);

}  // namespace gmc::transform
