#include "compiler/fusion/policy.h"

#include "runtime/base/error.h"

#include <fmt/ranges.h>

namespace gmc::fusion {

const std::vector<Policy>& policies() {
  static const std::vector<Policy> list{
      {"none", "every op in a kernel of its own", policy_none},
      {"greedy", "the merge that saves the most bytes first; then independent kernels side by side", policy_greedy},
  };
  return list;
}

const Policy& policy_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Policy& policy : policies()) {
    if (name == policy.name) return policy;
    names.emplace_back(policy.name);
  }
  fail_usage("unknown policy '{}': expected one of {}", name, fmt::join(names, ", "));
}

}  // namespace gmc::fusion
