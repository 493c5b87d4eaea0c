// A captured program as the compiler takes it.
#pragma once

#include "compiler/dsl/program.h"
#include "compiler/package/compile.h"
#include "runtime/base/tensor.h"

#include <string>
#include <vector>

namespace gmc::package {

// State and entries (all, or those named) of a program. `feed_draws`: every draw becomes an input of the entry.
Source source_of(const Program&, const std::string& model, const std::vector<std::string>& entries = {},
                 bool feed_draws = false);

// An entry that gives the gradients which `entry` hands to its optimisers, as outputs named like the parameters, and
// updates nothing.
graph::Graph gradients_of(const Entry&);

// The values that the program's states start with.
TensorMap initial_state(const Program&, uint64_t seed);

}  // namespace gmc::package
