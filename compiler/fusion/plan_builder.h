// Plans under construction, legal at every step: what policies choose with.
#pragma once

#include "compiler/fusion/kernel_order.h"
#include "compiler/fusion/legality.h"
#include "compiler/fusion/plan.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace gmc::fusion {

// Two kernels that could become one.
struct Merge {
  int a = 0, b = 0;         // handles of kernels, a < b
  bool horizontal = false;  // side by side in one launch, instead of in one region
  int64_t bytes_saved = 0;  // of traffic, by the model of plan.h; not counted for kernels side by side
};

// A plan under construction: starts with every op in a kernel of its own and keeps itself legal.
class PlanBuilder {
public:
  // `library`: products are calls of it, each alone in its kernel; empty: they are generated and take ops behind them.
  explicit PlanBuilder(const View&, std::string library = {});

  const View& view() const { return view_; }
  // Handles of the kernels there are, ascending.
  std::vector<int> kernels() const;
  const PlanKernel& kernel(int handle) const { return slots_[static_cast<size_t>(handle)].kernel; }
  bool has_product(int handle) const { return slots_[static_cast<size_t>(handle)].product >= 0; }
  // The work by which a kernel of these two in one region exceeds theirs, by cost: an op that varies along the columns
  // but not along the rows is evaluated anew in each row, and one that lies across the space reads against the grain.
  double added_work(const Merge&) const;
  // Ops of all regions, by cost.
  double work(int handle) const { return slots_[static_cast<size_t>(handle)].work; }

  // False: these two do not fit in one region, as far as that costs little to find out.
  bool might_fuse(int a, int b) const;
  // The legal merge of these two, or why there is none.
  std::variant<Merge, Refusal> try_merge(int a, int b, bool horizontal);
  void merge(const Merge&, std::string reason = {});
  // The legal merge with the highest score, again and again, until none scores above 0: among kernels one of which
  // reads what the other computes, or that read the same value of more than one element. A score depends on the two
  // kernels only.
  void merge_best(const std::function<double(const Merge&)>& score,
                  const std::function<std::string(const Merge&)>& reason);
  // Then independent kernels share a launch, the two with the least work first, until none are independent.
  void merge_side_by_side(const std::string& reason);

  // The finished plan, with a decision for every pair of kernels that share a value and stayed apart.
  Plan finish(std::string policy);

private:
  struct Slot {
    PlanKernel kernel;
    int product = -1;      // the op, if it has one
    bool reduces = false;  // whether an op is a reduction
    double work = 0;
    bool alive = true;
    int version = 0;
    int64_t bytes = 0;        // of traffic
    std::vector<int> reads;   // values that come from outside, ascending
    std::vector<int> writes;  // ops that are read outside, ascending
    int widest = 0;           // of a single region: the op whose space the others are evaluated in
    double repeated = 0;      // of a single region: work beyond what each op is by itself
  };
  struct Cached {
    int version_a, version_b;
    std::variant<Merge, Refusal> verdict;
  };
  // A merge of two kernels as they were at some time.
  struct Candidate {
    double score;
    Merge merge;
    int version_a, version_b;
  };
  bool is_inside(int op, int a, int b) const;
  int64_t bytes_saved(int a, int b) const;
  int widest_of(int a, int b) const;
  const Shape& space(int op) const { return view_.ops()[static_cast<size_t>(op)].index_space; }
  bool feeds_product(int from, int to) const;
  double repeated_work(const std::vector<int>& region, const Shape& domain) const;
  double repeated_by(int a, int b) const;
  std::variant<Merge, Refusal> judge(int a, int b, bool horizontal) const;
  std::optional<Merge> propose(int a, int b) const;
  std::vector<int> joined(int a, int b) const;
  const std::variant<Merge, Refusal>& judged(int a, int b, bool horizontal);
  std::optional<Refusal> refused_by_others(const Merge&);

  const View& view_;
  std::string library_;
  std::vector<Slot> slots_;
  KernelOrder order_;
  std::vector<std::set<int>> neighbours_;               // per handle: the kernels that share a value with it
  std::map<std::tuple<int, int, bool>, Cached> cache_;  // of merges, without what depends on other kernels
  // Values that are computed or read, numbered: those of an op from its first on.
  std::vector<int> first_value_;  // per op
  std::vector<int64_t> value_bytes_;
};

}  // namespace gmc::fusion
