// Graphs in which the number of paths grows exponentially with the number of ops: every stage has to look at each op a
// bounded number of times.
#include "compiler/codegen/target.h"
#include "compiler/fusion/policy.h"
#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/package/compile.h"
#include "compiler/package/session.h"
#include "ops/elementwise.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

using namespace graph;

TEST(Sharing, AValueUsedTwiceAtEveryStepBeforeARowReduction) {
  Graph g("eval");
  const Var x = input(g, "x", "data", {DType::f32, {4, 40}});
  Var h = x;
  for (int i = 0; i < 64; ++i) h = h * h * 0.5 + h;
  const Var top = reshape(reduce(h, "max", {1}), {4, 1});
  g.add_output({"y", (h - top).value, false});

  Reference values{{4, 40}, std::vector<double>(160)};
  HostTensor in(DType::f32, {4, 40});
  for (size_t i = 0; i < 160; ++i) in.as<float>()[i] = static_cast<float>(values.values[i] = -0.01 * double(i % 50));
  const Interpretation expected = interpret(g, {{"x", values}});
  const package::Options options{codegen::host_target(), "greedy", {}, "", 1, false};
  package::Session session(package::compile({"sharing", "{}", {}, {g}}, options), {1, true});
  const TensorMap got = session.run("eval", {{"x", in}});
  for (size_t i = 0; i < 160; ++i)
    ASSERT_NEAR(got.at("y").as<float>()[i], expected.outputs.at("y").values[i], 1e-6) << i;
}

}  // namespace
}  // namespace gmc
