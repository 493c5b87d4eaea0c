// Which op made the first value that is no number.
#pragma once

#include "runtime/base/tensor.h"
#include "tools/gmc/command.h"

#include <string>

namespace gmc::tool {

// Runs an entry once more, with a check on every op, on the state it started from, these inputs and the draws of (seed,
// step); returns the text of the error that names the first op with NaN, or else with an infinity, whose operands had
// none, at its line of the model. Empty if all is finite.
std::string blame(const Model&, const std::string& entry, const TensorMap& state, const TensorMap& inputs,
                  const CompileOptions&, const RunOptions&, uint64_t step);

}  // namespace gmc::tool
