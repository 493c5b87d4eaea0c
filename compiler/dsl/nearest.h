// What to say about a name that is not known.
#pragma once

#include <string>
#include <vector>

namespace gmc {

// The one of `names` that is fewest edits away (Levenshtein), if that is at most a third of its length + 1; else empty.
std::string nearest_name(const std::string& name, const std::vector<std::string>& names);

// `unknown field 'hh': did you mean 'h'? Expected one of batch, h, x`.
std::string unknown_name(const std::string& what, const std::string& name, const std::vector<std::string>& names);

}  // namespace gmc
