#include "runtime/files/idx.h"

#include "runtime/files/gzip.h"
#include "tests/files/testing.h"

#include <zlib.h>

namespace gmc::files::testing {
namespace {

using ::testing::HasSubstr;

std::vector<std::byte> file_with(const std::vector<uint32_t>& extents, const std::string& data, char type = 8) {
  std::string text{'\0', '\0', type, static_cast<char>(extents.size())};
  for (const uint32_t extent : extents)
    for (const int shift : {24, 16, 8, 0}) text += static_cast<char>(extent >> shift & 0xff);
  return bytes_of(text + data);
}

std::vector<std::byte> gzipped(Bytes bytes) {
  std::vector<std::byte> result(bytes.size() + 1000);
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

std::string error_in(const std::vector<std::byte>& file) {
  return error_of([&] { parse_idx(file, "file"); });
}

TEST(Idx, ReadsPlainAndCompressed) {
  const TemporaryFolder folder;
  const std::vector<std::byte> plain = file_with({2, 1, 3}, "abcdef");
  write_plainly(folder / "plain", text_of(plain));
  write_plainly(folder / "named-like-plain", text_of(gzipped(plain)));
  for (const char* name : {"plain", "named-like-plain"}) {
    const HostTensor read = load_idx(folder / name);
    EXPECT_EQ(read.dtype, DType::u8);
    EXPECT_EQ(read.shape, Shape({2, 1, 3}));
    EXPECT_EQ(text_of(read.bytes), "abcdef");
  }
}

TEST(Idx, RanksOneToFour) {
  EXPECT_EQ(error_in(file_with({}, "")), "file: byte 3, rank: expected 1 to 4, got 0");
  EXPECT_EQ(error_in(file_with({1}, "a")), "no error");
  EXPECT_EQ(error_in(file_with({1, 1, 1, 1}, "a")), "no error");
  EXPECT_EQ(error_in(file_with({1, 1, 1, 1, 1}, "a")), "file: byte 3, rank: expected 1 to 4, got 5");
  EXPECT_EQ(error_in(file_with({0, 28, 28}, "")), "no error");
}

TEST(Idx, LargeCompressedFiles) {
  const std::string data(3'000'000, 'x');
  EXPECT_EQ(text_of(parse_idx(gzipped(file_with({3'000'000}, data)), "file").bytes), data);
}

TEST(Idx, EveryTruncationIsRefused) {
  const std::vector<std::byte> plain = file_with({2, 1, 3}, "abcdef");
  expect_truncations_refused(plain, parse_idx);
  expect_truncations_refused(gzipped(plain), parse_idx);
}

TEST(Idx, BitFlipsNeverCrash) {
  const std::vector<std::byte> plain = file_with({2, 2, 3}, "abcdefghijkl"), packed = gzipped(plain);
  EXPECT_EQ(refused_bit_flips(plain, 16, parse_idx), 128u);
  // The checksum of gzip covers everything but flags, time and system in its header.
  EXPECT_GT(refused_bit_flips(packed, packed.size(), parse_idx), 8 * (packed.size() - 10));
}

TEST(Idx, GoldenErrors) {
  EXPECT_EQ(error_in(bytes_of("")), "file: byte 0, magic: expected 2 bytes, got 0");
  EXPECT_EQ(error_in(bytes_of("PK\x08\x01")), "file: byte 0, magic: expected 0x0000, got 0x504b");
  EXPECT_EQ(error_in(file_with({1}, "abcd", 0x0d)), "file: byte 2, element type: expected 0x08 (u8), got 0x0d");
  EXPECT_EQ(error_in(bytes_of(std::string("\0\0\x08\x02\0\0\0\x01\0\0", 10))),
            "file: byte 8, extent 1: expected 4 bytes, got 2");
  EXPECT_EQ(error_in(file_with({2, 3}, "abcde")), "file: byte 12, data: expected 6 bytes for [2, 3], got 5");
  EXPECT_EQ(error_in(file_with({2, 3}, "abcdefg")), "file: byte 12, data: expected 6 bytes for [2, 3], got 7");
  EXPECT_EQ(error_in(file_with({~0u, ~0u, ~0u, ~0u}, "")),
            "file: byte 4, extents: expected a size below 2^63 bytes, got [4294967295, 4294967295, 4294967295, "
            "4294967295] of u8");
}

TEST(Idx, GoldenErrorsInsideGzip) {
  EXPECT_EQ(error_in(gzipped(file_with({1}, "abcd", 0x0d))),
            "file (decompressed): byte 2, element type: expected 0x08 (u8), got 0x0d");
  EXPECT_EQ(error_in(gzipped(file_with({2, 3}, "abcde"))),
            "file (decompressed): byte 12, data: expected 6 bytes for [2, 3], got 5");
  EXPECT_EQ(error_in(gzipped(bytes_of(std::string("\0\0\x08\x02\0", 5)))),
            "file (decompressed): byte 4, extent 0: expected 4 bytes, got 1");
  EXPECT_THAT(error_in(gzipped(file_with({2, 3}, "abcdefg"))),
              HasSubstr("gzip stream: expected 18 decompressed bytes, got more"));
  EXPECT_THAT(error_in(gzipped(gzipped(file_with({1}, "a")))), HasSubstr("file (decompressed): byte 0, magic"));
}

TEST(Idx, BombsAreRefusedByTheirHeader) {
  // 20 MB of zeros behind a header that asks for one byte, and a header that asks for 4 GB of which nothing is there.
  EXPECT_THAT(error_in(gzipped(file_with({1}, std::string(20'000'000, '\0')))),
              HasSubstr("expected 9 decompressed bytes, got more"));
  EXPECT_EQ(error_in(gzipped(file_with({~0u}, ""))),
            "file (decompressed): byte 8, data: expected 4294967295 bytes for [4294967295], got 0");
}

TEST(Gzip, NothingMayFollow) {
  std::vector<std::byte> file = gzipped(bytes_of("text"));
  const std::string size = fmt::to_string(file.size());
  EXPECT_EQ(text_of(gunzip(file, "file", 4)), "text");
  file.push_back(std::byte{0});
  EXPECT_EQ(error_of([&] { gunzip(file, "file", 4); }),
            "file: byte " + size + ", gzip stream: expected the end of the file, got 1 more bytes");
}

TEST(Gzip, DamageIsFound) {
  std::vector<std::byte> file = gzipped(bytes_of("text"));
  file[file.size() - 8] ^= std::byte{1};
  EXPECT_THAT(error_of([&] { gunzip(file, "file", 4); }),
              HasSubstr("gzip stream: expected valid data, got incorrect data check"));
}

TEST(Gzip, PrefixIsAllThatIsAskedFor) {
  const std::vector<std::byte> file = gzipped(bytes_of(std::string(1'000'000, 'x')));
  EXPECT_EQ(text_of(gunzip_prefix(file, "file", 3)), "xxx");
  EXPECT_EQ(gunzip_prefix(Bytes(file).first(5), "file", 3).size(), 0u);
}

}  // namespace
}  // namespace gmc::files::testing
