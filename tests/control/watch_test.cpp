// What a loop stacks can be seen while it runs.
#include "compiler/package/session.h"
#include "runtime/base/error.h"
#include "tests/control/regions.h"
#include "tests/support/agree.h"

#include <gtest/gtest.h>

namespace gmc {
namespace {

using namespace tests;

// Doubles x five times, in an inner loop of two trips each; the stack leaves as it is, or in another shape.
package::Compiled doubler(bool reshaped) {
  Graph g("sample");
  const std::vector<TensorType> types{index_type, {f32, {1, 3}}};
  const Region twice = region("twice", types, [](Graph&, const Vars& a) { return Vars{a[1] * 1.5}; });
  const Region body = region("body", types, [&](Graph& r, const Vars& a) {
    const Var next = scan(r, twice, 2, {a[1]}, {}, {})[0];
    return Vars{next, next};
  });
  const Var stack = scan(g, body, 5, {data(g, "x", {1, 3})}, {}, {})[1];
  g.add_output({"y", (reshaped ? reshape(stack, {3, 5}) : stack).value, false});
  verify(g);
  return package::compile({"doubler", "{}", {}, {g}}, with_policy("greedy"));
}

TEST(Watch, SeesTheStackGrow) {
  for (const bool reshaped : {false, true}) {
    package::Session session(doubler(reshaped), {.threads = 2});
    const float x[3] = {1, 2, 3};
    float y[15];
    std::fill(std::begin(y), std::end(y), -1.0f);
    int trips = 0;
    double factor = 1;
    session.run(0, {x}, {y}, 0, 0, [&] {
      factor *= 2.25;
      for (int i = 0; i < 3; ++i) EXPECT_EQ(y[3 * trips + i], static_cast<float>(factor * x[i]));
      ++trips;
      for (int i = 3 * trips; i < 15; ++i) EXPECT_EQ(y[i], -1) << "after " << trips;
    });
    EXPECT_EQ(trips, 5);
  }
}

TEST(Watch, HandsAnExceptionOn) {
  package::Session session(doubler(true), {.threads = 1});
  const float x[3] = {1, 2, 3};
  float y[15], again[15];
  int calls = 0;
  EXPECT_THROW(session.run(0, {x}, {y}, 0, 0,
                           [&] {
                             ++calls;
                             fail("enough");
                           }),
               Error);
  EXPECT_EQ(calls, 1);
  session.run(0, {x}, {again}, 0, 0);
  EXPECT_TRUE(std::equal(std::begin(y), std::end(y), std::begin(again)));
}

}  // namespace
}  // namespace gmc
