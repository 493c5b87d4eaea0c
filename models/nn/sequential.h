// A list of layers, applied one after the other: `Sequential{Linear(3, 4), Relu(), Linear(4, 1)}`.
//
// What has no weights counts, so the second Linear's weight is `2.weight`, as in PyTorch's nn.Sequential.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"

#include <memory>
#include <string>
#include <vector>

namespace gmc {

class Sequential {
public:
  template <class... Layers>
  explicit Sequential(const Layers&... layers) {
    (add(layers), ...);
  }

  // Any copyable type with Tensor operator()(At) const; a module, if it has weights.
  template <class Layer>
  void add(const Layer& layer) {
    layers_.push_back(std::make_shared<Holder<Layer>>(layer));
    if constexpr (IsModule<Layer>) {
      parts_.push_back(Part(layer));
      parts_.back().name = std::to_string(layers_.size() - 1);
    }
  }

  const Parts& gmc_parts() const { return parts_; }
  Tensor operator()(At x) const;

private:
  struct Any {
    virtual ~Any() = default;
    virtual Tensor apply(const At& x) const = 0;
  };
  template <class Layer>
  struct Holder : Any {
    explicit Holder(const Layer& l) : layer(l) {}
    Tensor apply(const At& x) const override { return layer(x); }
    Layer layer;
  };

  std::vector<std::shared_ptr<const Any>> layers_;
  Parts parts_;
};

}  // namespace gmc
