#include "ops/registry.h"

#include "compiler/graph/core_ops.h"
#include "ops/op_list.h"

#include <iterator>

namespace gmc::ops {

const std::vector<const graph::OpDef*>& registry() {
  static const std::vector<const graph::OpDef*> all = [] {
    std::vector<const graph::OpDef*> out = graph::core_ops();
    out.insert(out.end(), std::begin(op_list), std::end(op_list));
    return out;
  }();
  return all;
}

}  // namespace gmc::ops
