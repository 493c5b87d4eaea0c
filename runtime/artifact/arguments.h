// The command line of compiled programs: a verb and flags from a table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gmc::artifact {

struct Flag {
  std::string_view name;   // with its dashes: `--seed`
  std::string_view brief;  // another spelling, `-o`, or empty
  std::string_view value;  // what the value is called; empty: the flag has none
  std::string_view help;
};

struct Given {
  const Flag* flag;
  std::string value;
};

class Arguments {
public:
  // Reads what follows the program's name. Flags may stand anywhere, values as `--flag value` or `--flag=value`; after
  // `--` nothing is a flag. Throws `Error` (usage) for unknown flags, with the nearest one, and for missing or
  // superfluous values.
  Arguments(std::span<char* const> words, std::span<const Flag> flags);

  const std::vector<std::string>& words() const { return words_; }
  bool has(std::string_view flag) const;
  // The last value; `otherwise` if the flag is not there.
  std::string text(std::string_view flag, std::string otherwise = "") const;
  // The last value as a number in [low, high]; throws `Error` (usage) if it is none.
  uint64_t number(std::string_view flag, uint64_t otherwise, uint64_t low, uint64_t high) const;
  std::vector<std::string> all(std::string_view flag) const;

private:
  std::vector<std::string> words_;
  std::vector<Given> given_;
};

// `, did you mean 'seed'?` for the name nearest to `word`, or nothing if none is near.
std::string suggestion(std::string_view word, std::span<const std::string_view> names);

}  // namespace gmc::artifact
