// Runs another program. Arguments are an array: nothing passes through a shell.
#pragma once

#include <string>
#include <vector>

namespace gmc::package {

struct ProcessResult {
  int status = 0;      // exit status; 128 + signal if it was killed
  std::string output;  // stdout and stderr, together
};
// Throws `Error` if the program cannot be started.
ProcessResult run_process(const std::vector<std::string>& arguments);

// The system's C++ compiler as the first words of a command: $CXX, which may have arguments (`ccache g++`), else c++.
std::vector<std::string> system_compiler();

// A folder that goes away with the object.
class TemporaryDirectory {
public:
  // In `parent`; empty: in $TMPDIR, else /tmp. Throws `Error` if there can be none.
  explicit TemporaryDirectory(const std::string& parent = {});
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
  std::string path_;
};

}  // namespace gmc::package
