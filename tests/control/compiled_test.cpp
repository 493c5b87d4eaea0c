// Compiled loops against the interpreter, in guard mode, with several threads and policies.
#include "compiler/graph/core_loop.h"
#include "ops/elementwise.h"
#include "runtime/execute/lookup.h"
#include "tests/control/regions.h"
#include "tests/support/agree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gmc {
namespace {

using namespace tests;

void expect_compiled(const Graph& g) {
  verify(g);
  for (const char* policy : {"none", "greedy"})
    for (const int threads : {1, 2, 5}) {
      SCOPED_TRACE(std::string(policy) + ", threads " + std::to_string(threads));
      expect_agreement(g, with_policy(policy), threads);
      if (testing::Test::HasFatalFailure()) return;
    }
}

Var tanh_of(const Var& x) { return graph::apply(ops::tanh_op, {x}); }

// h' = tanh(h w + x), y = 2 h'; and what the entry does with the results.
Graph recurrence(int64_t trips, int64_t width, bool reverse) {
  Graph g("entry");
  const Shape h{4, width};
  const Region body =
      region("body", {index_type, {f32, h}, {f32, h}, {f32, {width, width}}}, [](Graph&, const Vars& a) {
        const Var next = tanh_of(matmul(a[1], a[3]) + a[2]);
        return Vars{next, next * 2.0};
      });
  const Var start = data(g, "h", h) * 0.5, xs = data(g, "x", {trips, 4, width}), w = data(g, "w", {width, width});
  const Vars out = scan(g, body, trips, {start}, {xs + 0.25}, {w * 0.1}, reverse);
  g.add_output({"h", out[0].value, false});
  g.add_output({"y", out[1].value, false});
  g.add_output({"z", sum(out[1] * xs, {0}).value, false});
  return g;
}

TEST(ControlCompiled, Recurrences) {
  for (const int64_t width : {1, 7, 64}) {
    expect_compiled(recurrence(6, width, false));
    expect_compiled(recurrence(3, width, true));
  }
  expect_compiled(recurrence(1, 5, false));
  expect_compiled(recurrence(0, 5, false));
}

// A plan file gives the plans of bodies too: here the policies' of one graph are mixed.
TEST(ControlCompiled, PlansOfBodiesComeFromTheFile) {
  using json = nlohmann::json;
  const Graph g = recurrence(6, 7, false);
  const auto compiled = [&](package::Options options) { return package::compile({"p", "{}", {}, {g}}, options); };
  const auto plan_of = [&](const char* policy) {
    return json(package::plans_json(compiled(with_policy(policy)))).at("entries").at("entry");
  };
  const auto bodies = [](json& plan) -> json& {
    for (json& k : plan.at("kernels"))
      if (k.contains("bodies")) return k.at("bodies");
    return plan.at("no bodies");
  };
  json greedy = plan_of("greedy"), none = plan_of("none"), mixed = greedy;
  bodies(mixed) = bodies(none);
  ASSERT_GT(bodies(none)[0].at("kernels").size(), bodies(greedy)[0].at("kernels").size());
  package::Options options = with_policy("greedy");
  options.plans["entry"] = mixed.dump();
  const package::Compiled out = compiled(options);
  EXPECT_EQ(json(package::plans_json(out)).at("entries").at("entry"), mixed);
  EXPECT_EQ(out.entries[0].regions.at(0).plan.kernels.size(), bodies(none)[0].at("kernels").size());
  expect_agreement(g, options);

  const auto error = [&](const json& plan) -> std::string {
    options.plans["entry"] = plan.dump();
    try {
      compiled(options);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  json damaged = mixed;
  bodies(damaged)[0].at("kernels").erase(0);
  EXPECT_THAT(error(damaged), testing::StartsWith("entry/scan/body: plan of entry 'body': op "));
  damaged = mixed;
  bodies(damaged).push_back(bodies(none)[0]);
  EXPECT_THAT(error(damaged),
              testing::HasSubstr("\"bodies\" must be an array of 1, one plan for each region of 'scan'"));
  // Left out, the policy makes it.
  damaged = mixed;
  for (json& k : damaged.at("kernels")) k.erase("bodies");
  options.plans["entry"] = damaged.dump();
  EXPECT_EQ(json(package::plans_json(compiled(options))).at("entries").at("entry"), greedy);
}

// What takes whole tensors reads through movement that changes nothing.
TEST(ControlCompiled, ReadThroughWhatStaysInPlace) {
  const auto last_of = [](Graph& g, const Var& xs) {
    const int64_t trips = xs.shape()[0], width = xs.shape()[1];
    const Region body = region("body", {index_type, {f32, {width}}, {f32, {width}}},
                               [](Graph&, const Vars& a) { return Vars{tanh_of(a[1] + a[2])}; });
    g.add_output({"h", scan(g, body, trips, {data(g, "h", {width})}, {xs}, {})[0].value, false});
  };
  for (const int64_t trips : {1, 2, 4}) {
    Graph once("entry"), twice("entry"), stepped("entry");
    last_of(once, flip(data(once, "x", {trips, 3}), {0}));
    expect_compiled(once);
    last_of(twice, flip(flip(data(twice, "x", {trips, 3}), {0}), {0}));
    expect_compiled(twice);
    const Var x = data(stepped, "x", {trips, 1});
    last_of(stepped, slice(x, {0, 0}, {1, 2}, {trips, 1}));
    expect_compiled(stepped);
  }
}

// The new state is what a loop begins with, which must not run over it; and so it is of a loop within a loop.
TEST(ControlCompiled, StatesThatLoopsBeginWith) {
  const auto body = [](const char* name) {
    return region(name, {index_type, {f32, {4}}, {f32, {4}}}, [](Graph&, const Vars& a) { return Vars{a[1] + a[2]}; });
  };
  Graph g("entry");
  const Var s = graph::input(g, "s", "state", {f32, {4}}), b = s * 2.0;
  const Vars out = scan(g, body("body"), 3, {b}, {}, {s});
  g.add_output({"r", out[0].value, false});
  g.add_output({"s", b.value, true});
  expect_compiled(g);

  Graph nested("entry");
  const Region outer = region("outer", {index_type, {f32, {4}}, {f32, {4}}}, [&](Graph& r, const Vars& a) {
    const Var next = a[1] * 2.0;
    const Vars inner = scan(r, body("inner"), 3, {next}, {}, {a[1]});
    return Vars{next, inner[0] * 0.5 + a[2]};
  });
  const Vars both = scan(nested, outer, 2, {data(nested, "x", {4}), data(nested, "y", {4})}, {}, {});
  nested.add_output({"x", both[0].value, false});
  nested.add_output({"y", both[1].value, false});
  expect_compiled(nested);
}

// Carries change places, one passes through, one is a constant, one comes from another's old value.
TEST(ControlCompiled, CarriesThatExchange) {
  Graph g("entry");
  const Region body = region(
      "body", {index_type, {f32, {9}}, {f32, {9}}, {f32, {9}}, {f32, {9}}, {f32, {9}}},
      [](Graph& r, const Vars& a) { return Vars{a[2], a[1], a[3], constant(r, 3, {f32, {9}}), a[1] + a[5], a[1]}; });
  const Var x = data(g, "x", {9}), y = data(g, "y", {9});
  const Vars out = scan(g, body, 5, {x, y, x, y, y + x}, {}, {});
  for (size_t k = 0; k < out.size(); ++k) g.add_output({"r" + std::to_string(k), out[k].value, false});
  expect_compiled(g);
}

TEST(ControlCompiled, StatesThatLoopsChange) {
  Graph g("entry");
  const auto state = [&](const char* name) { return input(g, name, "state", {f32, {50}}); };
  const Var a = state("a"), b = state("b"), c = state("c");
  const Region body = region("body", {index_type, {f32, {50}}, {f32, {50}}, {f32, {50}}},
                             [](Graph&, const Vars& x) { return Vars{x[1] * 0.5 + x[3], x[2] + x[1]}; });
  const Vars out = scan(g, body, 4, {a, b}, {}, {c});
  g.add_output({"a", out[0].value, true});
  g.add_output({"b", out[1].value, true});
  g.add_output({"c", (out[0] + a).value, true});
  g.add_output({"y", b.value, false});
  expect_compiled(g);
}

// The loop's results take each other's states.
TEST(ControlCompiled, StatesThatLoopsExchange) {
  Graph g("entry");
  const auto state = [&](const char* name) { return input(g, name, "state", {f32, {50}}); };
  const Var a = state("a"), b = state("b");
  const Region body = region("body", {index_type, {f32, {50}}, {f32, {50}}},
                             [](Graph&, const Vars& x) { return Vars{x[1] * 0.5, x[2] + x[1]}; });
  const Vars out = scan(g, body, 3, {a, b}, {}, {});
  g.add_output({"a", out[1].value, true});
  g.add_output({"b", out[0].value, true});
  expect_compiled(g);
}

// Four deep: every level has a carry, slices and stacked results; the innermost uses something of each level.
Graph deep() {
  Graph g("entry");
  Region inner = region("level3", {index_type, {f32, {5}}, {f32, {5}}, {f32, {5}}}, [](Graph&, const Vars& a) {
    const Var next = a[1] * 0.5 + a[2] * a[3];
    return Vars{next, next + a[2]};
  });
  Shape slice{5};
  for (int level = 2; level >= 0; --level) {
    slice.insert(slice.begin(), level + 2);
    const std::vector<TensorType> types{index_type, {f32, {5}}, {f32, slice}, {f32, {5}}};
    const int64_t trips = slice[0];
    inner = region("level" + std::to_string(level), types, [&](Graph& r, const Vars& a) {
      const Vars out = scan(r, inner, trips, {a[1] * 0.5}, {a[2]}, {a[3] + a[1]});
      return Vars{out[0] + a[3], out[1]};
    });
  }
  slice.insert(slice.begin(), 2);
  const Vars out = scan(g, inner, 2, {data(g, "c", {5})}, {data(g, "x", slice)}, {data(g, "w", {5})});
  g.add_output({"c", out[0].value, false});
  g.add_output({"y", out[1].value, false});
  return g;
}

TEST(ControlCompiled, LoopsInLoops) { expect_compiled(deep()); }

TEST(ControlCompiled, WhilesStopByThemselvesOrAtTheirLimit) {
  for (const int64_t limit : {-1, 3, 0}) {
    Graph g("entry");
    const std::vector<TensorType> types{index_type, {f32, {30}}, {f32, {}}, {f32, {30}}};
    const Region more = region("more", types, [](Graph&, const Vars& a) { return Vars{less(sum(a[1] * a[1]), a[2])}; });
    const Region body =
        region("body", types, [](Graph&, const Vars& a) { return Vars{a[1] * 1.5 + a[3] * 0.1, a[2]}; });
    const Var x = data(g, "x", {30});
    const Vars out = while_loop(g, more, body, limit, {x, constant(g, 900, {f32, {}})}, {x});
    g.add_output({"y", out[0].value, false});
    expect_compiled(g);
  }
}

TEST(ControlCompiled, CondsInAndAroundLoops) {
  for (const double threshold : {-1e3, 0.0, 1e3}) {
    Graph g("entry");
    const Region grow = region("grow", {{f32, {8}}}, [](Graph&, const Vars& a) { return Vars{a[0] * 1.5, a[0]}; });
    const Region fall =
        region("fall", {{f32, {8}}}, [](Graph&, const Vars& a) { return Vars{a[0] - 1.0, a[0] * 2.0}; });
    const Region body = region("body", {index_type, {f32, {8}}, {f32, {8}}, {f32, {}}}, [&](Graph&, const Vars& a) {
      const Vars out = cond(less(sum(a[1]), a[3]), grow, fall, {a[1] + a[2]});
      return Vars{out[0], out[1]};
    });
    const Region loop = region("loop", {{f32, {8}}, {f32, {6, 8}}}, [&](Graph& r, const Vars& a) {
      return scan(r, body, 6, {a[0]}, {a[1]}, {constant(r, 0.25, {f32, {}})});
    });
    const Region none =
        region("none", {{f32, {8}}, {f32, {6, 8}}}, [](Graph&, const Vars& a) { return Vars{a[0], a[1] * 3.0}; });
    const Var x = data(g, "x", {8}), xs = data(g, "xs", {6, 8});
    const Vars out = cond(less(sum(x), constant(g, threshold, {f32, {}})), loop, none, {x, xs});
    g.add_output({"y", out[0].value, false});
    g.add_output({"ys", out[1].value, false});
    expect_compiled(g);
  }
}

TEST(ControlCompiled, DrawsAreThoseOfTheInterpreter) {
  Graph g("entry");
  const Region inner = region("inner", {index_type, {f32, {33}}}, [](Graph& r, const Vars& a) {
    const Var u = draw(r, "uniform", "u", {33}), n = draw(r, "normal", "n", {33});
    return Vars{a[1] + u * n, u};
  });
  const Region outer = region("outer", {index_type, {f32, {33}}},
                              [&](Graph& r, const Vars& a) { return scan(r, inner, 3, {a[1]}, {}, {}); });
  const Vars out = scan(g, outer, 4, {constant(g, 0, {f32, {33}})}, {}, {});
  g.add_output({"sum", out[0].value, false});
  g.add_output({"u", out[1].value, false});
  expect_compiled(g);
}

int64_t count_steps(const package::Compiled& compiled, execute::StepKind kind) {
  const auto* p = reinterpret_cast<const execute::Package*>(compiled.package.data());
  int64_t count = 0;
  for (uint32_t i = 0; i < p->step_count; ++i) count += execute::step_at(p, i).kind == kind;
  return count;
}

package::Compiled compiled(const Graph& g, std::vector<package::StateSource> states = {}) {
  return package::compile({"program", "{}", std::move(states), {g}}, with_policy("greedy"));
}

TEST(ControlCompiled, CodeDoesNotGrowWithTheTrips) {
  // Both are long: what is fused around the loop depends on the sizes of its results.
  const package::Compiled few = compiled(recurrence(5000, 8, false)), many = compiled(recurrence(50000, 8, false));
  EXPECT_EQ(few.functions.size(), many.functions.size());
  EXPECT_EQ(few.objects.size(), many.objects.size());
  // Sizes that are equal by chance are stored once.
  EXPECT_NEAR(static_cast<double>(few.package.size()), static_cast<double>(many.package.size()), 256);
}

// A cache [rows, width] that each trip changes in place, from zeros, from an input that is read again, and in a state.
Graph cached(int64_t rows, const char* where) {
  Graph g("entry");
  const Shape cache{rows, 16};
  const Region body = region("body", {index_type, {f32, cache}, {f32, {}}, {f32, {16}}}, [](Graph& r, const Vars& a) {
    const Var hit = less(a[2], constant(r, 0.5, {f32, {}}));
    const Var next = select(hit, a[1] + a[3], a[1]);
    return Vars{next, sum(next) * 0.01};
  });
  Var start = constant(g, 0, {f32, cache});
  const bool is_state = std::string(where) == "state";
  if (is_state) start = input(g, "cache", "state", {f32, cache});
  const Vars out = scan(g, body, 7, {start, constant(g, 0, {f32, {}})}, {}, {data(g, "x", {16})});
  if (is_state)
    g.add_output({"cache", out[0].value, true});
  else
    g.add_output({"sum", sum(out[0]).value, false});
  g.add_output({"last", out[1].value, false});
  return g;
}

// Trip i writes row i of the cache and reads all rows up to it, as attention with a cache does.
TEST(ControlCompiled, TheIndexNamesTheRowThatIsWritten) {
  Graph g("entry");
  const Shape cache{6, 10};
  const std::vector<TensorType> types{index_type, {f32, cache}, {f32, {10}}, {f32, {1, 10}}};
  const Region body = region("body", types, [&](Graph& r, const Vars& a) {
    const Var rows = graph::index(r, 0, {i64, cache});
    const Var next = select(equal(rows, a[0]), a[2], a[1]);
    const Var scores = matmul(a[3] * (cast(a[0], f32) + 1.0), next, false, true);
    const Var seen = less(graph::index(r, 1, {i64, {1, 6}}), a[0]);
    return Vars{next, matmul(select(seen, scores, constant(r, 0, {f32, {}})), next)};
  });
  const Var start = constant(g, 0, {f32, cache});
  const Vars out = scan(g, body, 6, {start}, {data(g, "x", {6, 10})}, {data(g, "q", {1, 10})});
  g.add_output({"cache", out[0].value, false});
  g.add_output({"y", out[1].value, false});
  expect_compiled(g);
  const package::Compiled c = compiled(g);
  EXPECT_EQ(count_steps(c, execute::StepKind::copy), 0);
}

TEST(ControlCompiled, ACacheIsNeverCopied) {
  constexpr int64_t rows = 4096, bytes = rows * 16 * 4;
  const package::Compiled fresh = compiled(cached(rows, "fresh"));
  EXPECT_LT(fresh.entries[0].arena_bytes, bytes + bytes / 2);
  const package::Compiled kept = compiled(cached(rows, "state"), {{"cache", {f32, {rows, 16}}, true, false}});
  EXPECT_LT(kept.entries[0].arena_bytes, bytes / 2);
  for (const package::Compiled* c : {&fresh, &kept}) {
    const auto* p = reinterpret_cast<const execute::Package*>(c->package.data());
    uint64_t copied = 0;
    for (uint32_t i = 0; i < p->step_count; ++i) {
      const execute::Step& s = execute::step_at(p, i);
      const uint32_t from = execute::table<uint32_t>(p, p->operands)[s.first_operand];
      if (s.kind == execute::StepKind::copy) copied += execute::buffer_at(p, from).bytes;
    }
    EXPECT_LT(copied, 64u);
    EXPECT_EQ(count_steps(*c, execute::StepKind::loop), 1);
  }
  expect_compiled(cached(20, "fresh"));
  expect_compiled(cached(20, "state"));
}

}  // namespace
}  // namespace gmc
