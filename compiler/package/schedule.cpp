#include "compiler/package/schedule.h"

#include "compiler/package/memory.h"

#include <algorithm>

namespace gmc::package {

using execute::Space;
using execute::StepKind;

int Schedule::make(const execute::Buffer& buffer) {
  Memory m;
  m.buffer = buffer;
  m.owner = loops_.empty() ? -1 : loops_.back();
  memory_.push_back(m);
  return static_cast<int>(memory_.size()) - 1;
}

int Schedule::given(Space space, uint64_t offset, int64_t bytes) {
  execute::Buffer b{};
  b.space = space;
  b.offset = offset;
  b.bytes = static_cast<uint64_t>(bytes);
  return make(b);
}

int Schedule::constant(uint32_t buffer) {
  const int m = make({});
  memory(m).id = buffer;
  return m;
}

int Schedule::arena(int64_t bytes) {
  const int m = given(Space::arena, 0, bytes);
  memory(m).planned = true;
  return m;
}

int Schedule::slices(int whole, size_t loop, int64_t bytes) {
  execute::Buffer b{};
  b.bytes = static_cast<uint64_t>(bytes);
  b.stride = bytes;
  b.loop = static_cast<uint32_t>(loop) + 1;
  const int m = make(b);
  memory(m).whole = whole;
  return m;
}

size_t Schedule::add(execute::Step step, std::vector<int> operands) {
  steps_.push_back({step, std::move(operands)});
  return steps_.size() - 1;
}

void Schedule::copy(int from, int to) {
  execute::Step step{};
  step.kind = StepKind::copy;
  step.name = writer_.add_string("copy");
  step.serial = 1;
  add(step, {from, to});
}

void Schedule::find_lives() {
  for (size_t s = 0; s < steps_.size(); ++s)
    for (int m : steps_[s].operands) {
      while (memory(m).whole >= 0) m = memory(m).whole;
      if (memory(m).first < 0) memory(m).first = static_cast<int>(s);
      memory(m).last = static_cast<int>(s);
    }
  for (size_t s = 0; s < steps_.size(); ++s) {
    const execute::Step& loop = steps_[s].step;
    if (loop.kind != StepKind::loop) continue;
    const int begin = static_cast<int>(s), end = begin + static_cast<int>(loop.control.first + loop.control.second);
    const auto inside = [&](int step) { return step >= begin && step <= end; };
    for (Memory& m : memory_) {
      if (!m.planned || inside(m.owner) || !(inside(m.first) || inside(m.last))) continue;
      m.first = std::min(m.first, begin);
      m.last = std::max(m.last, end);
    }
  }
}

int64_t Schedule::plan() {
  find_lives();
  std::vector<Interval> intervals;
  std::vector<Memory*> planned;
  for (Memory& m : memory_) {
    if (!m.planned || m.first < 0) continue;
    intervals.push_back({static_cast<int64_t>(m.buffer.bytes), m.first, m.last});
    planned.push_back(&m);
  }
  const int64_t total = plan_memory(intervals);
  for (size_t i = 0; i < planned.size(); ++i) planned[i]->buffer.offset = static_cast<uint64_t>(intervals[i].offset);
  return total;
}

int64_t Schedule::write() {
  const int64_t total = plan();
  const uint32_t first = writer_.step_count();
  for (Memory& m : memory_) {
    if (m.id != execute::none || (m.planned && m.first < 0)) continue;
    if (m.whole >= 0) {
      const Memory& whole = memory(m.whole);
      if (whole.id == execute::none) continue;  // nothing uses it
      const execute::Buffer b = writer_.buffer(whole.id);
      m.buffer.space = b.space;
      m.buffer.offset = b.offset;
      m.buffer.view_offset = b.view_offset;
      m.buffer.view_of = whole.id + 1;
      m.buffer.loop += first;
    }
    m.id = writer_.add_buffer(m.buffer);
  }
  for (const Pending& p : steps_) {
    std::vector<uint32_t> operands;
    for (int m : p.operands) operands.push_back(memory(m).id);
    writer_.add_step(p.step, operands);
  }
  return total;
}

}  // namespace gmc::package
