#include "compiler/fusion/policy.h"

namespace gmc::fusion {

Plan policy_none(const View& view, const std::string& library) { return PlanBuilder(view, library).finish("none"); }

}  // namespace gmc::fusion
