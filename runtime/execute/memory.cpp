#include "runtime/execute/memory.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

namespace gmc::execute {
namespace {

constexpr size_t huge = 2 << 20;
constexpr char pattern = 0x5b;

size_t page_size() {
  const long bytes = sysconf(_SC_PAGESIZE);
  return bytes > 0 ? static_cast<size_t>(bytes) : 4096;
}

void* map(size_t bytes, int protection) {
  void* p = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

// Where the accessible pages of a guarded mapping begin.
char* inside(const Pages& pages) { return static_cast<char*>(pages.base) + page_size(); }

}  // namespace

void Pages::release() {
  if (base) munmap(base, mapped);
  *this = {};
}

Pages map_pages(size_t bytes) {
  Pages pages;
  const size_t slack = bytes >= huge ? huge : 0;
  if (bytes > SIZE_MAX / 2) return pages;
  const size_t mapped = (bytes ? bytes : 1) + slack;
  pages.base = map(mapped, PROT_READ | PROT_WRITE);
  if (!pages.base) return pages;
  pages.mapped = mapped;
  pages.bytes = bytes;
  const size_t misaligned = slack ? reinterpret_cast<uintptr_t>(pages.base) % huge : 0;
  pages.data = static_cast<char*>(pages.base) + (misaligned ? huge - misaligned : 0);
  if (slack) madvise(pages.data, bytes, MADV_HUGEPAGE);
  return pages;
}

Pages map_guarded(size_t bytes) {
  Pages pages;
  if (bytes > SIZE_MAX / 2) return pages;
  const size_t page = page_size(), used = (bytes + 3) / 4 * 4;
  const size_t middle = (used + page - 1) / page * page;
  pages.base = map(middle + 2 * page, PROT_NONE);
  if (!pages.base) return pages;
  pages.mapped = middle + 2 * page;
  if (middle && mprotect(inside(pages), middle, PROT_READ | PROT_WRITE) != 0) {
    pages.release();
    return pages;
  }
  pages.bytes = bytes;
  pages.data = inside(pages) + middle - used;
  memset(inside(pages), pattern, middle - used);
  return pages;
}

bool slack_intact(const Pages& pages) {
  for (const char* p = inside(pages); p < pages.data; ++p)
    if (*p != pattern) return false;
  return true;
}

void make_read_only(const Pages& pages) {
  const auto* end = static_cast<char*>(pages.base) + pages.mapped - page_size();
  if (end > inside(pages)) mprotect(inside(pages), static_cast<size_t>(end - inside(pages)), PROT_READ);
}

}  // namespace gmc::execute
