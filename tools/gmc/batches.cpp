#include "tools/gmc/batches.h"

#include "runtime/base/error.h"

#include <utility>

namespace gmc::tool {

std::vector<data::Slot> slots_of(const package::Session& session, int entry, const std::string& name) {
  std::vector<data::Slot> out;
  for (const auto& slot : session.inputs(entry)) {
    if (slot.type.shape.empty()) fail("input '{}' of entry '{}' has no batch dimension", slot.name, name);
    if (slot.type.shape[0] < 1)
      fail("input '{}' of entry '{}' is {}, a batch of nothing", slot.name, name, to_string(slot.type.shape));
    out.push_back({slot.name, slot.type.dtype, slot.type.shape});
  }
  if (out.empty()) fail("entry '{}' has no input for the data", name);
  return out;
}

Batches::Batches(const data::Dataset& data, std::vector<data::Slot> slots, const data::Draw& draw)
    : data_(data), slots_(std::move(slots)), draw_(draw) {
  data_.epoch(draw_.part, slots_);
  for (Room& room : rooms_) {
    for (const data::Slot& slot : slots_) room.tensors.emplace_back(slot.dtype, slot.shape);
    for (HostTensor& t : room.tensors) {
      room.to.push_back(t.bytes.data());
      room.from.push_back(t.bytes.data());
    }
  }
  thread_ = std::thread([this] { serve(); });
}

Batches::~Batches() {
  {
    const std::lock_guard lock(mutex_);
    work_ = Work::stop;
  }
  changed_.notify_all();
  thread_.join();
}

void Batches::fill(Room& room, uint64_t step) const {
  data::Draw draw = draw_;
  draw.step = step;
  data_.draw(draw, slots_, room.to);
}

void Batches::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return work_ == Work::asked || work_ == Work::stop; });
    if (work_ == Work::stop) return;
    Room& room = rooms_[1 - current_];
    const uint64_t step = ahead_;
    lock.unlock();
    std::exception_ptr problem;
    try {
      fill(room, step);
    } catch (...) {
      problem = std::current_exception();
    }
    lock.lock();
    problem_ = problem;
    if (work_ == Work::stop) return;
    work_ = Work::done;
    changed_.notify_all();
  }
}

const std::vector<const void*>& Batches::at(uint64_t step) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return work_ != Work::asked; });
  const bool ready = work_ == Work::done && ahead_ == step && !problem_;
  if (!ready)
    fill(rooms_[1 - current_], step);  // of the first call, or again where drawing ahead failed, to throw here
  current_ = 1 - current_;
  ahead_ = step + 1;
  work_ = Work::asked;
  changed_.notify_all();
  return rooms_[current_].from;
}

}  // namespace gmc::tool
