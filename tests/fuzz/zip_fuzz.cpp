#include "runtime/files/zip.h"

#include "tests/fuzz/fuzz.h"

namespace gmc::fuzz {
namespace {

std::string little(uint64_t v, int size) {
  std::string out;
  for (int i = 0; i < size; ++i) out += static_cast<char>(v >> (8 * i));
  return out;
}

// One stored member `a` with the text `hello`, whose CRC-32 is 3610a686.
std::string archive() {
  const std::string head =
      little(0, 8) + little(0x3610a686, 4) + little(5, 4) + little(5, 4) + little(1, 2) + little(0, 2);
  const std::string local = little(0x04034b50, 4) + little(20, 2) + head + "ahello";
  const std::string directory =
      little(0x02014b50, 4) + little(20, 2) + little(20, 2) + head + std::string(10, '\0') + little(0, 4) + "a";
  return local + directory + little(0x06054b50, 4) + little(0, 4) + little(1, 2) + little(1, 2) +
         little(directory.size(), 4) + little(local.size(), 4) + little(0, 2);
}

}  // namespace

std::vector<Seed> seeds() { return {seed_of(archive()), seed_of(little(0x06054b50, 4) + std::string(18, '\0'))}; }

void read(files::Bytes bytes) {
  std::map<std::string, std::vector<std::byte>> members;
  if (!reads([&] { members = files::parse_zip(bytes, "file"); })) return;
  size_t total = 0;
  for (const auto& [name, data] : members) total += data.size();
  require(total <= 1032 * bytes.size() * members.size(), "members are larger than they can be");
}

}  // namespace gmc::fuzz
