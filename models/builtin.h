// The reference models that are linked in.
#pragma once

#include "compiler/dsl/model.h"

#include <vector>

namespace gmc {

// In alphabetical order of their paths; the list is generated.
const std::vector<const ModelDefinition* (*)()>& builtin_models();

}  // namespace gmc
