// The plan: which ops run together. An explicit value that policies make, people edit, the checker refuses or admits,
// and lowering compiles.
#pragma once

#include "compiler/fusion/view.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace gmc::fusion {

struct PlanKernel {
  std::string id;                         // `k3`
  std::vector<std::vector<int>> regions;  // indices into View::ops(), ascending; several regions share one launch
  // Empty: generated; otherwise what runs its one op: `onednn`, a product; `runtime`, a call; `control`, a loop or
  // cond, whose regions have plans of their own.
  std::string library;
  std::string reason;  // why it is as it is, in the policy's words
};

// The libraries of ops that are calls of the runtime, and of those with regions.
inline constexpr const char *runtime_library = "runtime", *control_library = "control";
// The library that an op of this category always has; empty for others.
inline std::string library_of(Category c) {
  return c == Category::routine ? runtime_library : graph::is_control(c) ? control_library : "";
}

// What was decided about a pair of kernels, and why.
struct Decision {
  std::string a, b;     // names of one op of each
  std::string result;   // fused, illegal, unprofitable
  std::string rule;     // illegal: the rule
  std::string witness;  // illegal: what breaks it; otherwise the figures
};

struct Plan {
  std::string entry;
  std::string policy;
  std::string graph;                // hash of the graph's text
  std::vector<PlanKernel> kernels;  // in an order in which they can run
  std::vector<Decision> decisions;
};

// What a plan costs, by the model: ops counted once, each kernel reading every outside value once and writing each
// value that is needed outside once.
struct PlanReport {
  int generated = 0;  // generated kernels without a product
  int products = 0;   // kernels with a generated product
  int library_calls = 0;
  int runtime_calls = 0;
  int control = 0;            // loops and conds
  int64_t bytes_between = 0;  // written by one kernel and read by another, each write and each reading kernel counted
  int64_t bytes_total = 0;    // all reads and writes, inputs, outputs and state included
  int64_t bytes_compulsory = 0;  // inputs and state read once, outputs and state written once (B0)
  double flops = 0;
};
PlanReport report(const View&, const Plan&);
nlohmann::ordered_json to_json(const PlanReport&);
// Bytes that a kernel reads and writes, by the same model.
struct Traffic {
  int64_t read = 0, written = 0;
};
Traffic traffic(const View&, const PlanKernel&);
double flops(const View&, int op);

// Stable 64-bit hash of the graph's text without locations, as 16 hex digits.
std::string graph_hash(const graph::Graph&);

// JSON with comments allowed. Reading throws `Error` naming entry, kernel and op. A kernel's `regions` may be given as
// `ops` when it has one. Of a kernel `control`, `bodies` may be given: one plan for each region of its op, in order.
nlohmann::ordered_json to_json(const View&, const Plan&);
Plan plan_from_json(const View&, const nlohmann::json&);
// The plan that a file, which plan_from_json has read, gives for a region of an op; null where it gives none.
const nlohmann::json* body_plan(const nlohmann::json&, const std::string& op, size_t region);

// Orders the kernels so that each comes after those it reads from; throws `Error` naming L1 and the kernels of a cycle.
void order_kernels(const View&, Plan&);

// Refuses a plan that does not compute the graph: throws `Error` with the rule it breaks and the witness. Written apart
// from legality and policies: it decides from the graph alone.
void check_plan(const View&, const Plan&);

}  // namespace gmc::fusion
