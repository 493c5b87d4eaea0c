#include "runtime/execute/thread_pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace gmc::execute {
namespace {

// How long a worker looks out for the next region, and a caller for the last chunk, before it sleeps.
constexpr uint64_t worker_spin_ns = 40'000, caller_spin_ns = 20'000;
constexpr uint32_t caller_sleeps = 1u << 31;
constexpr uint32_t wakes_at_once = 3;

void futex_wait(std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void futex_wake(std::atomic<uint32_t>& word, uint32_t count) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, static_cast<int>(count), nullptr, nullptr,
          0);
}

uint64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until `ready`, while `worthwhile`, for at most `limit_ns`; the last two are looked at only every few pauses.
template <class Ready, class Worthwhile>
bool spin(uint64_t limit_ns, Ready ready, Worthwhile worthwhile) {
  if (ready()) return true;
  if (limit_ns == 0 || !worthwhile()) return false;
  const uint64_t start = now_ns();
  do {
    for (int i = 0; i < 16; ++i) {
      pause();
      if (ready()) return true;
    }
  } while (worthwhile() && now_ns() - start < limit_ns);
  return false;
}

constexpr uint64_t low_of(uint64_t word) { return word >> 8 & 0xff; }
constexpr uint64_t high_of(uint64_t word) { return word & 0xff; }
constexpr bool has_work(uint64_t word) { return low_of(word) < high_of(word); }

}  // namespace

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  const int count = CPU_COUNT(&set);
  return count < 1 ? 1 : count > max_threads ? max_threads : count;
}

bool ThreadPool::start(int threads) {
  stop();
  const int wanted = threads < 1 ? 1 : threads > max_threads ? max_threads : threads;
  // Spinning beside more threads than CPUs only takes the CPU from one that has work.
  const bool roomy = wanted <= usable_cpus();
  caller_spin_ns_ = roomy ? caller_spin_ns : 0;
  // Signals are for the threads of the program that uses the pool.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (threads_ < wanted) {
    Worker& w = workers_[threads_];
    w = {this, {}, threads_, roomy ? worker_spin_ns : 0};
    if (pthread_create(&w.thread, nullptr, thread_main, &w) != 0) break;
    ++threads_;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return threads_ == wanted;
}

void ThreadPool::stop() {
  stop_.store(true);
  bell_.fetch_add(1);
  futex_wake(bell_, INT_MAX);
  for (int i = 1; i < threads_; ++i) pthread_join(workers_[i].thread, nullptr);
  threads_ = 1;
  stop_.store(false);
}

void ThreadPool::run_shared(uint64_t tiles, Task task, void* context) {
  task_ = task;
  context_ = context;
  tiles_ = tiles;
  chunk_ = chunk_of(tiles);
  const uint64_t chunks = (tiles + chunk_ - 1) / chunk_;
  done_.store(0, std::memory_order_relaxed);
  caller_cpu_.store(sched_getcpu(), std::memory_order_relaxed);
  // Opening and looking for sleepers must not be swapped: a worker counts itself asleep, then looks for work.
  open_.store(++serial_ << 16 | chunks, std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_seq_cst) > 0) wake(static_cast<uint32_t>(chunks - 1));

  const uint32_t others = static_cast<uint32_t>(chunks) - work(0);
  if (others == 0) return;
  const auto finished = [&] { return done_.load(std::memory_order_acquire) == others; };
  if (spin(caller_spin_ns_, finished, [] { return true; })) return;
  for (;;) {
    const uint32_t seen = done_.fetch_or(caller_sleeps, std::memory_order_acq_rel) | caller_sleeps;
    if ((seen & ~caller_sleeps) == others) return;
    futex_wait(done_, seen);
  }
}

// Claims and does chunks until none is free; returns how many. The caller takes them from the low end and the first
// worker from the high end, so that with two threads each meets in one region the data it touched in the last.
uint32_t ThreadPool::work(int worker) {
  const bool from_low = worker % 2 == 0;
  uint32_t count = 0;
  uint64_t word = open_.load(std::memory_order_acquire);
  while (has_work(word)) {
    const uint64_t next = from_low ? word + (1u << 8) : word - 1;
    if (!open_.compare_exchange_weak(word, next, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    const uint64_t begin = (from_low ? low_of(word) : high_of(word) - 1) * chunk_;
    const uint64_t end = begin + chunk_ < tiles_ ? begin + chunk_ : tiles_;
    task_(context_, begin, end, worker);
    ++count;
    word = open_.load(std::memory_order_acquire);
  }
  return count;
}

void ThreadPool::work_until_stopped(const Worker& self) {
  const auto ready = [this] {
    return has_work(open_.load(std::memory_order_acquire)) || stop_.load(std::memory_order_relaxed);
  };
  // On a busy machine the system may wake a worker on the caller's CPU. Spinning there keeps the caller from running.
  const auto elsewhere = [this] { return sched_getcpu() != caller_cpu_.load(std::memory_order_relaxed); };
  for (;;) {
    if (!spin(self.spin_ns, ready, elsewhere)) {
      asleep_.fetch_add(1, std::memory_order_seq_cst);
      const uint32_t bell = bell_.load(std::memory_order_seq_cst);
      if (!has_work(open_.load(std::memory_order_seq_cst)) && !stop_.load(std::memory_order_seq_cst))
        futex_wait(bell_, bell);
      asleep_.fetch_sub(1, std::memory_order_seq_cst);
      // Waking is passed on, so that the caller of a wide region pays for few wake-ups itself.
      const uint64_t word = open_.load(std::memory_order_acquire);
      if (has_work(word) && asleep_.load(std::memory_order_relaxed) > 0)
        wake(static_cast<uint32_t>(high_of(word) - low_of(word)));
    }
    if (stop_.load(std::memory_order_seq_cst)) return;
    // A region with unreported chunks cannot end, so all chunks counted here belong to one region.
    const uint32_t count = work(self.index);
    if (count == 0) continue;
    if (done_.fetch_add(count, std::memory_order_acq_rel) & caller_sleeps) futex_wake(done_, 1);
  }
}

void ThreadPool::wake(uint32_t wanted) {
  bell_.fetch_add(1, std::memory_order_seq_cst);
  futex_wake(bell_, wanted < wakes_at_once ? wanted : wakes_at_once);
}

void* ThreadPool::thread_main(void* argument) {
  const auto* self = static_cast<const Worker*>(argument);
  self->pool->work_until_stopped(*self);
  return nullptr;
}

}  // namespace gmc::execute
