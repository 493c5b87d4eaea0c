// The steps of an entry and the memory they work on, before either has its place.
#pragma once

#include "compiler/package/write.h"

#include <cstdint>
#include <vector>

namespace gmc::package {

// Steps of loops and conds are followed by those of their regions. Memory of the arena is alive from the first step
// that uses it to the last; all through a loop if it was made outside of it and is used inside.
class Schedule {
public:
  explicit Schedule(PackageWriter& writer) : writer_(writer) {}

  // Memory, by number.
  int given(execute::Space, uint64_t offset, int64_t bytes);
  int constant(uint32_t buffer);
  int arena(int64_t bytes);
  // In trip i of a loop: `bytes` of `whole` from i * bytes on.
  int slices(int whole, size_t loop, int64_t bytes);

  // Operands are numbers of memory.
  size_t add(execute::Step, std::vector<int> operands);
  void copy(int from, int to);
  execute::Step& step(size_t i) { return steps_[i].step; }
  size_t size() const { return steps_.size(); }

  // What is made between them belongs to a trip of this loop.
  void enter(size_t loop) { loops_.push_back(static_cast<int>(loop)); }
  void leave() { loops_.pop_back(); }

  // Plans the arena and writes buffers and steps. Returns the bytes of the arena.
  int64_t write();

private:
  struct Memory {
    execute::Buffer buffer{};
    bool planned = false;
    int whole = -1;
    int owner = -1;  // the innermost loop around where it was made
    int first = -1, last = -1;
    uint32_t id = execute::none;
  };
  struct Pending {
    execute::Step step;
    std::vector<int> operands;
  };
  int make(const execute::Buffer&);
  Memory& memory(int m) { return memory_[static_cast<size_t>(m)]; }
  void find_lives();
  int64_t plan();

  PackageWriter& writer_;
  std::vector<Memory> memory_;
  std::vector<Pending> steps_;
  std::vector<int> loops_;
};

}  // namespace gmc::package
