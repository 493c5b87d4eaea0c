#include "compiler/fusion/plan_builder.h"

#include <algorithm>
#include <queue>
#include <set>

namespace gmc::fusion {

namespace {

// Which kernels depend on which, while kernels become one.
class Reach {
public:
  Reach(size_t handles, const std::vector<int>& last_to_first) : bits_(handles), kernels_(last_to_first) {
    for (int k : kernels_) bits_[static_cast<size_t>(k)].resize((handles + 63) / 64);
  }
  // Kernels are told of from the last to the first.
  void add(int from, int to) {
    set(of(from), to);
    include(of(from), of(to));
  }
  bool operator()(int from, int to) const { return has(bits_[static_cast<size_t>(from)], to); }
  // Who reaches either reaches what they are now.
  void join(int a, int b) {
    include(of(a), of(b));
    std::erase(kernels_, b);
    for (int k : kernels_)
      if (k != a && (has(of(k), a) || has(of(k), b))) {
        set(of(k), a);
        include(of(k), of(a));
      }
  }

private:
  using Bits = std::vector<uint64_t>;
  Bits& of(int k) { return bits_[static_cast<size_t>(k)]; }
  static bool has(const Bits& bits, int i) { return bits[static_cast<size_t>(i) / 64] >> (i % 64) & 1; }
  static void set(Bits& bits, int i) { bits[static_cast<size_t>(i) / 64] |= uint64_t{1} << (i % 64); }
  static void include(Bits& to, const Bits& from) {
    for (size_t w = 0; w < to.size(); ++w) to[w] |= from[w];
  }
  std::vector<Bits> bits_;
  std::vector<int> kernels_;
};

}  // namespace

void PlanBuilder::merge_side_by_side(const std::string& reason) {
  std::vector<int> ordered = kernels();
  std::sort(ordered.begin(), ordered.end(), [&](int x, int y) { return order_.precedes(y, x); });
  Reach reach(slots_.size(), ordered);
  for (int k : ordered) order_.each_reader(k, [&](int next) { reach.add(k, next); });

  const auto lighter = [&](int x, int y) { return std::pair(work(x), x) < std::pair(work(y), y); };
  std::set<int, decltype(lighter)> free(lighter);  // those that can share a launch, the least work first
  for (int k : ordered)
    if (kernel(k).library.empty() && !has_product(k)) free.insert(k);
  // The least pair of each kernel. A partner that goes, grows or becomes dependent is replaced when its turn comes; the
  // one in its stead is never less work.
  using Pair = std::tuple<double, int, int, int>;  // work, the two, whose pair it is
  std::priority_queue<Pair, std::vector<Pair>, std::greater<>> queue;
  const auto pair_up = [&](int k) {
    for (int other : free) {
      if (other == k || reach(k, other) || reach(other, k)) continue;
      queue.emplace(work(k) + work(other), std::min(k, other), std::max(k, other), k);
      return;
    }
  };
  for (int k : free) pair_up(k);
  while (!queue.empty()) {
    const auto [sum, a, b, owner] = queue.top();
    queue.pop();
    const int partner = owner == a ? b : a;
    if (!slots_[static_cast<size_t>(owner)].alive) continue;
    if (!slots_[static_cast<size_t>(partner)].alive || reach(a, b) || reach(b, a) || work(a) + work(b) != sum) {
      pair_up(owner);
      continue;
    }
    free.erase(a);
    free.erase(b);
    merge({a, b, true, 0}, reason);
    reach.join(a, b);
    free.insert(a);
    pair_up(a);
  }
}

}  // namespace gmc::fusion
