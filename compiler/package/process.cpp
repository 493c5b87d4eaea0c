#include "compiler/package/process.h"

#include "runtime/base/error.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <sstream>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace gmc::package {

ProcessResult run_process(const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("cannot start '{}': {}", arguments.at(0), std::strerror(errno));
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  pid_t child = 0;
  const int problem = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  ProcessResult result;
  char buffer[4096];
  while (problem == 0) {
    const ssize_t got = read(ends[0], buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    result.output.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  if (problem != 0) fail("cannot start '{}': {}", arguments[0], std::strerror(problem));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::vector<std::string> system_compiler() {
  const char* chosen = std::getenv("CXX");
  std::istringstream words(chosen ? chosen : "");
  std::vector<std::string> out{std::istream_iterator<std::string>(words), {}};
  return out.empty() ? std::vector<std::string>{"c++"} : out;
}

TemporaryDirectory::TemporaryDirectory(const std::string& parent) {
  const char* base = std::getenv("TMPDIR");
  path_ = (!parent.empty() ? parent : base && *base ? base : "/tmp") + "/gmc-XXXXXX";
  if (!mkdtemp(path_.data())) fail("cannot make a temporary folder '{}': {}", path_, std::strerror(errno));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace gmc::package
