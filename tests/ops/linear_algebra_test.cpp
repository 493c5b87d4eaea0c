// Factorisations on matrices that random samples seldom are: positive definite, zero or singular ones; products with
// zeros; what is in the gradient of a whole formula.
#include "compiler/graph/interpret.h"
#include "compiler/transform/differentiate.h"
#include "ops/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>

namespace gmc {
namespace {

using namespace graph;
using Values = std::vector<double>;

Values value_of(Var v, const std::map<std::string, Reference>& inputs) {
  Graph g = *v.graph;
  g.set_outputs({{"v", v.value, false}});
  return interpret(g, inputs).outputs.at("v").values;
}

// Central differences of a scalar against its gradient with respect to x.
void expect_gradient(Var y, Var x, Reference at) {
  const Values symbolic = value_of(transform::differentiate(y, {x})[0], {{"x", at}});
  for (size_t i = 0; i < at.values.size(); ++i) {
    const double kept = at.values[i];
    at.values[i] = kept + 1e-6;
    const double above = value_of(y, {{"x", at}})[0];
    at.values[i] = kept - 1e-6;
    const double below = value_of(y, {{"x", at}})[0];
    at.values[i] = kept;
    const double numeric = (above - below) / 2e-6;
    EXPECT_NEAR(symbolic[i], numeric, 1e-5 * (1 + std::fabs(numeric))) << i;
  }
}

Reference spread_values(const Shape& shape) {
  Reference out{shape, {}};
  for (int64_t i = 0; i < element_count(shape); ++i)
    out.values.push_back(std::sin(1.7 * static_cast<double>(i * i) + 0.3));
  return out;
}

// B B^T + 4 I, positive definite for every B, and a sum of its factor's elements, each with a weight of its own.
Var weighted_factor(Var b) {
  const Shape shape = b.shape();
  const int64_t rank = std::ssize(shape);
  const Var diagonal = equal(index(*b.graph, rank - 2, {i32, shape}), index(*b.graph, rank - 1, {i32, shape}));
  const Var l = apply(ops::cholesky_op, {matmul(b, b, false, true) + cast(diagonal, f64) * 4.0});
  return sum(l * literal(*b.graph, spread_values(shape).values, {f64, shape}));
}

TEST(Cholesky, GradientsOfFirstAndSecondOrderAgreeWithDifferences) {
  for (const Shape& shape : {Shape{4, 4}, Shape{2, 3, 3}}) {
    Graph g("trial");
    const Var x = input(g, "x", "data", {f64, shape});
    const Var y = weighted_factor(x);
    expect_gradient(y, x, spread_values(shape));
    const Var first = transform::differentiate(y, {x})[0];
    expect_gradient(sum(first * first), x, spread_values(shape));
  }
}

// Rank one: columns that are multiples of another.
TEST(Lu, OfASingularMatrixHasAZeroOnTheDiagonal) {
  Graph g("trial");
  const Var x = input(g, "x", "data", {f64, {3, 3}});
  const Reference singular{{3, 3}, {1, 2, 3, 2, 4, 6, 4, 8, 12}};
  const Value f = apply(ops::log_det_op, {x}).value;
  EXPECT_EQ(value_of({&g, {f.node, 0}}, {{"x", singular}})[0], -INFINITY);
  EXPECT_EQ(value_of({&g, {f.node, 1}}, {{"x", singular}})[0], 0);
  for (double v : value_of(apply(ops::inverse_op, {x}), {{"x", singular}})) EXPECT_FALSE(std::isfinite(v));
}

TEST(Lu, DeterminantOfAPermutationIsItsSign) {
  Graph g("trial");
  const Var x = input(g, "x", "data", {f64, {3, 3}});
  const Value f = apply(ops::log_det_op, {x}).value;
  for (const auto& [values, sign] :
       {std::pair{Values{0, 1, 0, 1, 0, 0, 0, 0, 1}, -1.0}, std::pair{Values{0, 1, 0, 0, 0, 1, 1, 0, 0}, 1.0}}) {
    EXPECT_EQ(value_of({&g, {f.node, 1}}, {{"x", {{3, 3}, values}}})[0], sign);
    EXPECT_EQ(value_of({&g, {f.node, 0}}, {{"x", {{3, 3}, values}}})[0], 0);
  }
}

TEST(Cumulate, GradientOfAProductIsRightWithZeros) {
  for (bool exclusive : {false, true})
    for (bool reverse : {false, true})
      for (const Values& values : {Values{2, 0, 3, 5}, Values{0, 2, 0, 3}, Values{1, 2, 3, 0}}) {
        Graph g("trial");
        const Var x = input(g, "x", "data", {f64, {4}});
        const Var y = apply(ops::cumulate_op, {x},
                            {{"axis", int64_t{0}}, {"exclusive", exclusive}, {"monoid", "prod"}, {"reverse", reverse}});
        expect_gradient(sum(y * literal(g, {1, 2, 3, 4}, {f64, {4}})), x, {{4}, values});
      }
}

TEST(Logcumsumexp, KeepsSmallPrefixesAndEmptyOnes) {
  Graph g("trial");
  const Var x = input(g, "x", "data", {f64, {4}});
  const Values got =
      value_of(apply(ops::logcumsumexp_op, {x}, {{"axis", int64_t{0}}}), {{"x", {{4}, {-INFINITY, -1000, 0, 1000}}}});
  EXPECT_EQ(got, (Values{-INFINITY, -1000, 0, 1000}));
}

}  // namespace
}  // namespace gmc
