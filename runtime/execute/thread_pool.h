// A small thread pool for regions of a few microseconds on machines that are busy with other things.
//
// A region is cut into chunks whose number and bounds depend on the number of tiles alone. Everyone, the caller too,
// claims chunks from one 64-bit word that also holds the region's serial number; a region is over when all chunks are
// done. So the caller never waits for a worker that holds no chunk, whether it sleeps, has not been scheduled, or is
// late by a region.
#pragma once

#include <atomic>
#include <stdint.h>

#include <pthread.h>

namespace gmc::execute {

inline constexpr int max_threads = 64;
inline constexpr uint64_t max_chunks = 64;

// CPUs that this process may use, 1 to max_threads.
int usable_cpus();

class ThreadPool {
public:
  // Does tiles [begin, end); `worker` is 0 for the caller, else below threads().
  using Task = void (*)(void* context, uint64_t begin, uint64_t end, int worker);

  ThreadPool() = default;
  ~ThreadPool() { stop(); }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Starts threads - 1 workers (threads is clamped to 1..max_threads). False if the system refuses; then fewer run.
  bool start(int threads);
  // Ends and joins the workers. No region may be running.
  void stop();
  int threads() const { return threads_; }

  // Does tiles [0, tiles) and returns when all are done. With one thread, or one chunk, this is a plain call.
  // One caller at a time, and no call from inside a task.
  void run(uint64_t tiles, Task task, void* context) {
    if (tiles == 0) return;
    if (threads_ == 1 || tiles == 1) {
      task(context, 0, tiles, 0);
      return;
    }
    run_shared(tiles, task, context);
  }

  // As above for a callable taking (begin, end, worker).
  template <class F>
  void run(uint64_t tiles, const F& f) {
    const Task call = [](void* c, uint64_t begin, uint64_t end, int worker) {
      (*static_cast<const F*>(c))(begin, end, worker);
    };
    run(tiles, call, const_cast<F*>(&f));
  }

  // Tiles of one chunk.
  static constexpr uint64_t chunk_of(uint64_t tiles) { return (tiles + max_chunks - 1) / max_chunks; }

private:
  struct Worker {
    ThreadPool* pool;
    pthread_t thread;
    int index;
    uint64_t spin_ns;
  };

  void run_shared(uint64_t tiles, Task task, void* context);
  uint32_t work(int worker);
  void work_until_stopped(const Worker& self);
  void wake(uint32_t wanted);
  static void* thread_main(void* worker);

  // The region: written by the caller before it opens it, read by whoever has claimed a chunk of it.
  Task task_ = nullptr;
  void* context_ = nullptr;
  uint64_t tiles_ = 0, chunk_ = 1;
  uint64_t caller_spin_ns_ = 0;
  int threads_ = 1;
  uint64_t serial_ = 0;

  // Serial number << 16 | low << 8 | high: chunks [low, high) are free.
  alignas(128) std::atomic<uint64_t> open_{0};
  // Chunks that workers have finished; the top bit says that the caller sleeps on it.
  alignas(128) std::atomic<uint32_t> done_{0};
  // Workers sleep on `bell_`; `asleep_` counts those that do or are about to.
  alignas(128) std::atomic<uint32_t> bell_{0};
  std::atomic<uint32_t> asleep_{0};
  std::atomic<bool> stop_{false};
  std::atomic<int> caller_cpu_{-1};
  Worker workers_[max_threads] = {};
};

}  // namespace gmc::execute
