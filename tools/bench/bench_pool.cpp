// What a parallel region costs: empty, 2 x 10 us and 2 x 100 us of work, with and without a busy neighbour on one core.
#include "runtime/execute/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sched.h>

namespace {

using gmc::execute::ThreadPool;

double now_us() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

volatile double sink;

// Work that depends on nothing but the clock frequency.
void spin_work(uint64_t rounds) {
  double x = 1;
  for (uint64_t i = 0; i < rounds; ++i) x = x * 0.999999 + 1e-9;
  sink = x;
}

uint64_t rounds_of(double us) {
  double best = 1e30;
  for (int i = 0; i < 20; ++i) {
    const double start = now_us();
    spin_work(10'000);
    best = std::min(best, now_us() - start);
  }
  return static_cast<uint64_t>(10'000 * us / best);
}

struct Quantiles {
  double p10, p50, p90, p99, worst;
};

Quantiles measure(ThreadPool& pool, uint64_t tiles, uint64_t rounds, double pause_us, int repeats) {
  std::vector<double> times;
  auto body = [&](uint64_t begin, uint64_t end, int) {
    for (uint64_t i = begin; i < end; ++i) spin_work(rounds);
  };
  for (int i = 0; i < repeats; ++i) {
    for (const double until = now_us() + pause_us; now_us() < until;) {
    }
    const double start = now_us();
    pool.run(tiles, body);
    times.push_back(now_us() - start);
  }
  std::sort(times.begin(), times.end());
  const auto at = [&](double q) { return times[static_cast<size_t>(q * static_cast<double>(times.size() - 1))]; };
  return {at(0.1), at(0.5), at(0.9), at(0.99), times.back()};
}

void report(const char* what, const Quantiles& q) {
  std::printf("    %-34s p10 %8.2f  p50 %8.2f  p90 %8.2f  p99 %8.2f  max %9.1f us\n", what, q.p10, q.p50, q.p90, q.p99,
              q.worst);
}

void measure_all(int threads) {
  ThreadPool pool;
  pool.start(threads);
  std::printf("  %d thread%s\n", threads, threads == 1 ? "" : "s");
  const uint64_t tiles = static_cast<uint64_t>(std::max(threads, 2));
  report("empty, back to back", measure(pool, tiles, 0, 0, 20'000));
  report("empty, after 200 us of rest", measure(pool, tiles, 0, 200, 1'000));
  report("2 x 10 us, back to back", measure(pool, 2, rounds_of(10), 0, 5'000));
  report("2 x 10 us, after 200 us of rest", measure(pool, 2, rounds_of(10), 200, 1'000));
  report("64 tiles, 20 us, back to back", measure(pool, 64, rounds_of(20.0 / 64), 0, 5'000));
  report("2 x 100 us, back to back", measure(pool, 2, rounds_of(100), 0, 2'000));
  report("64 tiles, 200 us, back to back", measure(pool, 64, rounds_of(200.0 / 64), 0, 2'000));
}

}  // namespace

int main() {
  const int cpus = gmc::execute::usable_cpus();
  std::printf("quiet\n");
  measure_all(1);
  measure_all(std::min(cpus, 2));

  std::atomic<bool> stop{false};
  std::thread neighbour([&] {
    while (!stop) spin_work(1000);
  });
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpus - 1, &one);
  pthread_setaffinity_np(neighbour.native_handle(), sizeof one, &one);
  std::printf("busy neighbour on CPU %d\n", cpus - 1);
  measure_all(1);
  measure_all(std::min(cpus, 2));
  stop = true;
  neighbour.join();
}
