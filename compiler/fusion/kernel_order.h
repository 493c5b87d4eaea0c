// Which kernels depend on which, and an order in which all can run, while kernels become one.
#pragma once

#include "compiler/fusion/view.h"

#include <vector>

namespace gmc::fusion {

// Kernels are known by the handle of the op that each begins as. Nothing here judges: what is joined must leave an
// order.
class KernelOrder {
public:
  explicit KernelOrder(const View&);  // every op a kernel of its own

  int kernel_of(int op) const { return kernel_of_[static_cast<size_t>(op)]; }
  // Whether `a` runs before `b`.
  bool precedes(int a, int b) const { return place(a) < place(b); }
  // How the later of two kernels depends on the earlier: through a third kernel (and then maybe directly, too), by what
  // it reads of it only, or not.
  enum class Dependence { none, direct, through_third };
  Dependence dependence(int a, int b);
  // `b` becomes part of `a`: neither depends on the other through a third. What both need goes in front of them, what
  // needs them behind (Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic graphs", JEA 11,
  // 2006).
  void join(int a, int b);

  // Calls visit(kernel) for the kernels that read what this one computes; some more than once.
  template <class Visit>
  void each_reader(int kernel, Visit visit) const {
    for (int op : ops(kernel))
      for (int reader : view_.readers(op))
        if (const int other = kernel_of(reader); other != kernel) visit(other);
  }
  // For the kernels whose results this one reads.
  template <class Visit>
  void each_source(int kernel, Visit visit) const {
    for (int op : ops(kernel))
      for (const Access& a : view_.ops()[static_cast<size_t>(op)].operands) {
        const int source = view_.op_of(a.source);
        if (source < 0) continue;
        if (const int other = kernel_of(source); other != kernel) visit(other);
      }
  }

private:
  int place(int kernel) const { return place_[static_cast<size_t>(kernel)]; }
  const std::vector<int>& ops(int kernel) const { return ops_[static_cast<size_t>(kernel)]; }
  std::vector<int> readers_before(int first, int last) const;
  std::vector<int> sources_behind(int first, int last) const;

  const View& view_;
  std::vector<std::vector<int>> ops_;  // per kernel
  std::vector<int> kernel_of_;         // per op
  std::vector<int> place_;             // per kernel
  // Which walk, counted from 1, was the last to come by, per kernel.
  struct Seen {
    uint64_t down = 0, up = 0;
  };
  std::vector<Seen> seen_;
  uint64_t walks_ = 0;
};

}  // namespace gmc::fusion
