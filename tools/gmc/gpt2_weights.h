// Weights of GPT-2 as Hugging Face's transformers names and lays them out.
#pragma once

#include "runtime/base/tensor.h"

#include <string>

namespace gmc::tool {

// Whether a file's tensors are of that kind: `h.0.attn.c_attn.weight`, with or without `transformer.` in front.
bool are_gpt2_weights(const TensorMap&);

// The same under the names of ar-gpt: `attn.c_attn`, `attn.c_proj`, `mlp.c_fc` and `mlp.c_proj` become `attn`, `proj`,
// `fc` and `fc_proj`, whose weights are transposed ([out, in] instead of [in, out]); masks (`attn.bias` of rank 4,
// `attn.masked_bias`) are left out; f16 and bf16 are widened. Throws `Error` for `lm_head.weight` that is not equal to
// `wte.weight`: the head of ar-gpt is tied.
TensorMap from_gpt2(const TensorMap&, const std::string& path);

}  // namespace gmc::tool
