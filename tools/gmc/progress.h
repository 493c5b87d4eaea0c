// Progress of a long run: one live line on a terminal, a plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gmc::tool {

class Progress {
public:
  Progress(int64_t total, int64_t first, bool enabled);
  void show(int64_t done, const std::vector<std::pair<std::string, double>>& values);
  void finish();

private:
  std::string line(int64_t done, const std::vector<std::pair<std::string, double>>& values) const;

  int64_t total_, first_;
  bool enabled_, terminal_;
  std::chrono::steady_clock::time_point begin_, shown_;
  int64_t next_plain_;
  bool live_ = false;
};

}  // namespace gmc::tool
