#include "runtime/execute/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace gmc::execute {
namespace {

TEST(ThreadPool, DoesEachTileOnce) {
  for (int threads : {1, 2, 3, 8, 64}) {
    ThreadPool pool;
    ASSERT_TRUE(pool.start(threads));
    EXPECT_EQ(pool.threads(), threads);
    for (uint64_t tiles : {0u, 1u, 2u, 3u, 63u, 64u, 65u, 127u, 128u, 129u, 1000u, 4097u}) {
      const auto counts = std::make_unique<std::atomic<int>[]>(tiles + 1);
      std::atomic<bool> worker_in_range{true};
      pool.run(tiles, [&](uint64_t begin, uint64_t end, int worker) {
        if (worker < 0 || worker >= threads) worker_in_range = false;
        for (uint64_t i = begin; i < end; ++i) ++counts[i];
      });
      for (uint64_t i = 0; i < tiles; ++i)
        ASSERT_EQ(counts[i], 1) << "tile " << i << " of " << tiles << ", " << threads << " threads";
      ASSERT_EQ(counts[tiles], 0);
      ASSERT_TRUE(worker_in_range);
    }
  }
}

TEST(ThreadPool, ChunksDependOnTilesAlone) {
  for (uint64_t tiles : {2u, 64u, 65u, 1000u}) {
    for (int threads : {2, 5}) {
      ThreadPool pool;
      pool.start(threads);
      std::vector<uint64_t> ends(tiles);
      pool.run(tiles, [&](uint64_t begin, uint64_t end, int) { ends[begin] = end; });
      for (uint64_t i = 0; i < tiles; ++i) {
        const uint64_t chunk = ThreadPool::chunk_of(tiles);
        EXPECT_EQ(ends[i], i % chunk == 0 ? std::min(i + chunk, tiles) : 0);
      }
    }
  }
}

// Plain memory written in one region is read in the next by whichever thread: a data race, if regions did not order
// them.
TEST(ThreadPool, RegionsAreOrdered) {
  ThreadPool pool;
  pool.start(3);
  std::vector<uint64_t> values(257);
  for (uint64_t round = 0; round < 2000; ++round) {
    std::atomic<int> wrong{0};
    pool.run(values.size(), [&](uint64_t begin, uint64_t end, int) {
      for (uint64_t i = begin; i < end; ++i)
        if (values[i]++ != round) ++wrong;
    });
    ASSERT_EQ(wrong, 0);
    for (auto v : values) ASSERT_EQ(v, round + 1);
  }
}

// The caller alone finishes a region while the only worker is held up in the kernel of another pool's making: it
// sleeps.
TEST(ThreadPool, WorkersThatSleepAreWoken) {
  ThreadPool pool;
  pool.start(2);
  for (int round = 0; round < 50; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int> done{0}, helped{0};
    pool.run(2, [&](uint64_t begin, uint64_t end, int worker) {
      done += static_cast<int>(end - begin);
      if (worker == 1) {
        ++helped;
        return;
      }
      // The caller leaves the other tile to the worker. A pool that never wakes it would do so for ever.
      while (helped == 0 && done < 2) std::this_thread::yield();
    });
    ASSERT_EQ(done, 2);
    ASSERT_GE(helped, 1);
  }
}

TEST(ThreadPool, StartsAndStopsAgain) {
  ThreadPool pool;
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(pool.start(1 + round % 5));
    std::atomic<uint64_t> sum{0};
    pool.run(100, [&](uint64_t begin, uint64_t end, int) { sum += end - begin; });
    ASSERT_EQ(sum, 100u);
  }
  pool.stop();
  EXPECT_EQ(pool.threads(), 1);
}

TEST(ThreadPool, ClampsThreads) {
  ThreadPool pool;
  pool.start(-3);
  EXPECT_EQ(pool.threads(), 1);
  EXPECT_GE(usable_cpus(), 1);
}

}  // namespace
}  // namespace gmc::execute
