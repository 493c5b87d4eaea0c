#include "ops/registry.h"

#include "compiler/graph/core_ops.h"

namespace gmc::ops {

const std::vector<const graph::OpDef*>& registry() {
  static const std::vector<const graph::OpDef*> all = [] {
    std::vector<const graph::OpDef*> out = graph::core_ops();
    for (const auto& family : {elementwise_ops(), activation_ops(), softmax_ops(), random_ops()})
      out.insert(out.end(), family.begin(), family.end());
    return out;
  }();
  return all;
}

}  // namespace gmc::ops
