// Attention of several heads (Vaswani et al. 2017, section 3.2.2), with PyTorch's weights.
#pragma once

#include "compiler/dsl/location.h"
#include "compiler/dsl/module.h"
#include "models/nn/linear.h"

#include <cstdint>
#include <source_location>

namespace gmc {

// What places offer to attention: [n, heads, s, d / heads] each.
struct KeysValues {
  Tensor keys, values;
};

// in_proj_weight [3 d, d] and in_proj_bias [3 d] make queries, keys and values, out_proj is Linear(d, d). The first
// starts as Xavier's, biases start from 0, as in PyTorch's nn.MultiheadAttention.
struct MultiheadAttention {
  Parameter in_proj_weight, in_proj_bias;
  Linear out_proj;
  int64_t heads;
  GMC_PARTS(in_proj_weight, in_proj_bias, out_proj)

  // Throws `Error` unless the heads divide d.
  MultiheadAttention(int64_t d, int64_t heads, std::source_location made = std::source_location::current());

  // x [n, t, d] attends to itself; `causal`: each place to those up to it.
  Tensor operator()(At x, bool causal = false) const;
  // In two steps: what memory [n, s, d] offers, and x [n, t, d] attending to it. `mask`: bool, true where a place may
  // attend, broadcasts to [n, heads, t, s].
  KeysValues keys_values(At memory) const;
  Tensor attend(At x, const KeysValues&) const;
  Tensor attend(At x, const KeysValues&, At mask) const;
};

}  // namespace gmc
