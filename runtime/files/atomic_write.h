// Files that are either the old one or the new one, whatever happens while they are written.
#pragma once

#include "runtime/files/reader.h"

namespace gmc::files {

// Writes `.gmc-PID-N.tmp` beside `path`, syncs it, renames it over `path` and syncs the directory (the protocol of
// Pillai et al., "All file systems are not created equal", OSDI'14). A new file gets the mode 0666 & ~umask, an
// existing one keeps its own; a symbolic link is followed; a device or pipe (`/dev/stdout`) is written straight. Throws
// `Error` naming the path and the reason; the old file is then untouched and no temporary file is left. A process
// killed on the way may leave its temporary file, never a damaged `path`.
void write_file_atomically(const std::string& path, Bytes bytes);
// The same, of several pieces one after the other.
void write_file_atomically(const std::string& path, std::span<const Bytes> pieces);

}  // namespace gmc::files
