// Independent tasks on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace gmc {

// Calls task(i) for each i below `count`, on at most `threads` threads (0: one a CPU), each taking the next i. If tasks
// throw, the others are still run; then what the first of them threw is thrown.
void share_out(size_t count, int threads, const std::function<void(size_t)>& task);

}  // namespace gmc
