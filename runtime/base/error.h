// One error type for everything that can go wrong in gmc. Libraries throw it; only `main` ends a process.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace gmc {

// Says what, where, expected against got, and what to do. `usage` marks a mistake in a command line or a name.
class Error : public std::runtime_error {
public:
  explicit Error(const std::string& text, bool usage = false) : std::runtime_error(text), usage_(usage) {}
  bool usage() const { return usage_; }

private:
  bool usage_;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...), true);
}

}  // namespace gmc
