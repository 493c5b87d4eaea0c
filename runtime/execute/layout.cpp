#include "runtime/execute/layout.h"

#include "runtime/execute/lookup.h"
#include "runtime/execute/thread_pool.h"

#include <stdlib.h>
#include <string.h>

namespace gmc::execute {
namespace {

constexpr uint64_t align(uint64_t bytes) { return (bytes + 127) / 128 * 128; }

template <class T>
T* array_of(uint64_t count) {
  return static_cast<T*>(calloc(count ? count : 1, sizeof(T)));
}

bool is_indexed(const Buffer& b) { return b.space == Space::input || b.space == Space::output; }

}  // namespace

uint64_t memory_bytes(const Package* p, int threads) {
  const auto workers = static_cast<uint64_t>(threads < 1             ? usable_cpus()
                                             : threads > max_threads ? max_threads
                                                                     : threads);
  return align(p->arena_bytes) + align(p->state_bytes) + workers * align(p->scratch_bytes);
}

Layout::~Layout() {
  for (uint64_t i = 0; i < guarded_count_; ++i) guarded_[i].release();
  block_.release();
  free(guarded_);
  free(buffers_);
  free(states_);
  free(scratch_);
}

Status Layout::set_up(const Package* p, const Options& options, int threads, Message* message) {
  package_ = p;
  constexpr uint64_t limit = uint64_t{1} << 47;
  if (p->arena_bytes > limit || p->state_bytes > limit || p->scratch_bytes > limit / max_threads)
    return report(message, Status::invalid, "package asks for more memory than can be addressed");
  buffers_ = array_of<char*>(p->buffer_count);
  states_ = array_of<char*>(p->state_count);
  scratch_ = array_of<char*>(static_cast<uint64_t>(threads));
  if (!buffers_ || !states_ || !scratch_) return report(message, Status::memory, "out of memory for tables");
  return options.guard ? set_up_guarded(threads, message) : set_up_block(options, threads, message);
}

Status Layout::set_up_block(const Options& options, int threads, Message* message) {
  const Package* p = package_;
  const uint64_t bytes = memory_bytes(p, threads);
  char* base = static_cast<char*>(options.memory);
  if (base && options.memory_size < bytes)
    return report(message, Status::invalid, "memory of %llu bytes given, %llu are needed with %d threads",
                  static_cast<unsigned long long>(options.memory_size), static_cast<unsigned long long>(bytes),
                  threads);
  if (reinterpret_cast<uintptr_t>(base) % 64 != 0)
    return report(message, Status::invalid, "the memory given is not aligned to 64 bytes");
  if (!base) {
    block_ = map_pages(bytes);
    if (!block_.ok())
      return report(message, Status::memory, "the system gives no memory: %llu bytes are needed",
                    static_cast<unsigned long long>(bytes));
    base = block_.data;
  }
  char* state = base + align(p->arena_bytes);
  for (uint32_t i = 0; i < p->buffer_count; ++i) {
    const Buffer& b = buffer_at(p, i);
    if (b.space == Space::arena) buffers_[i] = base + b.offset;
    if (b.space == Space::state) buffers_[i] = state + b.offset;
    if (b.space == Space::constant) buffers_[i] = const_cast<char*>(table<char>(p, p->constants)) + b.offset;
  }
  for (uint32_t i = 0; i < p->state_count; ++i) states_[i] = state + state_at(p, i).offset;
  for (int i = 0; i < threads; ++i)
    scratch_[i] = state + align(p->state_bytes) + static_cast<uint64_t>(i) * align(p->scratch_bytes);
  return Status::ok;
}

bool Layout::guard(Pages& pages, uint64_t bytes, Message* message) {
  pages = map_guarded(bytes);
  if (pages.ok()) return true;
  report(message, Status::memory, "the system gives no guarded memory: %llu bytes are needed",
         static_cast<unsigned long long>(bytes));
  return false;
}

// A state is shared by whatever buffers touch it, so all that overlap lie in one mapping.
Status Layout::guard_states(Message* message) {
  const Package* p = package_;
  const uint64_t buffers = p->buffer_count, count = buffers + p->state_count;
  struct Extent {
    uint64_t begin, end, owner;
  };
  auto* extents = array_of<Extent>(count);
  if (!extents) return report(message, Status::memory, "out of memory for tables");
  uint64_t used = 0;
  const auto bytes_of = [&](uint64_t i) {
    return i < buffers ? buffer_at(p, i).bytes : state_at(p, i - buffers).bytes;
  };
  const auto offset_of = [&](uint64_t i) {
    return i < buffers ? buffer_at(p, i).offset : state_at(p, i - buffers).offset;
  };
  for (uint64_t i = 0; i < count; ++i)
    if (i >= buffers || buffer_at(p, i).space == Space::state)
      extents[used++] = {offset_of(i), offset_of(i) + bytes_of(i), i};
  qsort(extents, used, sizeof(Extent), [](const void* a, const void* b) {
    const auto &x = *static_cast<const Extent*>(a), &y = *static_cast<const Extent*>(b);
    return x.begin != y.begin ? (x.begin < y.begin ? -1 : 1) : x.owner < y.owner ? -1 : 1;
  });
  Status status = Status::ok;
  for (uint64_t i = 0; i < used && status == Status::ok;) {
    uint64_t end = extents[i].end, next = i + 1;
    for (; next < used && (extents[next].begin < end || extents[next].begin == extents[i].begin); ++next)
      if (extents[next].end > end) end = extents[next].end;
    Pages& pages = guarded_[extents[i].owner];
    if (!guard(pages, end - extents[i].begin, message)) status = Status::memory;
    for (const uint64_t begin = extents[i].begin; i < next && status == Status::ok; ++i) {
      const uint64_t owner = extents[i].owner;
      (owner < buffers ? buffers_[owner] : states_[owner - buffers]) = pages.data + (extents[i].begin - begin);
    }
  }
  free(extents);
  return status;
}

Status Layout::set_up_guarded(int threads, Message* message) {
  const Package* p = package_;
  const uint64_t shared = p->buffer_count + uint64_t{p->state_count};
  guarded_count_ = shared + static_cast<uint64_t>(threads);
  guarded_ = array_of<Pages>(guarded_count_);
  if (!guarded_) {
    guarded_count_ = 0;
    return report(message, Status::memory, "out of memory for tables");
  }
  if (const Status status = guard_states(message); status != Status::ok) return status;
  for (uint32_t i = 0; i < p->buffer_count; ++i) {
    const Buffer& b = buffer_at(p, i);
    if (b.view_of != 0 || b.space == Space::state) continue;
    if (!guard(guarded_[i], b.bytes, message)) return Status::memory;
    buffers_[i] = guarded_[i].data;
    if (b.space != Space::constant) continue;
    memcpy(buffers_[i], table<char>(p, p->constants) + b.offset, b.bytes);
    make_read_only(guarded_[i]);
  }
  for (uint32_t i = 0; i < p->buffer_count; ++i) {
    const Buffer& b = buffer_at(p, i);
    if (b.view_of == 0 || b.space == Space::state) continue;
    buffers_[i] = buffers_[b.view_of - 1] + (is_indexed(b) ? b.view_offset - buffer_at(p, b.view_of - 1).view_offset
                                                           : b.offset - buffer_at(p, b.view_of - 1).offset);
  }
  for (int i = 0; i < threads; ++i) {
    Pages& pages = guarded_[shared + static_cast<uint64_t>(i)];
    // Scratch keeps its alignment: kernels rely on it.
    if (!guard(pages, align(p->scratch_bytes), message)) return Status::memory;
    scratch_[i] = pages.data;
  }
  return Status::ok;
}

void Layout::poison() {
  for (uint64_t i = 0; i < guarded_count_; ++i) {
    const bool is_buffer = i < package_->buffer_count,
               is_scratch = i >= package_->buffer_count + uint64_t{package_->state_count};
    const bool fresh =
        is_buffer && (buffer_at(package_, i).space == Space::arena || buffer_at(package_, i).space == Space::output);
    if ((fresh || is_scratch) && guarded_[i].ok()) memset(guarded_[i].data, 0xff, guarded_[i].bytes);
  }
}

int64_t Layout::damaged() const {
  for (uint64_t i = 0; i < guarded_count_; ++i)
    if (guarded_[i].ok() && !slack_intact(guarded_[i])) return static_cast<int64_t>(i);
  return -1;
}

}  // namespace gmc::execute
