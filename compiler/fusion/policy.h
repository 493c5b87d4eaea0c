// Policies: each chooses among the merges that legality offers. A new one is a file and a line in policies().
#pragma once

#include "compiler/fusion/plan_builder.h"

#include <string>
#include <vector>

namespace gmc::fusion {

struct Policy {
  const char* name;
  const char* help;
  Plan (*make)(const View&, const std::string& library);
};
const std::vector<Policy>& policies();
const Policy& policy_named(const std::string&);

Plan policy_none(const View&, const std::string& library = {});
Plan policy_greedy(const View&, const std::string& library = {});

}  // namespace gmc::fusion
