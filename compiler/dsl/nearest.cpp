#include "compiler/dsl/nearest.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace gmc {
namespace {

size_t edits(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(const std::string& name, const std::vector<std::string>& names) {
  std::string best;
  size_t fewest = name.size();
  for (const std::string& candidate : names) {
    const size_t n = edits(name, candidate);
    if (n > candidate.size() / 3 + 1 || n >= fewest) continue;
    fewest = n;
    best = candidate;
  }
  return best;
}

std::string unknown_name(const std::string& what, const std::string& name, const std::vector<std::string>& names) {
  if (names.empty()) return fmt::format("unknown {} '{}': there is none", what, name);
  const std::string near = nearest_name(name, names);
  return fmt::format("unknown {} '{}': {}expected one of {}", what, name,
                     near.empty() ? "" : fmt::format("did you mean '{}'? ", near), fmt::join(names, ", "));
}

}  // namespace gmc
