// ONNX's own tests (Debian's libonnx-testdata) as the independent judge: none may fail, and those that are skipped are
// in skipped.txt with the reason, a list that can only shrink.
#include "tools/onnx/backend.h"

#include "runtime/files/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include <unistd.h>

namespace gmc::test {
namespace {

namespace fs = std::filesystem;
using onnx::Verdict;

constexpr const char* root = "/usr/share/libonnx-testdata/data";

// Names and reasons of the skipped tests.
std::map<std::string, std::string> skip_list() {
  std::map<std::string, std::string> out;
  std::ifstream file(GMC_SOURCE_DIR "/tests/onnx/skipped.txt");
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.find(' ');
    EXPECT_NE(space, std::string::npos) << "without a reason: " << line;
    out[line.substr(0, space)] = line.substr(space + 1);
  }
  return out;
}

Verdict judge(const std::string& folder) {
  package::Options options;
  options.target = codegen::target_named("native");
  options.jobs = 1;
  return onnx::judge(folder, [&](const onnx::Imported& m, const TensorMap& inputs) {
    return onnx::run_compiled(m, inputs, options, {1, false});
  });
}

class Judge : public testing::TestWithParam<const char*> {
protected:
  static std::string folder() { return std::string(root) + "/" + GetParam(); }
};

// The interpreter says whether the importer is right, whatever generated code can do.
TEST_P(Judge, NothingFailsInterpreted) {
  for (const std::string& name : onnx::find_tests(folder())) {
    // Here a tie of f32 arithmetic is rounded, which in the interpreter's f64 is none.
    if (name.starts_with("test_dynamicquantizelinear")) continue;
    const Verdict v = onnx::judge(folder() + "/" + name, onnx::run_interpreted);
    EXPECT_NE(v.kind, Verdict::Kind::failed) << name << ": " << v.reason;
  }
}

TEST_P(Judge, NothingFailsAndOnlyTheListedAreSkipped) {
  const auto listed = skip_list();
  for (const std::string& test : onnx::find_tests(folder())) {
    const Verdict v = judge(folder() + "/" + test);
    const std::string name = std::string(GetParam()) + "/" + test;
    EXPECT_NE(v.kind, Verdict::Kind::failed) << name << ": " << v.reason;
    const bool skipped = v.kind == Verdict::Kind::skipped;
    EXPECT_TRUE(!skipped || listed.count(name)) << name << " is skipped and not in the list: " << v.reason;
    EXPECT_TRUE(skipped || !listed.count(name)) << name << " passes: take it off the list";
  }
}

INSTANTIATE_TEST_SUITE_P(Onnx, Judge, testing::Values("node", "simple", "pytorch-converted", "pytorch-operator"),
                         [](const auto& which) {
                           std::string name = which.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(OnnxTests, EveryListedTestIsThere) {
  for (const auto& [name, reason] : skip_list()) EXPECT_TRUE(fs::exists(std::string(root) + "/" + name)) << name;
}

// The judge is no rubber stamp: whatever byte of the last element is changed so that the number changes by more than
// the tolerance, the test fails.
TEST(OnnxTests, AFlippedByteOfAnExpectedOutputFails) {
  const fs::path copy = fs::temp_directory_path() / fmt::format("gmc-onnx-{}", getpid());
  for (const char* test : {"node/test_add", "node/test_relu", "node/test_matmul_2d", "node/test_and2d"}) {
    fs::remove_all(copy);
    fs::copy(std::string(root) + "/" + test, copy, fs::copy_options::recursive);
    ASSERT_EQ(judge(copy.string()).kind, Verdict::Kind::passed) << judge(copy.string()).reason;
    const fs::path expected = copy / "test_data_set_0" / "output_0.pb";
    auto bytes = files::read_file(expected.string());
    bytes.back() ^= std::byte{0x41};
    std::ofstream(expected, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    EXPECT_EQ(judge(copy.string()).kind, Verdict::Kind::failed) << test;
  }
  fs::remove_all(copy);
}

TEST(OnnxTests, TheToleranceIsThatOfOnnx) {
  const auto floats = [](std::vector<double> v) { return onnx::host_tensor(f32, {static_cast<int64_t>(v.size())}, v); };
  double worst = 0;
  EXPECT_EQ(onnx::difference(floats({1, -2}), floats({1.0009, -2.0019}), worst), "");
  EXPECT_NEAR(worst, 0.95, 0.01);
  EXPECT_THAT(onnx::difference(floats({1, -2}), floats({1, -2.0021}), worst),
              testing::StartsWith("1 of 2 elements differ, the first at 1: expected -2, got -2.00"));
  EXPECT_THAT(onnx::difference(floats({0}), floats({2e-7}), worst), testing::StartsWith("1 of 1 elements differ"));
  EXPECT_EQ(onnx::difference(floats({NAN, INFINITY}), floats({NAN, INFINITY}), worst), "");
  EXPECT_NE(onnx::difference(floats({INFINITY}), floats({-INFINITY}), worst), "");
  EXPECT_NE(onnx::difference(floats({1}), floats({NAN}), worst), "");
  EXPECT_EQ(onnx::difference(floats({1}), onnx::host_tensor(f64, {1}, {1}), worst), "expected f32[1], got f64[1]");
  const auto one_of = [](DType dtype, double v) { return onnx::host_tensor(dtype, {1}, {v}); };
  EXPECT_EQ(onnx::difference(one_of(bf16, 1), one_of(bf16, 1 + 0x1p-6), worst), "");
  EXPECT_NE(onnx::difference(one_of(bf16, 1), one_of(bf16, 1 + 3 * 0x1p-7), worst), "");
  EXPECT_NE(onnx::difference(one_of(f16, 1), one_of(f16, 1 + 0x1p-9), worst), "");
  EXPECT_NE(onnx::difference(onnx::host_tensor(i64, {1}, {1000000}), onnx::host_tensor(i64, {1}, {1000001}), worst),
            "");
}

}  // namespace
}  // namespace gmc::test
