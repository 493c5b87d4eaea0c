// The order against a search of all paths, on random graphs whose kernels become one at random.
#include "compiler/fusion/kernel_order.h"
#include "compiler/transform/pass.h"
#include "tests/support/random_graph.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace gmc {
namespace {

using fusion::KernelOrder;
using fusion::View;
using Dependence = KernelOrder::Dependence;

// Which kernels read which, by the view alone.
class Reading {
public:
  Reading(const View& view, const KernelOrder& order)
      : reads_(view.ops().size(), std::vector<bool>(view.ops().size())) {
    for (int op = 0; op < static_cast<int>(view.ops().size()); ++op)
      for (int reader : view.readers(op))
        if (order.kernel_of(op) != order.kernel_of(reader))
          reads_[static_cast<size_t>(order.kernel_of(op))][static_cast<size_t>(order.kernel_of(reader))] = true;
  }
  bool direct(int from, int to) const { return reads_[static_cast<size_t>(from)][static_cast<size_t>(to)]; }
  // Whether a path of at least two steps leads from one to the other.
  bool through_third(int from, int to) const {
    for (int k = 0; k < static_cast<int>(reads_.size()); ++k)
      if (k != to && direct(from, k) && (direct(k, to) || through_third(k, to))) return true;
    return false;
  }

private:
  std::vector<std::vector<bool>> reads_;
};

TEST(KernelOrder, KnowsEveryPathAndStaysAnOrder) {
  int seen[3] = {}, joins = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const graph::Graph g = transform::run_pipeline(tests::random_graph(seed + 500, 6 + static_cast<int>(seed % 10)));
    const View view(g);
    KernelOrder order(view);
    std::vector<int> kernels;
    for (int op = 0; op < static_cast<int>(view.ops().size()); ++op) kernels.push_back(op);
    for (int trial = 0; trial < 40 && kernels.size() > 1; ++trial) {
      const Reading reading(view, order);
      for (int x : kernels)
        for (int y : kernels) ASSERT_TRUE(!reading.direct(x, y) || order.precedes(x, y)) << x << " is read by " << y;
      const int a = kernels[random() % kernels.size()], b = kernels[random() % kernels.size()];
      if (a == b) continue;
      const Dependence expected = reading.through_third(a, b) || reading.through_third(b, a) ? Dependence::through_third
                                  : reading.direct(a, b) || reading.direct(b, a)             ? Dependence::direct
                                                                                             : Dependence::none;
      ASSERT_EQ(order.dependence(a, b), expected) << a << ' ' << b;
      ++seen[static_cast<int>(expected)];
      if (expected == Dependence::through_third) continue;
      order.join(a, b);
      std::erase(kernels, b);
      ++joins;
    }
  }
  for (int count : seen) EXPECT_GT(count, 50);
  EXPECT_GT(joins, 200);
}

}  // namespace
}  // namespace gmc
