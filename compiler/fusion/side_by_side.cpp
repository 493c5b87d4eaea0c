#include "compiler/fusion/plan_builder.h"

#include <algorithm>
#include <queue>
#include <set>

namespace gmc::fusion {

namespace {

// Which kernels depend on which, while kernels become one.
class Reach {
public:
  Reach(size_t handles, const std::vector<int>& last_to_first) : number_(handles) {
    for (int k : last_to_first) {
      number_[static_cast<size_t>(k)] = numbers_.size();
      numbers_.push_back(numbers_.size());
    }
    bits_.assign(numbers_.size(), Bits((numbers_.size() + 63) / 64));
  }
  // Kernels are told of from the last to the first.
  void add(int from, int to) {
    set(of(from), number(to));
    include(of(from), of(to));
  }
  bool operator()(int from, int to) const { return has(bits_[number(from)], number(to)); }
  // Who reaches either reaches what they are now.
  void join(int a, int b) {
    include(of(a), of(b));
    std::erase(numbers_, number(b));
    for (size_t k : numbers_)
      if (k != number(a) && (has(bits_[k], number(a)) || has(bits_[k], number(b)))) {
        set(bits_[k], number(a));
        include(bits_[k], of(a));
      }
  }

private:
  using Bits = std::vector<uint64_t>;
  size_t number(int kernel) const { return number_[static_cast<size_t>(kernel)]; }
  Bits& of(int kernel) { return bits_[number(kernel)]; }
  static bool has(const Bits& bits, size_t i) { return bits[i / 64] >> (i % 64) & 1; }
  static void set(Bits& bits, size_t i) { bits[i / 64] |= uint64_t{1} << (i % 64); }
  static void include(Bits& to, const Bits& from) {
    for (size_t w = 0; w < to.size(); ++w) to[w] |= from[w];
  }
  std::vector<size_t> number_;   // per handle: its kernel's
  std::vector<size_t> numbers_;  // of those that are left
  std::vector<Bits> bits_;
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
