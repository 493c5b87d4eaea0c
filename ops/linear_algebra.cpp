// Factorisations and solutions of small matrices, batched over leading dimensions. What is singular gives infinities or
// NaN. Gradients are written in the same ops and products, so that they can be differentiated again.
//
//   Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation (2008)
//   Murray, Differentiation of the Cholesky decomposition (2016)
//   Walter & Lehmann, Algorithmic differentiation of linear algebra functions with application in optimum experimental
//   design (2010), for QR and LU
#include "ops/routines.h"

#include <cmath>

namespace gmc::ops {

namespace {

size_t rank_of(const TensorType& t) { return t.shape.size(); }
int64_t rows_of(const TensorType& t) { return t.shape[rank_of(t) - 2]; }
int64_t columns_of(const TensorType& t) { return t.shape.back(); }

Shape batch_of(const Shape& shape) { return {shape.begin(), shape.end() - 2}; }
Shape matrices(Shape batch, int64_t rows, int64_t columns) {
  batch.insert(batch.end(), {rows, columns});
  return batch;
}

void check_matrix(const TensorType& t) {
  if (rank_of(t) < 2) fail("expected matrices, got {}", to_string(t));
}
void check_square(const TensorType& t) {
  check_matrix(t);
  if (rows_of(t) != columns_of(t)) fail("expected square matrices, got {}", to_string(t));
}

Results infer_square(Types t, const Attributes&) {
  check_square(t[0]);
  return {t[0]};
}
Results infer_solve(Types t, const Attributes&) {
  check_square(t[0]);
  check_matrix(t[1]);
  if (t[1].dtype != t[0].dtype) fail("operands differ: {} and {}", to_string(t[0]), to_string(t[1]));
  if (batch_of(t[0].shape) != batch_of(t[1].shape) || rows_of(t[1]) != columns_of(t[0]))
    fail("{} does not solve for {}", to_string(t[0]), to_string(t[1]));
  return {t[1]};
}

// Rows and columns exchanged.

Var turned(Var x) {
  std::vector<int64_t> perm;
  for (int64_t d = 0; d < std::ssize(x.shape()); ++d) perm.push_back(d);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return transpose(x, perm);
}

Var row_index(Var x) { return index(*x.graph, std::ssize(x.shape()) - 2, {i32, x.shape()}); }
Var column_index(Var x) { return index(*x.graph, std::ssize(x.shape()) - 1, {i32, x.shape()}); }
Var on_diagonal(Var x) { return equal(row_index(x), column_index(x)); }
// Parts of a matrix, 0 elsewhere; with or without the diagonal.
Var lower_of(Var x, bool strict) {
  return strict ? select(less(column_index(x), row_index(x)), x, full_like(x, 0))
                : select(less(row_index(x), column_index(x)), full_like(x, 0), x);
}
Var upper_of(Var x, bool strict) {
  return strict ? select(less(row_index(x), column_index(x)), x, full_like(x, 0))
                : select(less(column_index(x), row_index(x)), full_like(x, 0), x);
}

Var solved(Var a, Var b, bool upper, bool transposed, bool unit = false) {
  return apply(triangular_solve_op, {a, b}, {{"transposed", transposed}, {"unit", unit}, {"upper", upper}});
}

// Rows of x in the order that `rows` [.., n] gives, or put back where they come from.
Var permuted(Var x, Var rows, bool back) {
  std::vector<int64_t> dims, over;
  const int64_t rank = std::ssize(x.shape());
  for (int64_t d = 0; d < rank; ++d) dims.push_back(d == rank - 2 ? -1 : d);
  for (int64_t d = 0; d < rank - 1; ++d) over.push_back(d);
  const Var index_of_row = broadcast(rows, x.shape(), over);
  if (back) return scatter(full_like(x, 0), x, {index_of_row}, {rank - 2}, dims, "set");
  return gather(x, {index_of_row}, {rank - 2}, dims);
}

Vars results_of(const OpDef& op, Var x, size_t count) {
  const Value first = apply(op, {x}).value;
  Vars out;
  for (size_t r = 0; r < count; ++r) out.push_back({x.graph, {first.node, static_cast<int32_t>(r)}});
  return out;
}

// Matrix by matrix: visit(offset of the matrix in x).
template <class Visit>
void for_each_matrix(const Reference& x, Visit visit) {
  const auto size = static_cast<size_t>(x.shape[x.shape.size() - 1] * x.shape[x.shape.size() - 2]);
  const auto count = static_cast<size_t>(element_count(batch_of(x.shape)));
  for (size_t matrix = 0; matrix < count; ++matrix) visit(matrix * size);
}

// Routines of one matrix a tile.
Routine matrix_call(const char* symbol, const TensorType& type, std::vector<int64_t> sizes, int64_t scratch_elements) {
  sizes.insert(sizes.begin(), number_of(type));
  return {symbol, std::move(sizes), element_count(batch_of(type.shape)), checked_mul(8, scratch_elements, "scratch")};
}

std::vector<Sample> square_samples() {
  std::vector<Sample> out;
  for (const Shape& shape : {Shape{3, 3}, {2, 3, 3}, {1, 1}, {2, 1, 2, 2}, {0, 3, 3}})
    out.push_back({{{f32, shape}}, {}, -1, 2});
  return out;
}

std::vector<BadSample> square_bad_samples() {
  return {{{{f32, {3, 4}}}, {}, "expected square matrices, got f32[3,4]"},
          {{{f32, {3}}}, {}, "expected matrices, got f32[3]"},
          {{{i32, {3, 3}}}, {}, "got i32"}};
}

std::vector<BadSample> solve_bad_samples() {
  return {{{{f32, {3, 4}}, {f32, {3, 2}}}, {}, "expected square matrices, got f32[3,4]"},
          {{{f32, {3, 3}}, {f32, {4, 2}}}, {}, "f32[3,3] does not solve for f32[4,2]"},
          {{{f32, {2, 3, 3}}, {f32, {3, 2}}}, {}, "f32[2,3,3] does not solve for f32[3,2]"},
          {{{f32, {3, 3}}, {f64, {3, 2}}}, {}, "operands differ: f32[3,3] and f64[3,2]"}};
}

}  // namespace

// A = L L^T, L lower triangular with a positive diagonal. Only the lower triangle of A is read, and the gradient lies
// there. NaN where A is not positive definite.
const OpDef cholesky_op{
    .name = "cholesky",
    .category = Category::routine,
    .arity = 1,
    .infer = infer_square,
    .reference =
        [](const ReferenceArguments& a) {
          const auto n = static_cast<size_t>(a.inputs[0]->shape.back());
          Reference out{a.inputs[0]->shape, std::vector<double>(a.inputs[0]->values.size())};
          // Outer products: column by column, each taken out of the rest.
          for_each_matrix(out, [&](size_t at) {
            std::vector<double> rest(a.inputs[0]->values.begin() + static_cast<ptrdiff_t>(at),
                                     a.inputs[0]->values.begin() + static_cast<ptrdiff_t>(at + n * n));
            for (size_t k = 0; k < n; ++k) {
              const double root = std::sqrt(rest[k * n + k]);
              for (size_t i = k; i < n; ++i) out.values[at + i * n + k] = i == k ? root : rest[i * n + k] / root;
              for (size_t i = k + 1; i < n; ++i)
                for (size_t j = k + 1; j <= i; ++j)
                  rest[i * n + j] -= out.values[at + i * n + k] * out.values[at + j * n + k];
            }
          });
          return out;
        },
    .routine =
        [](const Node&, Types operands) {
          const int64_t n = columns_of(operands[0]);
          return matrix_call("gmc_cholesky", operands[0], {n}, checked_mul(n, n, "scratch"));
        },
    .vjp = [](Args a) -> Vars {
      // Murray, section 3: L^-T phi(L^T g) L^-1, phi the lower triangle with half the diagonal; it
      // is the gradient of a symmetric matrix, whose halves are added up.
      const Var l = a.results[0];
      const Var p = matmul(l, a.gradients[0], true);
      const Var phi = select(on_diagonal(p), p * 0.5, lower_of(p, true));
      const Var s = turned(solved(l, turned(solved(l, phi, false, true)), false, true));
      return {select(on_diagonal(s), s, lower_of(s + turned(s), true))};
    },
    .cost = 20,
    .samples =
        [] {
          return std::vector<Sample>{{{{f32, {1, 1}}}, {}, 1, 2}, {{{f32, {2, 1, 1}}}, {}, 1, 2}, {{{f32, {0, 3, 3}}}}};
        },
    .bad_samples = square_bad_samples};

// T X = B, T the lower triangle of A or, with `upper`, the upper one; `transposed`: T^T X = B; `unit`: the diagonal
// counts as 1. What A has elsewhere is not read.
const OpDef triangular_solve_op{
    .name = "triangular_solve",
    .category = Category::routine,
    .arity = 2,
    .infer = infer_solve,
    .reference =
        [](const ReferenceArguments& a) {
          const Reference& t = *a.inputs[0];
          const auto n = static_cast<size_t>(t.shape.back()), k = static_cast<size_t>(a.inputs[1]->shape.back());
          const bool upper = a.node.flag("upper"), transposed = a.node.flag("transposed");
          Reference out = *a.inputs[1];
          // Column-oriented: each unknown, once found, is taken out of the equations left.
          for_each_matrix(out, [&](size_t at) {
            const size_t matrix = n * k == 0 ? 0 : at / (n * k) * n * n;
            auto element = [&](size_t i, size_t j) { return t.values[matrix + (transposed ? j * n + i : i * n + j)]; };
            for (size_t step = 0; step < n; ++step) {
              const size_t j = upper == transposed ? step : n - 1 - step;
              for (size_t c = 0; c < k; ++c) {
                double& x = out.values[at + j * k + c];
                if (!a.node.flag("unit")) x /= element(j, j);
                for (size_t i = 0; i < n; ++i)
                  if (upper == transposed ? i > j : i < j) out.values[at + i * k + c] -= element(i, j) * x;
              }
            }
          });
          return out;
        },
    .routine =
        [](const Node& node, Types operands) {
          constexpr int64_t width = 64;
          const int64_t n = columns_of(operands[0]), k = columns_of(operands[1]);
          Routine r = matrix_call(
              "gmc_triangular_solve", operands[1],
              {n, k, node.flag("upper") ? 1 : 0, node.flag("transposed") ? 1 : 0, node.flag("unit") ? 1 : 0, width},
              checked_mul(n, width, "scratch"));
          r.tiles *= ceil_div(k, width);
          return r;
        },
    .vjp = [](Args a) -> Vars {
      // Giles, section 2.3.1; only the triangle is an operand.
      const bool upper = a.node.flag("upper"), transposed = a.node.flag("transposed"), unit = a.node.flag("unit");
      const Var b = solved(a.inputs[0], a.gradients[0], upper, !transposed, unit);
      const Var t = -(transposed ? matmul(a.results[0], b, false, true) : matmul(b, a.results[0], false, true));
      return {upper ? upper_of(t, unit) : lower_of(t, unit), b};
    },
    .cost = 20,
    .samples =
        [] {
          std::vector<Sample> out;
          for (bool upper : {false, true})
            for (bool transposed : {false, true})
              for (bool unit : {false, true})
                out.push_back({{{f32, {3, 3}}, {f32, {3, 2}}},
                               {{"transposed", transposed}, {"unit", unit}, {"upper", upper}},
                               1,
                               2});
          out.push_back({{{f32, {2, 4, 4}}, {f32, {2, 4, 70}}}, {}, 1, 2});
          out.back().inputs[1].shape[2] = 3;
          out.push_back({{{f32, {3, 3}}, {f32, {3, 0}}}, {}, 1, 2});
          return out;
        },
    .bad_samples = solve_bad_samples};

// P A = L U with partial pivoting. Results: L below the diagonal (its own is 1) and U, packed into one matrix; i64
// [.., n], the row of A that is row i of P A; the determinant of P [..].
const OpDef lu_op{.name = "lu",
                  .category = Category::routine,
                  .arity = 1,
                  .infer = [](Types t, const Attributes&) -> Results {
                    check_square(t[0]);
                    Shape rows = t[0].shape;
                    rows.pop_back();
                    return {t[0], {i64, rows}, {t[0].dtype, batch_of(t[0].shape)}};
                  },
                  .references =
                      [](const ReferenceArguments& a) {
                        const auto n = static_cast<size_t>(a.inputs[0]->shape.back());
                        Reference packed = *a.inputs[0], rows{a.node.types[1].shape, {}},
                                  sign{a.node.types[2].shape, {}};
                        // Crout: column j of L and U by products of what is there of them.
                        for_each_matrix(packed, [&](size_t at) {
                          std::vector<double> order(n);
                          for (size_t i = 0; i < n; ++i) order[i] = static_cast<double>(i);
                          double* f = packed.values.data() + at;
                          double parity = 1;
                          for (size_t j = 0; j < n; ++j) {
                            for (size_t i = 0; i < n; ++i)
                              for (size_t k = 0; k < std::min(i, j); ++k) f[i * n + j] -= f[i * n + k] * f[k * n + j];
                            size_t pivot = j;
                            for (size_t i = j; i < n; ++i)
                              if (std::fabs(f[i * n + j]) > std::fabs(f[pivot * n + j])) pivot = i;
                            if (pivot != j) {
                              std::swap_ranges(f + j * n, f + j * n + n, f + pivot * n);
                              std::swap(order[j], order[pivot]);
                              parity = -parity;
                            }
                            for (size_t i = j + 1; i < n; ++i)
                              if (f[j * n + j] != 0) f[i * n + j] /= f[j * n + j];
                          }
                          rows.values.insert(rows.values.end(), order.begin(), order.end());
                          sign.values.push_back(parity);
                        });
                        return std::vector<Reference>{packed, rows, sign};
                      },
                  .routine =
                      [](const Node&, Types operands) {
                        const int64_t n = columns_of(operands[0]);
                        return matrix_call("gmc_lu", operands[0], {n}, checked_mul(n, n, "scratch"));
                      },
                  .vjp = [](Args a) -> Vars {
                    if (!a.gradients[0].valid()) return {Var{}};
                    // Walter & Lehmann, section 5: P^T L^-T (strict lower of L^T gL + upper of gU U^T) U^-T.
                    const Var f = a.results[0], g = a.gradients[0];
                    const Var l = select(on_diagonal(f), full_like(f, 1), lower_of(f, true));
                    const Var inside = lower_of(matmul(l, lower_of(g, true), true), true) +
                                       upper_of(matmul(upper_of(g, false), upper_of(f, false), false, true), false);
                    const Var z = turned(solved(f, turned(solved(f, inside, false, true, true)), true, false));
                    return {permuted(z, a.results[1], true)};
                  },
                  .cost = 20,
                  .samples = square_samples,
                  .bad_samples = square_bad_samples};

// A = Q R of [.., m, n], m >= n: Q [.., m, n] with orthonormal columns, R [.., n, n] upper triangular, its diagonal not
// negative.
const OpDef qr_op{.name = "qr",
                  .category = Category::routine,
                  .arity = 1,
                  .infer = [](Types t, const Attributes&) -> Results {
                    check_matrix(t[0]);
                    if (rows_of(t[0]) < columns_of(t[0]))
                      fail("expected at least as many rows as columns, got {}", to_string(t[0]));
                    return {t[0], {t[0].dtype, matrices(batch_of(t[0].shape), columns_of(t[0]), columns_of(t[0]))}};
                  },
                  .references =
                      [](const ReferenceArguments& a) {
                        Reference q = *a.inputs[0], r{a.node.types[1].shape, {}};
                        r.values.resize(static_cast<size_t>(element_count(r.shape)));
                        const auto m = static_cast<size_t>(q.shape[q.shape.size() - 2]),
                                   n = static_cast<size_t>(q.shape.back());
                        // Modified Gram-Schmidt: each column is normalised and taken out of those behind it.
                        for_each_matrix(q, [&](size_t at) {
                          double *x = q.values.data() + at, *y = r.values.data() + (m == 0 ? 0 : at / m * n);
                          auto dot = [&](size_t i, size_t j) {
                            double sum = 0;
                            for (size_t row = 0; row < m; ++row) sum += x[row * n + i] * x[row * n + j];
                            return sum;
                          };
                          for (size_t k = 0; k < n; ++k) {
                            y[k * n + k] = std::sqrt(dot(k, k));
                            for (size_t row = 0; row < m; ++row) x[row * n + k] /= y[k * n + k];
                            for (size_t j = k + 1; j < n; ++j) {
                              y[k * n + j] = dot(k, j);
                              for (size_t row = 0; row < m; ++row) x[row * n + j] -= y[k * n + j] * x[row * n + k];
                            }
                          }
                        });
                        return std::vector<Reference>{q, r};
                      },
                  .routine =
                      [](const Node&, Types operands) {
                        const int64_t m = rows_of(operands[0]), n = columns_of(operands[0]);
                        return matrix_call("gmc_qr", operands[0], {m, n}, checked_mul(2 * m + n + 1, n, "scratch"));
                      },
                  .vjp = [](Args a) -> Vars {
                    // Walter & Lehmann, section 4.3: (gQ + Q copyltu(R gR^T - gQ^T Q)) R^-T, copyltu the lower triangle
                    // mirrored.
                    const Var q = a.results[0], r = a.results[1];
                    const Var gq = a.gradients[0].valid() ? a.gradients[0] : full_like(q, 0);
                    const Var gr = a.gradients[1].valid() ? upper_of(a.gradients[1], false) : full_like(r, 0);
                    const Var m = matmul(r, gr, false, true) - matmul(gq, q, true);
                    const Var mirrored = lower_of(m, false) + turned(lower_of(m, true));
                    return {turned(solved(r, turned(gq + matmul(q, mirrored)), true, false))};
                  },
                  .cost = 40,
                  .samples =
                      [] {
                        std::vector<Sample> out = square_samples();
                        out.push_back({{{f32, {5, 3}}}, {}, -1, 2});
                        out.push_back({{{f32, {2, 3, 2}}}, {}, -1, 2});
                        return out;
                      },
                  .bad_samples =
                      [] {
                        return std::vector<BadSample>{
                            {{{f32, {3, 4}}}, {}, "expected at least as many rows as columns, got f32[3,4]"},
                            {{{f32, {3}}}, {}, "expected matrices, got f32[3]"},
                            {{{i64, {3, 3}}}, {}, "got i64"}};
                      }};

// A X = B for square A [.., n, n] and B [.., n, k], by lu.
const OpDef solve_op{.name = "solve",
                     .category = Category::composite,
                     .arity = 2,
                     .infer = infer_solve,
                     .vjp = [](Args a) -> Vars {
                       // Giles, section 2.3.1.
                       const Var b = apply(solve_op, {turned(a.inputs[0]), a.gradients[0]});
                       return {-matmul(b, a.results[0], false, true), b};
                     },
                     .expand = [](Graph&, const Node&, Operands x) -> Vars {
                       const Vars f = results_of(lu_op, x[0], 3);
                       const Var y = solved(f[0], permuted(x[1], f[1], false), false, false, true);
                       return {solved(f[0], y, true, false)};
                     },
                     .samples =
                         [] {
                           return std::vector<Sample>{{{{f32, {3, 3}}, {f32, {3, 2}}}, {}, 1, 2},
                                                      {{{f32, {2, 3, 3}}, {f32, {2, 3, 1}}}, {}, 1, 2},
                                                      {{{f32, {1, 1}}, {f32, {1, 4}}}, {}, 1, 2}};
                         },
                     .bad_samples = solve_bad_samples};

// A^-1 of [.., n, n], by lu.
const OpDef inverse_op{.name = "inverse",
                       .category = Category::composite,
                       .arity = 1,
                       .infer = infer_square,
                       .vjp = [](Args a) -> Vars {
                         // Giles, section 2.2.3.
                         const Var x = a.results[0];
                         return {-matmul(matmul(x, a.gradients[0], true), x, false, true)};
                       },
                       .expand = [](Graph&, const Node&, Operands x) -> Vars {
                         return {apply(solve_op, {x[0], cast(on_diagonal(x[0]), x[0].type().dtype)})};
                       },
                       .samples = square_samples,
                       .bad_samples = square_bad_samples};

// Of square matrices [.., n, n]: log |det A| [..] and the sign of det A [..], by lu. Singular: -inf and 0.
const OpDef log_det_op{.name = "log_det",
                       .category = Category::composite,
                       .arity = 1,
                       .infer = [](Types t, const Attributes&) -> Results {
                         check_square(t[0]);
                         const TensorType one{t[0].dtype, batch_of(t[0].shape)};
                         return {one, one};
                       },
                       .vjp = [](Args a) -> Vars {
                         if (!a.gradients[0].valid()) return {Var{}};
                         // Giles, section 2.2.4. The sign is constant wherever it has a gradient.
                         const Var x = a.inputs[0];
                         std::vector<int64_t> over;
                         for (int64_t d = 0; d < std::ssize(x.shape()) - 2; ++d) over.push_back(d);
                         return {broadcast(a.gradients[0], x.shape(), over) * turned(apply(inverse_op, {x}))};
                       },
                       .expand = [](Graph&, const Node&, Operands x) -> Vars {
                         const Vars f = results_of(lu_op, x[0], 3);
                         const int64_t last = std::ssize(x[0].shape()) - 1;
                         const Var diagonal = sum(select(on_diagonal(f[0]), f[0], full_like(f[0], 0)), {last});
                         return {sum(apply(log_op, {apply(abs_op, {diagonal})}), {last - 1}),
                                 f[2] * reduce(sign(diagonal), "prod", {last - 1})};
                       },
                       .samples = square_samples,
                       .bad_samples = square_bad_samples};

}  // namespace gmc::ops
