#include "runtime/base/share_out.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace gmc {

void share_out(size_t count, int threads, const std::function<void(size_t)>& task) {
  std::atomic<size_t> next{0};
  std::vector<std::exception_ptr> problems(count);
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) try {
        task(i);
      } catch (...) {
        problems[i] = std::current_exception();
      }
  };
  const size_t wanted = threads > 0 ? static_cast<size_t>(threads) : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> pool;
  try {
    for (size_t t = 1; t < std::min(count, wanted); ++t) pool.emplace_back(run);
  } catch (const std::system_error&) {
    // No more threads to be had: those there are share the work.
  }
  run();
  for (std::thread& t : pool) t.join();
  for (const std::exception_ptr& problem : problems)
    if (problem) std::rethrow_exception(problem);
}

}  // namespace gmc
