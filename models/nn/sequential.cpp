#include "models/nn/sequential.h"

namespace gmc {

Tensor Sequential::operator()(At x) const {
  Tensor y = x;
  for (const auto& layer : layers_) y = layer->apply(At(y, x.where()));
  return y;
}

}  // namespace gmc
