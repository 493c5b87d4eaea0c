// Names inside a file are data: no reader opens, looks up, makes or removes a file because of one, and no message hands
// one to a terminal as it is.
#include "runtime/files/npy.h"
#include "runtime/files/safetensors.h"
#include "tests/files/testing.h"

#include <algorithm>
#include <csignal>
#include <cstddef>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gmc::files::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string>& hostile_names() {
  static const std::vector<std::string> names{"../x",
                                              "/etc/x",
                                              "/dev/null",
                                              "a/../../x",
                                              ".",
                                              "..",
                                              "~",
                                              "C:\\x",
                                              "file:///etc/x",
                                              "$(id)",
                                              "a;b",
                                              "`id`",
                                              "%s%n",
                                              "-rf",
                                              "main",
                                              "llvm.trap",
                                              "line\nbreak",
                                              "\x1b[2Jclear",
                                              std::string("zero\0byte", 9),
                                              "\xc2\x9b",         // a control character of its own in UTF-8
                                              "\xe2\x80\xaetxt",  // writes from right to left
                                              std::string(64 * 1024, 'n'),
                                              std::string(5000, '/')};
  return names;
}

TensorMap named_tensors() {
  TensorMap tensors;
  for (const std::string& name : hostile_names()) {
    HostTensor& t = tensors[name] = HostTensor(u8, {1});
    t.bytes[0] = std::byte(name.size());
  }
  return tensors;
}

// Of a safetensors file with this header and one byte of data.
std::string error_with(const std::string& header) {
  std::string text;
  for (size_t i = 0; i < 8; ++i) text += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return error_of([&] { parse_safetensors(bytes_of(text + header + "x"), "file"); });
}

// From here on, a call to the system that takes a path ends the process.
bool forbid_paths() {
  std::vector<sock_filter> program{{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)}};
  for (const int call :
       {SYS_open,      SYS_openat, SYS_openat2,   SYS_creat,   SYS_stat,     SYS_lstat,   SYS_newfstatat,
        SYS_statx,     SYS_access, SYS_faccessat, SYS_unlink,  SYS_unlinkat, SYS_rename,  SYS_renameat,
        SYS_renameat2, SYS_mkdir,  SYS_mkdirat,   SYS_link,    SYS_linkat,   SYS_symlink, SYS_symlinkat,
        SYS_readlink,  SYS_chdir,  SYS_execve,    SYS_truncate}) {
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<unsigned>(call)});
    program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS});
  }
  program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// How a child process ends that calls `f` under forbid_paths(): its exit status, or minus the signal.
template <class F>
int status_without_paths(F f) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(!forbid_paths() ? 3 : f() ? 0 : 1);
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Names, ReadersTouchNoFile) {
  const std::vector<std::byte> weights = format_safetensors(named_tensors(), {{"../x", "/etc/x"}});
  const std::vector<std::byte> array = format_npy(HostTensor(f32, {2}));
  const auto read_all = [&] {
    const TensorMap tensors = parse_safetensors(weights, "/etc/x");
    return tensors.size() == hostile_names().size() && parse_npy(array, "../x").shape == Shape{2};
  };
  EXPECT_EQ(status_without_paths(read_all), 0);
  // The filter does end who opens a file.
  EXPECT_EQ(status_without_paths([] { return ::open("/dev/null", O_RDONLY) >= 0; }), -SIGSYS);
}

TEST(Names, RefusalsTouchNoFile) {
  const auto refuse_all = [] {
    for (const std::string& name : hostile_names()) {
      TensorMap one;
      one[name] = HostTensor(u8, {1});
      std::vector<std::byte> file = format_safetensors(one);
      file.push_back(std::byte{0});
      if (error_of([&] { parse_safetensors(file, "file"); }) == "no error") return false;
    }
    return true;
  };
  EXPECT_EQ(status_without_paths(refuse_all), 0);
}

TEST(Names, ComeBackAsTheyWereAndMakeOneFile) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "in/ner");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder / "in/ner");
  const TensorMap tensors = named_tensors();
  save_safetensors("weights", tensors);
  const TensorMap read = load_safetensors("weights");
  std::filesystem::current_path(before);

  ASSERT_EQ(read.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(read.contains(name)) << printable(name);
    EXPECT_EQ(read.at(name).bytes, tensor.bytes) << printable(name);
  }
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path()))
    found.push_back(std::filesystem::relative(entry.path(), folder.path()).string());
  std::sort(found.begin(), found.end());
  EXPECT_THAT(found, ElementsAre("in", "in/ner", "in/ner/weights"));
}

TEST(Names, MessagesHoldNoControlCharacters) {
  for (const std::string& name : hostile_names()) {
    std::string quoted;
    for (const char c : name) quoted += c < 0 ? std::string(1, c) : fmt::format("\\u{:04x}", int{c});
    const std::string header = "{\"" + quoted + "\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,1]}}";
    const std::string error = error_with(header);
    EXPECT_THAT(error, HasSubstr("data_offsets of tensor '" + printable(name) + "'"));
    EXPECT_LT(error.size(), 300u);
    EXPECT_TRUE(std::all_of(error.begin(), error.end(), [](char c) { return c >= ' ' && c <= '~'; })) << error;
  }
}

TEST(Names, InvalidUtf8IsRefused) {
  for (const char* name : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "a\x80"}) {
    const std::string header =
        "{\"" + std::string(name) + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    EXPECT_THAT(error_with(header), HasSubstr("header: expected UTF-8 JSON, got '"));
  }
}

}  // namespace
}  // namespace gmc::files::testing
