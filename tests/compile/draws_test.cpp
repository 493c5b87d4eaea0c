// A draw has the same bits wherever it is evaluated: in a kernel of its own, fused, behind a product, transposed,
// twice.
#include "compiler/fusion/policy.h"
#include "compiler/graph/core_ops.h"
#include "compiler/package/compile.h"
#include "compiler/package/session.h"
#include "ops/elementwise.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

using namespace graph;

Var draw(Graph& g, const char* distribution, int64_t stream, const Shape& shape) {
  return {&g, g.add(ops::random_op, {},
                    {{"distribution", std::string(distribution)},
                     {"name", "draw" + std::to_string(stream)},
                     {"stream", stream},
                     {"dtype", std::string("f32")},
                     {"shape", std::vector<int64_t>(shape.begin(), shape.end())}})};
}

Graph drawing() {
  Graph g("sample");
  const int64_t m = 37, k = 5, n = 50;
  const Var x = input(g, "x", "data", {DType::f32, {m, k}}), w = input(g, "w", "data", {DType::f32, {k, n}});
  const Var zero = matmul(x, w);  // of zeros: what is left behind the product is the draw
  const Var a = draw(g, "normal", 11, {m, n}), b = draw(g, "uniform", 12, {n, m}), c = draw(g, "normal", 13, {n});
  const Var d = draw(g, "uniform", 14, {m, 1});
  g.add_output({"behind", (zero + a).value, false});
  g.add_output({"transposed", (zero + transpose(b, {1, 0})).value, false});
  g.add_output({"along", (zero + c).value, false});
  g.add_output({"down", (zero * 2.0 + d).value, false});
  g.add_output({"product_of_draws", matmul(a, b).value, false});
  g.add_output({"row", (a / reshape(sum(a * a, {1}), {m, 1})).value, false});
  g.add_output({"a", a.value, false});
  g.add_output({"b", transpose(b, {1, 0}).value, false});
  g.add_output({"c", c.value, false});
  g.add_output({"d", d.value, false});
  return g;
}

TEST(Draws, HaveTheSameBitsWhereverTheyAreEvaluated) {
  const Graph g = drawing();
  const TensorMap inputs{{"x", HostTensor(DType::f32, {37, 5})}, {"w", HostTensor(DType::f32, {5, 50})}};
  TensorMap first;
  for (const char* policy : {"none", "greedy"})
    for (const char* target : {"native", "x86-64"})
      for (int threads : {1, 3}) {
        const package::Options options{codegen::target_named(target), policy, {}, "", 1, false};
        package::Session session(package::compile({"draws", "{}", {}, {g}}, options), {threads, true});
        const TensorMap got = session.run("sample", inputs, 5, 9);
        const float *a = got.at("a").as<float>(), *b = got.at("b").as<float>(), *c = got.at("c").as<float>(),
                    *d = got.at("d").as<float>();
        for (size_t i = 0; i < 37 * 50; ++i) {
          ASSERT_EQ(got.at("behind").as<float>()[i], a[i]) << i << " with policy " << policy;
          ASSERT_EQ(got.at("transposed").as<float>()[i], b[i]) << i << " with policy " << policy;
          ASSERT_EQ(got.at("along").as<float>()[i], c[i % 50]) << i << " with policy " << policy;
          ASSERT_EQ(got.at("down").as<float>()[i], d[i / 50]) << i << " with policy " << policy;
        }
        if (first.empty()) first = got;
        for (const char* name : {"a", "b", "c", "d"})
          for (size_t i = 0; i < static_cast<size_t>(first.at(name).count()); ++i)
            ASSERT_FLOAT_EQ(got.at(name).as<float>()[i], first.at(name).as<float>()[i])
                << name << " " << i << " with policy " << policy << " for " << target;
        EXPECT_NE(a[0], a[1]);
      }
}

}  // namespace
}  // namespace gmc
