// The command from outside: build/gmc as a process, in a folder that goes away.
#pragma once

#include "compiler/package/process.h"
#include "runtime/files/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace gmc::test {

inline std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

inline int64_t lines_of(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

using Words = std::vector<std::string>;

class Cli : public testing::Test {
protected:
  static constexpr const char* program = GMC_BINARY_DIR "/gmc";
  std::string file(const std::string& name) const { return folder_.file(name); }

  package::ProcessResult gmc(Words words) const {
    words.insert(words.begin(), program);
    return package::run_process(words);
  }
  // Expects status 0; returns what the command says.
  std::string fine(const Words& words) const {
    const package::ProcessResult r = gmc(words);
    EXPECT_EQ(r.status, 0) << testing::PrintToString(words) << "\n" << r.output;
    return r.output;
  }
  // Expects this status and one line; returns the line.
  std::string refused(int status, const Words& words) const {
    const package::ProcessResult r = gmc(words);
    EXPECT_EQ(r.status, status) << testing::PrintToString(words) << "\n" << r.output;
    EXPECT_EQ(lines_of(r.output), 1) << r.output;
    EXPECT_EQ(r.output.rfind("gmc: error: ", 0), 0u) << r.output;
    return r.output;
  }
  // A shell line in the folder; expects status 0.
  std::string shell(const std::string& line) const {
    const package::ProcessResult r = package::run_process({"sh", "-c", "cd '" + file("") + "' && " + line});
    EXPECT_EQ(r.status, 0) << line << "\n" << r.output;
    return r.output;
  }

private:
  package::TemporaryDirectory folder_;
};

// A model that compiles in no time, of images of 784 values.
inline const Words small{"--set", "h=24", "--set", "z=3", "--set", "batch=16"};

inline Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace gmc::test
