// Regions in the text form, and what is refused.
#include "compiler/fusion/plan.h"
#include "runtime/base/error.h"
#include "tests/control/regions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc {
namespace {

using namespace tests;

// Cumulative sums, three deep: a scan in a while in a cond.
Graph nested() {
  Graph g("entry");
  const Var x = data(g, "x", {4, 3}), flag = input(g, "flag", "data", {boolean, {}});
  const Region step = region("step", {index_type, {f32, {3}}, {f32, {3}}}, [](Graph&, const Vars& a) {
    const Var next = a[1] + a[2];
    return Vars{next, next * 2.0};
  });
  const std::vector<TensorType> around{index_type, {f32, {3}}, {f32, {4, 3}}};
  const Region more = region(
      "more", around, [](Graph& r, const Vars& a) { return Vars{less(sum(a[1]), constant(r, 100, {f32, {}}))}; });
  const Region body =
      region("body", around, [&](Graph& r, const Vars& a) { return Vars{scan(r, step, 4, {a[1]}, {a[2]}, {})[0]}; });
  const Region yes = region("yes", {{f32, {4, 3}}}, [&](Graph& r, const Vars& a) {
    return while_loop(r, more, body, 5, {constant(r, 0, {f32, {3}})}, {a[0]});
  });
  const Region no = region("no", {{f32, {4, 3}}}, [](Graph&, const Vars& a) { return Vars{sum(a[0], {0})}; });
  g.add_output({"y", cond(flag, yes, no, {x})[0].value, false});
  return g;
}

TEST(ControlText, PrintsAndParsesBack) {
  const std::string text = print(nested());
  EXPECT_THAT(text, testing::HasSubstr("\n  region yes\n  %0 = input "));
  EXPECT_THAT(text, testing::HasSubstr("\n      region step\n      %0 = input "));
  EXPECT_EQ(print(parse(text, ops::registry())), text);
}

TEST(ControlText, LocationsInRegionsDoNotChangeTheHash) {
  const std::string text = print(nested());
  std::string placed = text;
  const size_t end = placed.find('\n', placed.find("region step"));
  placed.insert(placed.find('\n', end + 1), " @ \"model.cpp\":3:5");
  const Graph other = parse(placed, ops::registry());
  EXPECT_EQ(print(other), placed);
  EXPECT_EQ(fusion::graph_hash(other), fusion::graph_hash(nested()));
}

void expect_refused(std::string text, const std::string& from, const std::string& to, const char* message) {
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  try {
    parse(text, ops::registry());
    ADD_FAILURE() << "accepted, expected: " << message;
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr(message));
  }
}

TEST(ControlText, RefusesBrokenText) {
  const std::string text = print(nested());
  expect_refused(text, "\n      region step\n", "\n      region\n", "expected a word");
  expect_refused(text, "\n      %0 = input", "\n     %0 = input", "column 6: expected 4 blanks in front");
  expect_refused(text, "\n      %0 = input", "\n        %0 = input", "expected 6 blanks in front");
  expect_refused(text, "trips=4", "trips=-1", "-1 trips");
  expect_refused(text, "trips=4", "trips=5", "expected a leading dimension of 5");
  expect_refused(text, "carries=1, inputs=1", "carries=9, inputs=1", "carries 9 of 2 operands");
  expect_refused(text, "role=\"argument\"", "role=\"data\"", "the input 'a0' is no argument");
  expect_refused(text, "output \"r0\"", "update \"r0\"", "updates the state 'r0'");
}

std::string nest(int depth) {
  std::string text = "graph deep\n";
  for (int i = 0; i < depth; ++i)
    text += std::string(static_cast<size_t>(2 * i), ' ') + "%0 = cond : f32[] \"c\"\n" +
            std::string(static_cast<size_t>(2 * i + 2), ' ') + "region r\n";
  return text;
}

TEST(ControlText, RefusesRegionsWithoutEnd) { expect_refused(nest(1000), "graph", "graph", "nested more than"); }

void expect_error(const std::function<void()>& build, const char* message) {
  try {
    build();
    ADD_FAILURE() << "accepted, expected: " << message;
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr(message));
  }
}

TEST(ControlTypes, RefuseWhatDoesNotFit) {
  Graph g("entry");
  const Var x = data(g, "x", {3}), y = data(g, "y", {4}), xs = data(g, "xs", {5, 3}),
            flag = input(g, "flag", "data", {boolean, {}});
  const auto same = [](Graph&, const Vars& a) { return Vars{a[1]}; };
  const Region keep = region("keep", {index_type, {f32, {3}}}, same);
  expect_error([&] { scan(g, keep, 2, {y}, {}, {}); }, "argument 'a1' of region 'keep' is f32[3], expected f32[4]");
  expect_error([&] { scan(g, keep, 2, {x}, {}, {x}); }, "region 'keep' has 2 arguments, expected 3");
  expect_error([&] { scan(g, region("r", {{f32, {}}, {f32, {3}}}, same), 2, {x}, {}, {}); },
               "argument 'a0' of region 'r' is f32[], expected i64[]");
  const Region grows =
      region("grows", {index_type, {f32, {3}}, {f32, {4}}}, [](Graph&, const Vars& a) { return Vars{a[2]}; });
  expect_error([&] { scan(g, grows, 2, {x}, {}, {y}); }, "carry 0 begins as f32[3] and becomes f32[4]");
  expect_error([&] { scan(g, grows, 4, {x}, {xs}, {}); }, "per-step input 0 is f32[5,3], expected a leading dimension");
  expect_error([&] { while_loop(g, keep, keep, 2, {x}, {}); }, "region 'keep' must give one bool[]");
  expect_error([&] { cond(x, keep, keep, {}); }, "the predicate is f32[3], expected bool[]");
  const Region one = region("one", {{f32, {3}}}, [](Graph&, const Vars& a) { return Vars{a[0]}; });
  const Region two = region("two", {{f32, {3}}}, [](Graph&, const Vars& a) { return Vars{sum(a[0])}; });
  expect_error([&] { cond(flag, one, two, {x}); }, "value 0 is f32[3] on one side and f32[] on the other");
  expect_error([&] { g.add(add_op, {x.value, x.value}, {}, {one}); }, "expected no regions, got 1");
  expect_error([&] { g.add(cond_op, {flag.value, x.value}, {}, {one}); }, "expected 2 regions, got 1");
}

}  // namespace
}  // namespace gmc
