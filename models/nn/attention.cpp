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

void check_width(const At& x, int64_t d) {
  if (x.rank() != 3 || x.dim(2) != d)
    fail_at(x, fmt::format("MultiheadAttention: expected [n, t, {}], got {}", d, to_string(x.shape())));
}

// What parts first..last - 1 of queries, keys and values are for x [n, t, d].
std::vector<Tensor> project(const MultiheadAttention& layer, const Tensor& x, int64_t first, int64_t last) {
  const int64_t n = x.dim(0), t = x.dim(1), d = x.dim(2), parts = last - first;
  const Tensor weight = slice(layer.in_proj_weight, 0, first * d, last * d);
  const Tensor y =
      matmul(reshape(x, {n * t, d}), weight, false, true) + slice(layer.in_proj_bias, 0, first * d, last * d);
  std::vector<Tensor> out = chunk(reshape(y, {n, t, parts * d}), parts, 2);
  for (Tensor& part : out) part = apart(part, layer.heads);
  return out;
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
  check_width(x, d);
  const std::vector<Tensor> qkv = project(*this, x, 0, 3);
  return out_proj(together(attention(qkv[0], qkv[1], qkv[2], {.causal = causal})));
}

KeysValues MultiheadAttention::keys_values(At memory) const {
  const int64_t d = out_proj.weight.shape()[0];
  const Scope scope(*this, memory, fmt::format("MultiheadAttention({}, {})", d, heads));
  check_width(memory, d);
  const std::vector<Tensor> kv = project(*this, memory, 1, 3);
  return {kv[0], kv[1]};
}

Tensor MultiheadAttention::attend(At x, const KeysValues& memory) const {
  const int64_t d = out_proj.weight.shape()[0];
  const Scope scope(*this, x, fmt::format("MultiheadAttention({}, {})", d, heads));
  check_width(x, d);
  return out_proj(together(attention(project(*this, x, 0, 1)[0], memory.keys, memory.values)));
}

Tensor MultiheadAttention::attend(At x, const KeysValues& memory, At mask) const {
  const int64_t d = out_proj.weight.shape()[0];
  const Scope scope(*this, x, fmt::format("MultiheadAttention({}, {})", d, heads));
  check_width(x, d);
  return out_proj(together(attention(project(*this, x, 0, 1)[0], memory.keys, memory.values, mask)));
}

}  // namespace gmc
