#include "tools/gmc/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include <unistd.h>

namespace gmc::tool {

Progress::Progress(int64_t total, int64_t first, bool enabled)
    : total_(total), first_(first), enabled_(enabled), terminal_(isatty(STDOUT_FILENO) == 1),
      begin_(std::chrono::steady_clock::now()), shown_(begin_), next_plain_(first) {}

std::string Progress::line(int64_t done, const std::vector<std::pair<std::string, double>>& values) const {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  const double rate = static_cast<double>(done - first_) / std::max(seconds, 1e-9);
  std::string text = fmt::format("step {:>6}/{}", done, total_);
  for (const auto& [name, value] : values) text += fmt::format("  {} {:.4g}", name, value);
  const auto left = static_cast<int64_t>(static_cast<double>(total_ - done) / std::max(rate, 1e-9));
  return text + fmt::format("  {:.0f} steps/s  {}:{:02} left", rate, left / 60, left % 60);
}

void Progress::show(int64_t done, const std::vector<std::pair<std::string, double>>& values) {
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  if (terminal_) {
    if (now - shown_ < std::chrono::milliseconds(100) && done < total_) return;
    fmt::print("\r\x1b[K{}", line(done, values));
    live_ = true;
  } else {
    // About ten lines a run, and one at the end.
    if (done < next_plain_ && done < total_) return;
    fmt::print("{}\n", line(done, values));
    next_plain_ = done + std::max<int64_t>(1, total_ / 10);
  }
  std::fflush(stdout);
  shown_ = now;
}

void Progress::finish() {
  if (live_) fmt::print("\n");
  live_ = false;
}

}  // namespace gmc::tool
