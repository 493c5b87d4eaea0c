#include "runtime/files/atomic_write.h"

#include "runtime/files/descriptor.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <sys/stat.h>

namespace gmc::files {
namespace {

[[noreturn]] void fail_writing(const std::string& path, int error) { fail("cannot write {}: {}", path, reason(error)); }

// Removes the file unless it was renamed.
struct Temporary {
  std::string path;
  bool armed = true;
  Temporary(std::string p) : path(std::move(p)) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (armed) ::unlink(path.c_str());
  }
};

void write_all(int fd, std::span<const Bytes> pieces, const std::string& path) {
  for (Bytes rest : pieces) {
    while (!rest.empty()) {
      const ssize_t wrote = ::write(fd, rest.data(), rest.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) fail_writing(path, errno);
      rest = rest.subspan(static_cast<size_t>(wrote));
    }
  }
}

// Whether the data reached the disk. Pipes and some file systems have nothing to sync.
bool sync(int fd) {
  while (::fsync(fd) != 0) {
    if (errno == EINVAL || errno == ENOTSUP || errno == EROFS) return true;
    if (errno != EINTR) return false;
  }
  return true;
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// What a chain of symbolic links ends at, which need not exist yet.
std::string resolved(std::string path) {
  for (int links = 0; links < 40; ++links) {
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    if (real) return real.get();
    char next[4096];
    const ssize_t size = ::readlink(path.c_str(), next, sizeof next);
    if (size <= 0 || size == static_cast<ssize_t>(sizeof next)) return path;
    const std::string to(next, static_cast<size_t>(size));
    path = to[0] == '/' ? to : directory_of(path) + "/" + to;
  }
  return path;
}

}  // namespace

void write_file_atomically(const std::string& path, std::span<const Bytes> pieces) {
  const std::string target = resolved(path);
  struct stat old = {};
  const bool exists = ::stat(target.c_str(), &old) == 0;
  if (!exists && errno != ENOENT) fail_writing(path, errno);
  if (exists && S_ISDIR(old.st_mode)) fail("cannot write {}: is a directory", path);
  if (exists && !S_ISREG(old.st_mode)) {
    Descriptor device(open_retrying(target, O_WRONLY | O_CLOEXEC));
    if (!device) fail_writing(path, errno);
    write_all(device.get(), pieces, path);
    if (!device.close()) fail_writing(path, errno);
    return;
  }

  static std::atomic<unsigned> serial{0};
  const std::string directory = directory_of(target);
  std::string name;
  int fd = -1;
  do {
    name = fmt::format("{}/.gmc-{}-{}.tmp", directory, ::getpid(), serial.fetch_add(1));
    // The permissions of an existing file are given before any of its bytes can be read.
    fd = open_retrying(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, exists ? 0600 : 0666);
  } while (fd < 0 && errno == EEXIST);
  if (fd < 0) fail_writing(path, errno);

  Descriptor file(fd);
  Temporary temporary(name);
  if (exists && ::fchmod(file.get(), old.st_mode & 07777) != 0) fail_writing(path, errno);
  write_all(file.get(), pieces, path);
  if (!sync(file.get())) fail_writing(path, errno);
  if (!file.close()) fail_writing(path, errno);
  if (std::rename(name.c_str(), target.c_str()) != 0) fail_writing(path, errno);
  temporary.armed = false;

  const Descriptor parent(open_retrying(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // A directory that may be written but not read cannot be synced; the rename itself has happened.
  if (!parent && errno == EACCES) return;
  if (!parent || !sync(parent.get()))
    fail("{} is written, but its directory could not be synced: {}", path, reason(errno));
}

void write_file_atomically(const std::string& path, Bytes bytes) {
  write_file_atomically(path, std::span<const Bytes>(&bytes, 1));
}

}  // namespace gmc::files
