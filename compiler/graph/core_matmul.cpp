#include "compiler/graph/core_rules.h"

#include <algorithm>

namespace gmc::graph {
namespace {
Shape as_multiplied(Shape matrix, bool transposed) {
  if (transposed) std::swap(matrix[matrix.size() - 2], matrix[matrix.size() - 1]);
  return matrix;
}
}  // namespace

const OpDef matmul_op{
    .name = "matmul",
    .category = Category::matmul,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      const Shape &x = t[0].shape, &y = t[1].shape;
      if (t[0].dtype != t[1].dtype)
        fail("expected two operands of one dtype, got {} and {}", name_of(t[0].dtype), name_of(t[1].dtype));
      if (x.size() < 2 || y.size() != x.size())
        fail("expected two matrices of one rank, got {} x {}", to_string(x), to_string(y));
      const size_t r = x.size();
      const bool ta = get_flag(a, "transpose_a"), tb = get_flag(a, "transpose_b");
      const int64_t m = x[ta ? r - 1 : r - 2], k = x[ta ? r - 2 : r - 1], n = y[tb ? r - 2 : r - 1];
      if (k != y[tb ? r - 1 : r - 2])
        fail("inner sizes differ: {} x {}", to_string(as_multiplied(x, ta)), to_string(as_multiplied(y, tb)));
      TensorType out{t[0].dtype, Shape(x.begin(), x.end() - 2)};
      if (!std::equal(x.begin(), x.end() - 2, y.begin())) fail("batches differ: {} x {}", to_string(x), to_string(y));
      out.shape.insert(out.shape.end(), {m, n});
      return {out};
    },
    .dtypes = numeric,
    .reference =
        [](const ReferenceArguments& a) {
          const bool ta = a.node.flag("transpose_a"), tb = a.node.flag("transpose_b");
          const Shape& to = a.node.types[0].shape;
          const size_t r = to.size();
          const int64_t m = to[r - 2], n = to[r - 1], k = a.inputs[0]->shape[ta ? r - 2 : r - 1];
          Reference out{to, std::vector<double>(static_cast<size_t>(element_count(to)), 0.0)};
          const int64_t batches = m * n == 0 ? 0 : element_count(to) / (m * n);
          for (int64_t b = 0; b < batches; ++b) {
            const double* x = a.inputs[0]->values.data() + b * m * k;
            const double* y = a.inputs[1]->values.data() + b * k * n;
            double* z = out.values.data() + b * m * n;
            for (int64_t i = 0; i < m; ++i)
              for (int64_t l = 0; l < k; ++l) {
                const double xv = x[ta ? l * m + i : i * k + l];
                for (int64_t j = 0; j < n; ++j) z[i * n + j] += xv * y[tb ? j * k + l : l * n + j];
              }
          }
          return out;
        },
    .vjp =
        [](const VjpArguments& a) {
          const bool ta = a.node.flag("transpose_a"), tb = a.node.flag("transpose_b");
          const Var g = a.gradients[0], x = a.inputs[0], y = a.inputs[1];
          const Var dx = ta ? matmul(y, g, tb, true) : matmul(g, y, false, !tb);
          const Var dy = tb ? matmul(g, x, true, ta) : matmul(x, g, !ta, false);
          return std::vector<Var>{dx, dy};
        },
    .cost = 1000,
    .narrow = Narrow::always,
    .samples =
        [] {
          std::vector<Sample> samples;
          for (bool ta : {false, true})
            for (bool tb : {false, true}) {
              const Shape x = ta ? Shape{5, 3} : Shape{3, 5}, y = tb ? Shape{17, 5} : Shape{5, 17};
              samples.push_back({{{f32, x}, {f32, y}}, {{"transpose_a", ta}, {"transpose_b", tb}}});
            }
          return samples;
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{{{{f32, {2, 3}}, {f32, {4, 5}}}, {}, "inner sizes differ: [2, 3] x [4, 5]"},
                                        {{{f32, {2, 3}}, {f32, {3}}}, {}, "expected two matrices of one rank"},
                                        {{{f32, {2, 3}}, {f64, {3, 4}}}, {}, "of one dtype, got f32 and f64"}};
        }};

}  // namespace gmc::graph
