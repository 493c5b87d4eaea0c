// Models by name or by path.
#pragma once

#include "compiler/dsl/model.h"

#include <string>

namespace gmc {

// A reference model by its name, or the model in a C++ file (a name that ends in `.cpp`, `.cc` or holds a `/`). A file
// is compiled with the system's C++ compiler ($CXX, else c++) to a shared object in $XDG_CACHE_HOME/gmc/models
// (~/.cache/gmc/models), which is used again as long as source, the files it includes, compiler, flags and gmc's
// headers stay the same. What the compiler says about a broken file goes to standard error as it is. The definition
// lives as long as the process. Throws `Error` for an unknown name, with the names there are, a file that does not
// compile or defines no model, and another ABI version.
const ModelDefinition& load_model(const std::string& name_or_path);

}  // namespace gmc
