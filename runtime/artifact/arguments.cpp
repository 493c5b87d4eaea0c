#include "runtime/artifact/arguments.h"

#include "runtime/base/error.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace gmc::artifact {
namespace {

// Insertions, deletions and replacements between two words (Levenshtein).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

const Flag& find(std::span<const Flag> flags, std::string_view word) {
  std::vector<std::string_view> names;
  for (const Flag& f : flags) {
    if (f.name == word || (!f.brief.empty() && f.brief == word)) return f;
    names.push_back(f.name);
  }
  fail_usage("unknown flag '{}'{}", word, suggestion(word, names));
}

}  // namespace

std::string suggestion(std::string_view word, std::span<const std::string_view> names) {
  std::string_view nearest;
  size_t best = std::max<size_t>(2, word.size() / 3) + 1;
  for (std::string_view name : names)
    if (const size_t d = distance(word, name); d < best) best = d, nearest = name;
  return nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest);
}

Arguments::Arguments(std::span<char* const> words, std::span<const Flag> flags) {
  bool flags_ended = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (flags_ended || word.size() < 2 || word[0] != '-') {
      words_.emplace_back(word);
      continue;
    }
    if (word == "--") {
      flags_ended = true;
      continue;
    }
    const size_t equals = word.starts_with("--") ? word.find('=') : word.npos;
    const Flag& flag = find(flags, word.substr(0, equals));
    std::optional<std::string> value;
    if (equals != word.npos) value.emplace(word.substr(equals + 1));
    if (flag.value.empty() && value) fail_usage("flag '{}' takes no value, got '{}'", flag.name, *value);
    if (!flag.value.empty() && !value) {
      if (i + 1 == words.size()) fail_usage("flag '{}' needs a value: {} {}", word, word, flag.value);
      value.emplace(words[++i]);
    }
    given_.push_back({&flag, value.value_or("")});
  }
}

bool Arguments::has(std::string_view flag) const {
  return std::ranges::any_of(given_, [&](const Given& g) { return g.flag->name == flag; });
}

std::string Arguments::text(std::string_view flag, std::string otherwise) const {
  for (const Given& g : given_)
    if (g.flag->name == flag) otherwise = g.value;
  return otherwise;
}

uint64_t Arguments::number(std::string_view flag, uint64_t otherwise, uint64_t low, uint64_t high) const {
  if (!has(flag)) return otherwise;
  const std::string value = text(flag);
  uint64_t number = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (problem != std::errc() || end != value.data() + value.size() || number < low || number > high)
    fail_usage("flag '{}': expected a whole number from {} to {}, got '{}'", flag, low, high, value);
  return number;
}

std::vector<std::string> Arguments::all(std::string_view flag) const {
  std::vector<std::string> values;
  for (const Given& g : given_)
    if (g.flag->name == flag) values.push_back(g.value);
  return values;
}

}  // namespace gmc::artifact
