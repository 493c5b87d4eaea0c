// Memory straight from the system: zero-filled, in huge pages where possible, or between guard pages.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace gmc::execute {

// Zero-filled pages. Move-only in spirit: whoever maps also calls release().
struct Pages {
  void* base = nullptr;  // of the mapping
  size_t mapped = 0;
  char* data = nullptr;  // of the usable bytes
  size_t bytes = 0;

  bool ok() const { return data != nullptr; }
  void release();
};

// `bytes` usable bytes, aligned to 64, or to 2 MiB and advised to use huge pages from that size on. Not ok() if
// refused.
Pages map_pages(size_t bytes);

// `bytes` usable bytes between two pages that trap. They end where the upper one begins, rounded up to a multiple of 4,
// so that the first element past the end traps; the slack below the data holds a pattern for slack_intact().
Pages map_guarded(size_t bytes);
// Is the pattern below the data untouched, that is, has nothing been written just before it?
bool slack_intact(const Pages&);
// From now on writing to the data of guarded pages traps.
void make_read_only(const Pages&);

}  // namespace gmc::execute
