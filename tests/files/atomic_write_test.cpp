#include "runtime/files/atomic_write.h"

#include "runtime/files/safetensors.h"
#include "tests/files/testing.h"

#include <algorithm>
#include <csignal>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gmc::files::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

mode_t mode_of(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

// Files above `limit` bytes cannot be written: what a full disk looks like to write(2), short write first.
class FullDisk {
public:
  explicit FullDisk(rlim_t limit) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    rlimit small = old_;
    small.rlim_cur = limit;
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

private:
  rlimit old_ = {};
  void (*old_handler_)(int) = nullptr;
};

TEST(AtomicWrite, WritesAndReplaces) {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  write_file_atomically(path, bytes_of("one"));
  EXPECT_EQ(text_of(read_file(path)), "one");
  const std::vector<std::byte> x = bytes_of("x"), none, yz = bytes_of("yz");
  write_file_atomically(path, std::vector<Bytes>{x, none, yz});
  EXPECT_EQ(text_of(read_file(path)), "xyz");
  write_file_atomically(path, Bytes());
  EXPECT_EQ(text_of(read_file(path)), "");
  EXPECT_THAT(folder.names(), ElementsAre("a"));
}

TEST(AtomicWrite, WritesIntoTheCurrentFolder) {
  const TemporaryFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const std::string error = error_of([] { write_file_atomically("plain", bytes_of("one")); });
  std::filesystem::current_path(before);
  EXPECT_EQ(error, "no error");
  EXPECT_EQ(text_of(read_file(folder / "plain")), "one");
}

TEST(AtomicWrite, KeepsModes) {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  write_file_atomically(folder / "new", bytes_of("one"));
  ::umask(before);
  EXPECT_EQ(mode_of(folder / "new"), 0640u);
  for (const mode_t mode : {0600u, 0644u, 0755u, 0666u}) {
    ASSERT_EQ(::chmod((folder / "new").c_str(), mode), 0);
    write_file_atomically(folder / "new", bytes_of("two"));
    EXPECT_EQ(mode_of(folder / "new"), mode);
  }
}

TEST(AtomicWrite, FollowsLinksAndWritesDevicesStraight) {
  const TemporaryFolder folder;
  write_plainly(folder / "target", "old");
  std::filesystem::create_symlink("target", folder / "link");
  write_file_atomically(folder / "link", bytes_of("new"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(text_of(read_file(folder / "target")), "new");
  std::filesystem::create_symlink("later", folder / "ahead");
  write_file_atomically(folder / "ahead", bytes_of("there"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "ahead"));
  EXPECT_EQ(text_of(read_file(folder / "later")), "there");
  write_file_atomically("/dev/null", bytes_of("gone"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(AtomicWrite, SaysWhyItCannot) {
  const TemporaryFolder folder;
  const std::string nowhere = folder / "no/a", below_file = folder / "file/a", path = folder.path();
  write_plainly(folder / "file", "x");
  EXPECT_EQ(error_of([&] { write_file_atomically(nowhere, bytes_of("x")); }),
            "cannot write " + nowhere + ": no such file or directory");
  EXPECT_EQ(error_of([&] { write_file_atomically(below_file, bytes_of("x")); }),
            "cannot write " + below_file + ": not a directory");
  EXPECT_EQ(error_of([&] { write_file_atomically(path, bytes_of("x")); }), "cannot write " + path + ": is a directory");
  EXPECT_EQ(error_of([&] { write_file_atomically("/dev/full", bytes_of("x")); }),
            "cannot write /dev/full: no space left on device");
  EXPECT_THAT(folder.names(), ElementsAre("file"));
}

TEST(AtomicWrite, FullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "last.safetensors", fresh = folder / "fresh";
  TensorMap tensors;
  tensors["w"] = HostTensor(DType::f32, {8});
  save_safetensors(path, tensors, {{"step", "1"}});
  tensors["w"] = HostTensor(DType::f32, {64 * 1024});
  std::string error, error_of_fresh;
  {
    const FullDisk disk(10'000);
    error = error_of([&] { save_safetensors(path, tensors, {{"step", "2"}}); });
    error_of_fresh = error_of([&] { save_safetensors(fresh, tensors); });
  }
  EXPECT_EQ(error, "cannot write " + path + ": file too large");
  EXPECT_EQ(error_of_fresh, "cannot write " + fresh + ": file too large");
  Metadata metadata;
  EXPECT_EQ(load_safetensors(path, &metadata).at("w").shape, Shape({8}));
  EXPECT_EQ(metadata.at("step"), "1");
  EXPECT_THAT(folder.names(), ElementsAre("last.safetensors"));
}

TEST(AtomicWrite, IsNotMisledByATemporaryFileOfSomebodyElse) {
  const TemporaryFolder folder;
  for (int i = 0; i < 100; ++i) write_plainly(folder / fmt::format(".gmc-{}-{}.tmp", ::getpid(), i), "theirs");
  write_file_atomically(folder / "a", bytes_of("mine"));
  EXPECT_EQ(text_of(read_file(folder / "a")), "mine");
  EXPECT_EQ(text_of(read_file(folder / fmt::format(".gmc-{}-99.tmp", ::getpid()))), "theirs");
}

// Every element of every tensor holds the step that the metadata name.
TensorMap state_of(int step) {
  TensorMap tensors;
  for (const char* name : {"a", "b", "c"}) {
    HostTensor& tensor = tensors[name] = HostTensor(DType::i32, {20'000});
    std::fill_n(tensor.as<int32_t>(), tensor.count(), step);
  }
  return tensors;
}

TEST(AtomicWrite, KillingASaverNeverDamagesTheFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "last.safetensors";
  save_safetensors(path, state_of(0), {{"step", "0"}});
  int last = 0, left_over = 0;
  // Rounds grow longer until both kinds of kill have been seen, on however busy a machine.
  for (int round = 0; round < 60 || (round < 1000 && (last == 0 || left_over == 0)); ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int step = last + 1;; ++step)
        if (error_of([&] { save_safetensors(path, state_of(step), {{"step", fmt::to_string(step)}}); }) != "no error")
          ::_exit(1);
    }
    ::usleep(static_cast<useconds_t>(500 + 397 * (round % 40) + 20 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the saver failed by itself";

    Metadata metadata;
    TensorMap tensors;
    ASSERT_EQ(error_of([&] { tensors = load_safetensors(path, &metadata); }), "no error");
    const int step = std::stoi(metadata.at("step"));
    ASSERT_GE(step, last);
    ASSERT_EQ(tensors.at("a").bytes, state_of(step).at("a").bytes);
    ASSERT_EQ(tensors.at("c").bytes, state_of(step).at("c").bytes);
    last = step;
    for (const std::string& name : folder.names()) {
      if (name == "last.safetensors") continue;
      EXPECT_THAT(name, ::testing::MatchesRegex("\\.gmc-[0-9]+-[0-9]+\\.tmp"));
      std::filesystem::remove(folder / name);
      ++left_over;
    }
  }
  EXPECT_GT(last, 0) << "no save was ever completed";
  EXPECT_GT(left_over, 0) << "no kill ever hit a save";
}

}  // namespace
}  // namespace gmc::files::testing
