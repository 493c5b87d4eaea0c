// Batches of a data set for an entry; those of the next step are drawn while this one runs.
#pragma once

#include "compiler/package/session.h"
#include "runtime/data/dataset.h"

#include <array>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace gmc::tool {

// The inputs of an entry as a data set fills them. Throws `Error` if it has none, or one without a batch dimension.
std::vector<data::Slot> slots_of(const package::Session&, int entry, const std::string& name);

class Batches {
public:
  // Draws are those of `draw` with its step replaced. Throws what `Dataset::epoch` throws.
  Batches(const data::Dataset&, std::vector<data::Slot>, const data::Draw&);
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;
  ~Batches();

  // Arrays in the order of the inputs, which stay as they are until the next call. Begins to draw `step` + 1.
  const std::vector<const void*>& at(uint64_t step);

private:
  struct Room {
    std::vector<HostTensor> tensors;
    std::vector<void*> to;
    std::vector<const void*> from;
  };
  enum class Work { none, asked, done, stop };

  void serve();
  void fill(Room&, uint64_t step) const;

  const data::Dataset& data_;
  const std::vector<data::Slot> slots_;
  const data::Draw draw_;
  std::array<Room, 2> rooms_;
  size_t current_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  Work work_ = Work::none;
  uint64_t ahead_ = 0;  // the step that is drawn into the other room
  std::exception_ptr problem_;
  std::thread thread_;
};

}  // namespace gmc::tool
