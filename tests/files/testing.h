// What the tests of files share: folders that go away, errors as text, and damage done to valid files.
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/files/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace gmc::files::testing {

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gmc-test-XXXXXX").string();
    if (::mkdtemp(pattern.data())) path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      result.push_back(entry.path().filename().string());
    return result;
  }

private:
  std::filesystem::path path_;
};

inline std::vector<std::byte> bytes_of(std::string_view text) {
  std::vector<std::byte> result(text.size());
  if (!text.empty()) std::memcpy(result.data(), text.data(), text.size());
  return result;
}
inline std::string text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline void write_plainly(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

// The text of the `Error` that `f` throws; "no error" if it throws none. Other exceptions pass.
template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

inline auto has_place() { return ::testing::ContainsRegex("^file.*: byte [0-9]+, .+: expected .+, got .+"); }

// Every proper beginning of a valid file must be refused with its place.
template <class Parse>
void expect_truncations_refused(const std::vector<std::byte>& file, Parse parse) {
  for (size_t n = 0; n < file.size(); ++n) {
    // Copied, so that a sanitizer sees a read past the end.
    const std::vector<std::byte> shorter(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_THAT(error_of([&] { parse(shorter, "file"); }), has_place()) << "cut to " << n << " of " << file.size();
  }
}

inline bool is_whole(const HostTensor& t) { return t.bytes.size() == static_cast<size_t>(byte_size(t.dtype, t.shape)); }
inline bool is_whole(const TensorMap& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const auto& named) { return is_whole(named.second); });
}

// Flips each bit of the first `count` bytes in turn: the parser gives whole tensors or throws `Error`, and nothing
// else. Returns how many of the files it refused.
template <class Parse>
size_t refused_bit_flips(const std::vector<std::byte>& file, size_t count, Parse parse) {
  size_t refused = 0;
  for (size_t bit = 0; bit < 8 * count; ++bit) {
    std::vector<std::byte> damaged = file;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    const std::string error = error_of([&] { EXPECT_TRUE(is_whole(parse(damaged, "file"))) << "bit " << bit; });
    if (error == "no error") continue;
    EXPECT_THAT(error, has_place()) << "bit " << bit;
    ++refused;
  }
  return refused;
}

}  // namespace gmc::files::testing
