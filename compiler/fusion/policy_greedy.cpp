#include "compiler/fusion/policy.h"

#include <fmt/format.h>

namespace gmc::fusion {

// First the merge that saves the most traffic, until none saves any: a whole optimiser update may end up behind the
// product that gives its gradient. A merge that adds more work than it saves is none. Then independent kernels share a
// launch: what is left to save is the launch itself, so the two with the least work go first.
Plan policy_greedy(const View& view, const std::string& library) {
  PlanBuilder builder(view, library);
  constexpr double launch = 32768;  // in bytes of traffic, of which one takes about as long as one addition
  const auto saved = [&](const Merge& m) {
    const auto bytes = static_cast<double>(m.bytes_saved);
    return builder.added_work(m) > bytes + launch ? 0 : bytes;
  };
  builder.merge_best(saved, [](const Merge& m) { return fmt::format("saves {} bytes", m.bytes_saved); });
  builder.merge_side_by_side("independent: one launch");
  return builder.finish("greedy");
}

}  // namespace gmc::fusion
