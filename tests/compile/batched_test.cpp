// Batches of products against the interpreter, on whole numbers: not a bit may differ.
#include "compiler/transform/pass.h"
#include "tests/support/agree.h"
#include "tests/support/fusion.h"

namespace gmc {
namespace {

using namespace graph;

class Batched : public testing::TestWithParam<const char*> {
protected:
  void SetUp() override {
    options_ = tests::with_policy("greedy");
    options_.target = codegen::target_named(GetParam());
    if (options_.target.lanes > codegen::host_target().lanes) GTEST_SKIP() << "this machine cannot run " << GetParam();
  }
  package::Options options_;
};

// A random product: each operand lies in memory with its dimensions in some order, and without the batch dimensions
// that it is broadcast along.
class RandomProduct {
public:
  RandomProduct(uint64_t seed, int64_t lanes) : random_(seed), lanes_(lanes) {}
  Graph make() {
    Graph g("step");
    const size_t axes = pick(5);
    Shape batch;
    for (size_t i = 0; i < axes; ++i) batch.push_back(Shape{1, 2, 3, 5}[pick(4)]);
    const int64_t m = extent(), n = extent(), k = extent();
    const bool ta = pick(2), tb = pick(2);
    const Var a = operand(g, "a", batch, ta ? k : m, ta ? m : k), b = operand(g, "b", batch, tb ? n : k, tb ? k : n);
    Var y = matmul(a, b, ta, tb);
    const Shape full = y.shape();
    if (pick(2)) y = y + tests::data(g, "bias", {n});
    if (pick(3) == 0) y = ops::max(y, tests::data(g, "residual", full));
    if (pick(3) == 0) {
      Shape some = full;
      for (int64_t& extent : some)
        if (pick(2)) extent = 1;
      y = y - tests::data(g, "mask", some);
    }
    tests::output(y);
    return g;
  }

private:
  size_t pick(size_t n) { return static_cast<size_t>(random_() % n); }
  int64_t extent() { return Shape{1, 2, 3, 7, 13, lanes_ - 1, lanes_, lanes_ + 1, 2 * lanes_ + 3}[pick(9)]; }
  Var operand(Graph& g, const std::string& name, const Shape& batch, int64_t rows, int64_t columns) {
    Shape kept = batch, full = batch;
    for (int64_t& extent : kept)
      if (pick(3) == 0) extent = 1;
    kept.insert(kept.end(), {rows, columns});
    full.insert(full.end(), {rows, columns});
    std::vector<int64_t> order;  // of the dimensions in memory
    for (size_t d = 0; d < kept.size(); ++d)
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(pick(d + 1)), static_cast<int64_t>(d));
    Shape memory;
    std::vector<int64_t> back(order.size());
    for (size_t i = 0; i < order.size(); ++i) {
      memory.push_back(kept[static_cast<size_t>(order[i])]);
      back[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
    }
    return broadcast_to(transpose(tests::data(g, name, memory), back), full);
  }
  std::mt19937_64 random_;
  int64_t lanes_;
};

TEST_P(Batched, RandomProductsAreExact) {
  static constexpr int threads[] = {1, 2, 5};
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    options_.policy = seed % 4 ? "greedy" : "none";
    tests::expect_agreement(RandomProduct(seed, options_.target.lanes).make(), options_, threads[seed % 3], seed, true);
  }
}

// q k^T and its product with v, from one projection [B, T, 3, H, D].
TEST_P(Batched, AttentionHeads) {
  const int64_t b = 3, t = 17, h = 4, d = 9;
  Graph g("step");
  const Var q = tests::data(g, "q", {b, t, h, d}), k = tests::data(g, "k", {b, t, h, d}),
            v = tests::data(g, "v", {b, t, h, d});
  auto heads = [](Var x) { return transpose(x, {0, 2, 1, 3}); };
  const Var scores = matmul(heads(q), heads(k), false, true) * 0.5;
  tests::output(scores, "scores");
  tests::output(reshape(heads(matmul(scores, heads(v))), {b, t, h * d}), "y");
  for (int threads : {1, 2, 5}) tests::expect_agreement(g, options_, threads, 1, true);
}

TEST_P(Batched, LayersOverTokens) {
  Graph g("step");
  const Var x = tests::data(g, "x", {3, 5, 7}), w = tests::data(g, "w", {11, 7}), bias = tests::data(g, "bias", {11});
  const Var y = matmul(x, broadcast_to(w, {3, 11, 7}), false, true) + bias;
  tests::output(ops::max(y, constant(g, 0)), "y");
  tests::output(sum(matmul(x, y, true, false), {0}), "dw");
  for (int threads : {1, 2, 5}) tests::expect_agreement(g, options_, threads, 1, true);
}

TEST_P(Batched, EmptyDimensions) {
  Graph g("step");
  int outputs = 0;
  for (const auto& [batch, m, n, k] : {std::array<int64_t, 4>{2, 3, 5, 0},
                                       {2, 0, 5, 3},
                                       {2, 3, 0, 4},
                                       {0, 3, 5, 4},
                                       {2, 0, 0, 0},
                                       {-1, 3, 5, 0},
                                       {-1, 0, 5, 2},
                                       {-1, 3, 0, 2}})
    for (bool ta : {false, true})
      for (bool tb : {false, true}) {
        Shape a, b;
        if (batch >= 0) a = b = {batch};
        a.insert(a.end(), {ta ? k : m, ta ? m : k});
        b.insert(b.end(), {tb ? n : k, tb ? k : n});
        const std::string name = fmt::format("{}", outputs++);
        const Var c = matmul(tests::data(g, "a" + name, a), tests::data(g, "b" + name, b), ta, tb);
        tests::output(c + tests::data(g, "bias" + name, {n}), "y" + name);
        tests::output(c, "c" + name);
      }
  options_.library = "onednn";  // which takes none of them
  tests::expect_agreement(g, options_, 2, 1, true);
}

INSTANTIATE_TEST_SUITE_P(Targets, Batched, testing::Values("native", "x86-64-v4", "x86-64-v3", "x86-64"),
                         [](const auto& which) {
                           std::string name = which.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace gmc
