// loop, scan, while_loop and cond as models write them.
#include "compiler/package/program_source.h"
#include "compiler/transform/pass.h"
#include "models/gmc.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"
#include "tests/control/regions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc {
namespace {

using tests::Values;
using tests::values_for;

std::map<std::string, graph::Reference> run(const Program& p, const char* entry, Values values = {}) {
  const graph::Graph& g = *p.entry_named(entry).graph;
  graph::verify(g);
  for (const auto& [name, value] : values_for(g)) values.try_emplace(name, value);
  return graph::interpret(transform::run_pipeline(g), values).outputs;
}

// Gates of x and h, as a layer of a model.
struct Cell {
  Linear x, h;
  GMC_PARTS(x, h)
  Cell() : x(3, 4), h(4, 4, false) {}
  Tensor operator()(Tensor in, Tensor state) const { return tanh(x(in) + h(state)); }
};

Tensor row(const Tensor& x, int64_t i) {
  return {x.graph(), graph::slice({x.graph().get(), x.value()}, 0, i, i + 1).value};
}

TEST(ControlLanguage, AScanOverTimeReadsParametersFromAround) {
  Program p;
  const Cell cell;
  p.state(cell, "cell");
  p.entry("step", [&] {
    Tensor xs = input("xs", f32, {5, 2, 3}), h0 = input("h", f32, {2, 4});
    auto [h, hs] = scan(over(xs), carry(h0), [&](Tensor x, Tensor state) {
      Tensor next = cell(x, state);
      return carry(next).emit(2 * next);
    });
    output("h", h);
    output("hs", hs);
    Tensor loss = sum(hs * hs);
    output("loss", loss);
    minimize(loss, parameters(cell), Sgd{.lr = 0.1});
  });
  p.entry("unrolled", [&] {
    Tensor xs = input("xs", f32, {5, 2, 3}), h = input("h", f32, {2, 4});
    for (int64_t i = 0; i < 5; ++i) h = cell(reshape(row(xs, i), {2, 3}), h);
    output("h", h);
  });
  const auto got = run(p, "step"), want = run(p, "unrolled");
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(got.at("h").values[i], want.at("h").values[i], 1e-12);
  EXPECT_EQ(got.at("hs").shape, (Shape{5, 2, 4}));
}

TEST(ControlLanguage, ALoopCountsCollectsAndDraws) {
  Program p;
  p.entry("sample", [] {
    Tensor x = input("x", f32, {2});
    auto [all, last] = loop(4, carry(x, x), [&](Tensor i, Tensor a, Tensor b) {
                         return carry(a + cast(i, f32), b + uniform("u", {2}) + x);
                       }).collect<0>();
    output("all", all);
    output("last", last);
    Tensor one = loop(3, carry(x), [](Tensor a) { return 2 * a; });
    output("one", one);
    auto [a, b] = loop(2, carry(x, 1), [](Tensor c, Tensor d) { return carry(c * d, d + 1); });
    output("a", a);
    output("b", b);
  });
  const auto got = run(p, "sample", {{"x", {{2}, {0.5, -1}}}});
  EXPECT_EQ(got.at("all").values, (std::vector<double>{0.5, -1, 1.5, 0, 3.5, 2, 6.5, 5}));
  EXPECT_EQ(got.at("one").values, (std::vector<double>{4, -8}));
  EXPECT_EQ(got.at("a").values, (std::vector<double>{1, -2}));
  EXPECT_EQ(got.at("b").values, (std::vector<double>{3}));
  double sum = 0.5 * 5;
  const uint64_t key = execute::stream_key(0, execute::stream_of("sample/u"), 0);
  for (uint64_t trip = 0; trip < 4; ++trip) sum += execute::uniform_of(execute::random_word(key, 0, trip));
  EXPECT_NEAR(got.at("last").values[0], sum, 1e-12);
}

TEST(ControlLanguage, ALoopCarriesAVectorOfTensors) {
  Program p;
  p.entry("eval", [] {
    const std::vector<Tensor> begin{input("a", f32, {}), input("b", f32, {2}), input("c", f32, {})};
    const std::vector<Tensor> end =
        loop(3, begin,
             [](Tensor i, std::vector<Tensor> x) { return std::vector<Tensor>{x[2], x[1] + cast(i, f32), x[0]}; }, {1});
    output("a", end[0]);
    output("b", end[1]);
  });
  const auto got = run(p, "eval", {{"a", {{}, {1}}}, {"b", {{2}, {5, 7}}}, {"c", {{}, {2}}}});
  EXPECT_EQ(got.at("a").values, (std::vector<double>{2}));
  EXPECT_EQ(got.at("b").values, (std::vector<double>{5, 7, 6, 8, 8, 10}));
  Program wrong;
  const auto expect = [&](const char* entry, std::vector<Tensor> (*next)(Tensor, std::vector<Tensor>),
                          std::vector<size_t> collected, const char* message) {
    EXPECT_THAT(
        [&] { wrong.entry(entry, [&] { loop(3, {input("x", f32, {}), input("y", f32, {})}, next, collected); }); },
        testing::ThrowsMessage<Error>(testing::HasSubstr(message)));
  };
  const auto fewer = [](Tensor, std::vector<Tensor> x) { return std::vector<Tensor>{x[0]}; };
  const auto more = [](Tensor, std::vector<Tensor> x) { return std::vector<Tensor>{x[0], x[1], x[1]}; };
  const auto same = [](Tensor, std::vector<Tensor> x) { return x; };
  expect("fewer", fewer, {}, "loop: 2 carries become 1");
  expect("more", more, {}, "loop: 2 carries become 3");
  expect("collected", same, {2}, "loop: carry 2 of 2 is to be collected");
}

TEST(ControlLanguage, LoopsNestAndSeeEveryLevel) {
  Program p;
  p.entry("eval", [] {
    Tensor xs = input("xs", f32, {2, 3}), w = input("w", f32, {});
    Tensor total = scan(over(xs), carry(0.0), [&](Tensor i, Tensor row, Tensor sum) {
      Tensor scaled = row * w + cast(i, f32);
      return scan(over(scaled), carry(sum), [&](Tensor x, Tensor s) { return s + x * w + x * cast(i, f32); })[0];
    })[0];
    output("y", total);
  });
  const auto got = run(p, "eval", {{"xs", {{2, 3}, {1, 2, 3, 4, 5, 6}}}, {"w", {{}, {2}}}});
  EXPECT_EQ(got.at("y").values[0], 2 * (2 + 4 + 6) + 3 * (9 + 11 + 13));
}

TEST(ControlLanguage, WhilesAndConds) {
  Program p;
  p.entry("eval", [] {
    Tensor x = input("x", f32, {}), most = input("most", f32, {});
    auto [y, n] = while_loop(
        carry(x, 0.0), [&](Tensor a, Tensor) { return less(a, most); },
        [](Tensor a, Tensor count) { return carry(a * 2, count + 1); });
    output("y", y);
    output("n", n);
    Tensor sign = cond(less(y, 10), [&] { return y - most; }, [&] { return 3 * y; });
    output("sign", sign);
    auto [a, b] = cond(less(y, 10), [&] { return carry(y, n); }, [&] { return carry(n, y); });
    output("a", a);
    output("b", b);
  });
  const auto got = run(p, "eval", {{"x", {{}, {3}}}, {"most", {{}, {20}}}});
  EXPECT_EQ(got.at("y").values[0], 24);
  EXPECT_EQ(got.at("n").values[0], 3);
  EXPECT_EQ(got.at("sign").values[0], 72);
  EXPECT_EQ(got.at("a").values[0], 3);
  EXPECT_EQ(got.at("b").values[0], 24);
}

TEST(ControlLanguage, DrawsInLoopsAreFedWithTheTripsInFront) {
  Program p;
  p.entry("sample",
          [] { output("y", Tensor(loop(6, carry(0.0), [](Tensor s) { return s + sum(normal("eps", {3})); }))); });
  const graph::Graph fed = transform::feed_draws(*p.entry_named("sample").graph);
  ASSERT_TRUE(fed.find_input("eps").valid());
  EXPECT_EQ(fed.type(fed.find_input("eps")).shape, (Shape{6, 3}));
}

std::string error_of(const std::function<void()>& body) {
  try {
    Program p;
    p.entry("step", body);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

using testing::AllOf;
using testing::HasSubstr;

TEST(ControlLanguage, MistakesPointAtTheModel) {
  EXPECT_THAT(error_of([] {
                Tensor x = input("x", f32, {3});
                Tensor y = loop(2, carry(x), [](Tensor a) { return sum(a); });
              }),
              AllOf(HasSubstr("language_test.cpp"), HasSubstr("loop: carry 0 begins as f32[3] and becomes f32[]"),
                    HasSubstr("it begins at"), HasSubstr("what becomes of it is made at")));
  EXPECT_THAT(error_of([] {
                Tensor x = input("x", f32, {3, 2}), y = input("y", f32, {4});
                scan(over(x, y), carry(0.0), [](Tensor, Tensor, Tensor s) { return s; });
              }),
              HasSubstr("scan: input 1 is f32[4], and input 0 is f32[3,2]: expected equal leading dimensions"));
  EXPECT_THAT(error_of([] {
                Tensor x = input("x", f32, {}), kept;
                Tensor y = loop(2, carry(x), [&](Tensor a) { return kept = a * 2; });
                output("y", kept);
              }),
              AllOf(HasSubstr("output 'y': a tensor of a region is used outside of it"), HasSubstr("help: return it")));
  EXPECT_THAT(error_of([] {
                Tensor x = input("x", f32, {});
                loop(2, carry(x), [&](Tensor a) {
                  output("a", a);
                  return a;
                });
              }),
              HasSubstr("output 'a' inside loop"));
  EXPECT_THAT(error_of([] {
                Tensor x = input("x", f32, {2});
                while_loop(carry(x), [](Tensor a) { return a; }, [](Tensor a) { return a; });
              }),
              HasSubstr("while_loop: the condition is f32[2], expected bool[]"));
  EXPECT_THAT(error_of([] {
                Tensor x = input("x", f32, {2});
                cond(less(sum(x), 0), [&] { return x; }, [&] { return sum(x); });
              }),
              HasSubstr("cond: value 0 is f32[2] on one side and f32[] on the other"));
  EXPECT_THAT(error_of([] {
                Tensor x = input("x", f32, {});
                loop(2, carry(x), [](Tensor a) { return a + uniform("u", {}) + uniform("u", {}); });
              }),
              HasSubstr("draw 'u' is made twice"));
}

// An entry with loops in this process.
TEST(ControlLanguage, CompiledEntriesRunLoops) {
  Program p;
  p.entry("sample", [] {
    Tensor x = input("x", f32, {4, 3});
    auto [last, all] = scan(over(x), carry(1.0), [](Tensor row, Tensor s) {
      Tensor next = s + sum(row);
      return carry(next).emit(next * row);
    });
    output("last", last);
    output("all", all);
  });
  CompiledEntry entry = compile(p, "sample");
  HostTensor x(f32, {4, 3});
  for (size_t i = 0; i < 12; ++i) x.as<float>()[i] = static_cast<float>(i);
  const TensorMap got = entry.run({{"x", x}});
  EXPECT_EQ(got.at("last").as<float>()[0], 67);
  EXPECT_EQ(got.at("all").as<float>()[11], 67 * 11);
}

}  // namespace
}  // namespace gmc
