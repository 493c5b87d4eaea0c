#include "runtime/base/share_out.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace gmc {
namespace {

TEST(ShareOut, RunsEveryTaskOnce) {
  for (size_t count : {0u, 1u, 2u, 7u, 100u})
    for (int threads : {0, 1, 2, 5}) {
      std::vector<std::atomic<int>> runs(count);
      share_out(count, threads, [&](size_t i) { ++runs[i]; });
      for (size_t i = 0; i < count; ++i) EXPECT_EQ(runs[i], 1) << i << " of " << count << " on " << threads;
    }
}

TEST(ShareOut, RunsTheOthersWhenTasksThrowAndThrowsWhatTheFirstOfThemThrew) {
  for (int threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> runs(50);
    try {
      share_out(runs.size(), threads, [&](size_t i) {
        ++runs[i];
        if (i % 20 == 13) throw std::runtime_error("task " + std::to_string(i));
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "task 13");
    }
    for (const auto& r : runs) EXPECT_EQ(r, 1);
  }
}

}  // namespace
}  // namespace gmc
