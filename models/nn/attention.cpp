#include "models/nn/attention.h"

#include "compiler/dsl/program.h"
#include "models/nn/init.h"
#include "ops/ops.h"
#include "runtime/base/error.h"

#include <fmt/format.h>

namespace gmc {
namespace {

// [n, t, d] -> [n, heads, t, d / heads] and back.
Tensor apart(const Tensor& x, int64_t heads) {
  return transpose(reshape(x, {x.dim(0), x.dim(1), heads, x.dim(2) / heads}), {0, 2, 1, 3});
}
Tensor together(const Tensor& x) {
  return reshape(transpose(x, {0, 2, 1, 3}), {x.dim(0), x.dim(2), x.dim(1) * x.dim(3)});
}

// x [n, t, d], weight [m, d], bias [m] -> [n, t, m], `parts` of it along the last dimension.
std::vector<Tensor> project(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t parts) {
  const int64_t n = x.dim(0), t = x.dim(1), d = x.dim(2);
  const Tensor y = matmul(reshape(x, {n * t, d}), weight, false, true) + bias;
  return chunk(reshape(y, {n, t, weight.dim(0)}), parts, 2);
}

}  // namespace

MultiheadAttention::MultiheadAttention(int64_t d, int64_t h, std::source_location made)
    : in_proj_weight({3 * d, d}, init::xavier_uniform({3 * d, d}), StateKind::parameter, made),
      in_proj_bias({3 * d}, init::zeros(), StateKind::parameter, made), out_proj(d, d, true, made), heads(h) {
  if (h < 1 || d % h != 0) fail("MultiheadAttention({}, {}): the heads do not divide the width", d, h);
  out_proj.bias.data()->initialiser = init::zeros();
}

Tensor MultiheadAttention::operator()(At x, bool causal) const {
  const int64_t d = out_proj.weight.shape()[0];
  const Scope scope(*this, x, fmt::format("MultiheadAttention({}, {})", d, heads));
  if (x.rank() != 3 || x.dim(2) != d)
    fail_at(x, fmt::format("MultiheadAttention: expected [n, t, {}], got {}", d, to_string(x.shape())));
  const std::vector<Tensor> qkv = project(x, in_proj_weight, in_proj_bias, 3);
  const Tensor y = attention(apart(qkv[0], heads), apart(qkv[1], heads), apart(qkv[2], heads), {.causal = causal});
  return out_proj(together(y));
}

Tensor MultiheadAttention::across(At x, At memory) const {
  const int64_t d = out_proj.weight.shape()[0];
  const Scope scope(*this, x, fmt::format("MultiheadAttention({}, {})", d, heads));
  for (const At& t : {x, memory})
    if (t.rank() != 3 || t.dim(2) != d)
      fail_at(t, fmt::format("MultiheadAttention: expected [n, t, {}], got {}", d, to_string(t.shape())));
  const std::vector<Tensor> weights = split(in_proj_weight, {d, 2 * d}), biases = split(in_proj_bias, {d, 2 * d});
  const Tensor q = project(x, weights[0], biases[0], 1)[0];
  const std::vector<Tensor> kv = project(memory, weights[1], biases[1], 2);
  return out_proj(together(attention(apart(q, heads), apart(kv[0], heads), apart(kv[1], heads))));
}

}  // namespace gmc
