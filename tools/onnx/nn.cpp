// Products, convolutions and pooling.
#include "tools/onnx/build.h"

namespace gmc::onnx {
namespace {

std::vector<Value> matmul(Call& c) { return one(product(c[0], c[1])); }

std::vector<Value> gemm(Call& c) {
  if (c.rank(0) != 2 || c.rank(1) != 2)
    fail("expected matrices, got {} and {}", to_string(c[0].shape()), to_string(c[1].shape()));
  Var out = graph::matmul(c[0], c[1], c.integer("transA", 0) != 0, c.integer("transB", 0) != 0);
  if (const double alpha = c.number("alpha", 1); alpha != 1) out = out * alpha;
  if (!c.has(2)) return one(out);
  Var bias = c[2];
  if (const double beta = c.number("beta", 1); beta != 1) bias = bias * beta;
  if (graph::broadcast_shape(out.shape(), bias.shape()) != out.shape())
    fail("a bias {} for {}", to_string(bias.shape()), to_string(out.shape()));
  return one(out + bias);
}

constexpr Row rows[] = {
    {"Gemm", gemm},
    {"MatMul", matmul},
};

}  // namespace

std::span<const Row> nn_rows() { return rows; }

}  // namespace gmc::onnx
