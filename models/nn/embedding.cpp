#include "models/nn/embedding.h"

#include "compiler/dsl/program.h"
#include "models/nn/init.h"
#include "ops/ops.h"

#include <fmt/format.h>

namespace gmc {

Embedding::Embedding(int64_t n, int64_t d, std::source_location made)
    : weight({n, d}, init::normal(0, 1), StateKind::parameter, made) {}

Tensor Embedding::operator()(At ids) const {
  const Scope scope(*this, ids, fmt::format("Embedding({}, {})", weight.shape()[0], weight.shape()[1]));
  return embedding(ids, weight);
}

}  // namespace gmc
