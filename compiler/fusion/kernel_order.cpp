#include "compiler/fusion/kernel_order.h"

#include <algorithm>
#include <utility>

namespace gmc::fusion {

namespace {

// All that can be reached from a kernel: each(kernel, visit) visits those a step away, `inside` bounds the walk.
template <class Each, class Inside>
std::vector<int> reached_from(int kernel, Each each, Inside inside, size_t kernels) {
  std::vector<bool> seen(kernels);
  std::vector<int> found, stack{kernel};
  while (!stack.empty()) {
    const int at = stack.back();
    stack.pop_back();
    each(at, [&](int next) {
      if (!inside(next) || seen[static_cast<size_t>(next)]) return;
      seen[static_cast<size_t>(next)] = true;
      found.push_back(next);
      stack.push_back(next);
    });
  }
  return found;
}

}  // namespace

KernelOrder::KernelOrder(const View& view) : view_(view), seen_(view.ops().size()) {
  for (int op = 0; op < static_cast<int>(view.ops().size()); ++op) {
    ops_.push_back({op});
    kernel_of_.push_back(op);
    place_.push_back(op);
  }
}

// Those before `last` that depend on `first`: a path to `last` passes through no others.
std::vector<int> KernelOrder::readers_before(int first, int last) const {
  return reached_from(
      first, [&](int k, auto visit) { each_reader(k, visit); }, [&](int k) { return precedes(k, last); }, ops_.size());
}

// Those behind `first` on which `last` depends.
std::vector<int> KernelOrder::sources_behind(int first, int last) const {
  return reached_from(
      last, [&](int k, auto visit) { each_source(k, visit); }, [&](int k) { return precedes(first, k); }, ops_.size());
}

// From both ends at once, until the walks meet or one of them has nowhere to go: one end may have far more behind it
// than the other.
KernelOrder::Dependence KernelOrder::dependence(int a, int b) {
  const int first = precedes(a, b) ? a : b, last = first == a ? b : a;
  bool direct = false, met = false;
  ++walks_;
  std::vector<int> down, up;
  const auto go_down = [&](int next) {
    if (!precedes(next, last)) return;
    Seen& seen = seen_[static_cast<size_t>(next)];
    met |= seen.up == walks_;
    if (std::exchange(seen.down, walks_) != walks_) down.push_back(next);
  };
  const auto go_up = [&](int next) {
    if (!precedes(first, next)) return;
    Seen& seen = seen_[static_cast<size_t>(next)];
    met |= seen.down == walks_;
    if (std::exchange(seen.up, walks_) != walks_) up.push_back(next);
  };
  each_reader(first, [&](int next) {
    direct |= next == last;
    go_down(next);
  });
  each_source(last, go_up);
  while (!met && !down.empty() && !up.empty()) {
    const int from = down.back(), to = up.back();
    down.pop_back();
    up.pop_back();
    each_reader(from, go_down);
    each_source(to, go_up);
  }
  return met ? Dependence::through_third : direct ? Dependence::direct : Dependence::none;
}

void KernelOrder::join(int a, int b) {
  const auto [first, last] = precedes(a, b) ? std::pair(a, b) : std::pair(b, a);
  std::vector<int> behind = readers_before(first, last), front = sources_behind(first, last);
  const auto sooner = [&](int x, int y) { return precedes(x, y); };
  std::sort(behind.begin(), behind.end(), sooner);
  std::sort(front.begin(), front.end(), sooner);
  std::vector<int> order = front, places{place(first), place(last)};
  order.push_back(a);
  order.insert(order.end(), behind.begin(), behind.end());
  for (int k : front) places.push_back(place(k));
  for (int k : behind) places.push_back(place(k));
  std::sort(places.begin(), places.end());
  // One place is left over: that of the kernel which goes, between the two halves.
  for (size_t i = 0; i < order.size(); ++i)
    place_[static_cast<size_t>(order[i])] = places[i <= front.size() ? i : i + 1];

  std::vector<int>&of_a = ops_[static_cast<size_t>(a)], &of_b = ops_[static_cast<size_t>(b)];
  for (int op : of_b) kernel_of_[static_cast<size_t>(op)] = a;
  of_a.insert(of_a.end(), of_b.begin(), of_b.end());
  of_b.clear();
}

}  // namespace gmc::fusion
