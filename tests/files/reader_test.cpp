#include "tests/files/testing.h"

#include <csignal>
#include <limits>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gmc::files::testing {
namespace {

const std::vector<std::byte> five{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{0xff}};

TEST(Reader, ReadsBothByteOrders) {
  Reader little(five, "file"), big(five, "file");
  EXPECT_EQ(little.little<uint32_t>("a"), 0x04030201u);
  EXPECT_EQ(big.big<uint32_t>("a"), 0x01020304u);
  EXPECT_EQ(big.offset(), 4);
  EXPECT_EQ(big.big<uint8_t>("b"), 0xff);
  EXPECT_EQ(big.remaining(), 0);
  EXPECT_EQ(Reader(std::vector(8, std::byte{0xff}), "file").little<uint64_t>("c"), ~uint64_t{0});
}

TEST(Reader, RefusesToPassTheEnd) {
  Reader reader(five, "file");
  reader.take(3, "start");
  EXPECT_EQ(error_of([&] { reader.little<uint32_t>("count"); }), "file: byte 3, count: expected 4 bytes, got 2");
  EXPECT_EQ(reader.offset(), 3);
  EXPECT_EQ(error_of([&] { reader.take(std::numeric_limits<int64_t>::max(), "name"); }),
            "file: byte 3, name: expected 9223372036854775807 bytes, got 2");
  EXPECT_EQ(error_of([&] { reader.take(-1, "name"); }), "file: byte 3, name: expected -1 bytes, got 2");
  EXPECT_EQ(error_of([&] { reader.expect_end("end"); }),
            "file: byte 3, end: expected the end of the file, got 2 more bytes");
  reader.take(2, "rest");
  EXPECT_EQ(error_of([&] { reader.expect_end("end"); }), "no error");
}

TEST(Reader, ChecksSizesOfTensors) {
  const Reader reader(five, "file");
  EXPECT_EQ(reader.tensor_bytes(DType::f32, {2, 3}, 0, "shape"), 24);
  EXPECT_EQ(error_of([&] { reader.tensor_bytes(DType::f32, {1 << 21, 1 << 21, 1 << 20}, 7, "shape"); }),
            "file: byte 7, shape: expected a size below 2^63 bytes, got [2097152, 2097152, 1048576] of f32");
  EXPECT_EQ(error_of([&] { reader.tensor_bytes(DType::f32, {-1}, 7, "shape"); }),
            "file: byte 7, shape: expected a size below 2^63 bytes, got [-1] of f32");
}

TEST(Reader, PrintsForeignTextHarmlessly) {
  EXPECT_EQ(printable("a\n\x1b[0m\xff"), "a\\x0a\\x1b[0m\\xff");
  EXPECT_EQ(printable(std::string(50, 'x')), std::string(40, 'x') + "...");
}

TEST(ReadFile, ReadsAllBytes) {
  const TemporaryFolder folder;
  std::string text(100'000, 'x');
  text[50'000] = '\0';
  write_plainly(folder / "a", text);
  write_plainly(folder / "empty", "");
  EXPECT_EQ(text_of(read_file(folder / "a")), text);
  EXPECT_TRUE(read_file(folder / "empty").empty());
}

TEST(ReadFile, SaysWhyItCannot) {
  const TemporaryFolder folder;
  const std::string missing = folder / "missing", pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { read_file(missing); }), "cannot read " + missing + ": no such file or directory");
  EXPECT_EQ(error_of([&] { read_file(folder.path()); }), "cannot read " + folder.path() + ": is a directory");
  EXPECT_EQ(error_of([&] { read_file(pipe); }), "cannot read " + pipe + ": is not a regular file");
  EXPECT_EQ(error_of([&] { read_file("/dev/zero"); }), "cannot read /dev/zero: is not a regular file");
  EXPECT_EQ(error_of([&] { read_file(""); }), "cannot read : no such file or directory");
}

TEST(ReadFile, NamesMissingPermission) {
  const TemporaryFolder folder;
  const std::string path = folder / "secret";
  write_plainly(path, "x");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // root may read everything, so somebody else has to try
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    ::_exit(error_of([&] { read_file(path); }) == "cannot read " + path + ": permission denied" ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace gmc::files::testing
