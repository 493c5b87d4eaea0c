// Archives: what NumPy writes, every truncation, every flipped bit.
#include "runtime/files/zip.h"

#include "tests/files/testing.h"

#include <array>

#include <zlib.h>

namespace gmc::files::testing {
namespace {

using ::testing::HasSubstr;

std::string little(uint64_t v, int size) {
  std::string out;
  for (int i = 0; i < size; ++i) out += static_cast<char>(v >> (8 * i));
  return out;
}

std::string deflated(const std::string& text) {
  std::string out(text.size() + 64, '\0');
  z_stream s = {};
  deflateInit2(&s, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
  s.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  s.avail_in = static_cast<uInt>(text.size());
  s.next_out = reinterpret_cast<Bytef*>(out.data());
  s.avail_out = static_cast<uInt>(out.size());
  deflate(&s, Z_FINISH);
  out.resize(s.total_out);
  deflateEnd(&s);
  return out;
}

struct Member {
  std::string name, text;
  bool pack = false;
};

std::string zip(const std::vector<Member>& members) {
  std::string out, directory;
  for (const Member& m : members) {
    const std::string data = m.pack ? deflated(m.text) : m.text;
    const auto sum =
        crc32(crc32(0, nullptr, 0), reinterpret_cast<const Bytef*>(m.text.data()), static_cast<uInt>(m.text.size()));
    const std::string head = little(0, 2) + little(m.pack ? 8 : 0, 2) + little(0, 4) + little(sum, 4) +
                             little(data.size(), 4) + little(m.text.size(), 4) + little(m.name.size(), 2) +
                             little(0, 2);
    directory += little(0x02014b50, 4) + little(20, 2) + little(20, 2) + head + little(0, 2) + little(0, 8) +
                 little(out.size(), 4) + m.name;
    out += little(0x04034b50, 4) + little(20, 2) + head + m.name + data;
  }
  const size_t at = out.size();
  return out + directory + little(0x06054b50, 4) + little(0, 4) + little(members.size(), 2) +
         little(members.size(), 2) + little(directory.size(), 4) + little(at, 4) + little(0, 2);
}

auto parse(Bytes bytes, const std::string& source) { return parse_zip(bytes, source); }

TEST(Zip, HoldsStoredAndDeflatedMembers) {
  const std::string text(1000, 'x');
  const auto file = bytes_of(zip({{"a", "hello", false}, {"b/c", text, true}, {"", "", false}, {"e", "", true}}));
  EXPECT_TRUE(is_zip(file));
  const auto members = parse_zip(file, "file");
  ASSERT_EQ(members.size(), 4u);
  EXPECT_EQ(text_of(members.at("a")), "hello");
  EXPECT_EQ(text_of(members.at("b/c")), text);
  EXPECT_TRUE(parse_zip(bytes_of(zip({})), "file").empty());
}

TEST(Zip, RefusesEveryTruncation) {
  expect_truncations_refused(bytes_of(zip({{"a", "hello", false}, {"b", std::string(50, 'y'), true}})), parse);
}

TEST(Zip, RefusesDamageOrGivesTheSame) {
  const auto file = bytes_of(zip({{"a", "hello", false}, {"b", std::string(50, 'y'), true}}));
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    auto damaged = file;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    const std::string error = error_of([&] {
      for (const auto& [name, bytes] : parse_zip(damaged, "file"))
        EXPECT_TRUE(text_of(bytes) == "hello" || text_of(bytes) == std::string(50, 'y')) << bit;
    });
    if (error == "no error") continue;
    EXPECT_THAT(error, has_place()) << bit;
  }
}

TEST(Zip, GoldenErrors) {
  const auto error = [](std::string text) { return error_of([&] { parse_zip(bytes_of(text), "file"); }); };
  EXPECT_EQ(error("PK"), "file: byte 2, end record: expected 'PK\\x05\\x06' before the end, got none");
  EXPECT_THAT(error(zip({{"a", "x", false}, {"a", "y", false}})),
              HasSubstr("name: expected distinct names, got 'a' twice"));
  std::string sum = zip({{"a", "hello", false}});
  sum[31] = 'j';
  EXPECT_THAT(error(sum), HasSubstr("byte 31, checksum of 'a': expected "));
  // One byte that claims to be 2 GB.
  std::string bomb = zip({{"a", "hello", true}});
  const size_t directory = bomb.find("PK\x01\x02");
  bomb[directory + 27] = '\x7f';
  EXPECT_THAT(error(bomb), HasSubstr("data: expected at most "));
  // A member within another: together they would be more than the file.
  const auto parts = [](const std::string& whole) {
    const size_t at = whole.find("PK\x01\x02"), end = whole.rfind("PK\x05\x06");
    return std::array{whole.substr(0, at), whole.substr(at, end - at), whole.substr(end)};
  };
  auto [inner, inner_entry, unused] = parts(zip({{"b", std::string(1000, 'x'), false}}));
  auto [outer, outer_entry, end] = parts(zip({{"a", inner, false}}));
  inner_entry[42] = static_cast<char>(outer.size() - inner.size());  // where its header is now
  end[8] = end[10] = 2;
  end[12] = static_cast<char>(outer_entry.size() + inner_entry.size());
  EXPECT_THAT(error(outer + outer_entry + inner_entry + end), HasSubstr("packed size: expected members of at most "));
}

}  // namespace
}  // namespace gmc::files::testing
