#include "runtime/execute/weights.h"

#include "tests/execute/package_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace gmc::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

PackageBuilder two_states() {
  PackageBuilder b("two");
  b.state("b.steps", {}, state_training, i64);
  b.state("a.weight", {2, 3});
  return b;
}

std::string file_of(const std::string& header, size_t data) {
  const uint64_t size = header.size();
  std::string bytes(reinterpret_cast<const char*>(&size), 8);
  bytes += header;
  for (size_t i = 0; i < data; ++i) bytes.push_back(static_cast<char>(i));
  return bytes;
}

std::string problem(const std::string& bytes) {
  PackageBuilder b = two_states();
  Opened model(b.finish(), nullptr);
  const Status status = load_state(*model.context, bytes.data(), bytes.size(), &model.message);
  if (status == Status::ok) return "";
  for (uint64_t i = 0; i < 24; ++i) EXPECT_EQ(static_cast<char*>(model->state(1))[i], 0);
  return model.message.text;
}

TEST(Weights, SurviveSavingAndLoading) {
  PackageBuilder b = two_states();
  const Package* p = b.finish();
  Opened first(p, nullptr), second(p, nullptr);
  static_cast<int64_t*>(first->state(0))[0] = 42;
  for (int i = 0; i < 6; ++i) static_cast<float*>(first->state(1))[i] = static_cast<float>(i) / 3;
  const std::string path = testing::TempDir() + "gmc_weights_test.safetensors";
  ASSERT_EQ(save_state(*first.context, path.c_str(), &first.message), Status::ok) << first.message.text;
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  // Sorted by name; the 8-byte values come first in the data, which begin at a multiple of 64.
  EXPECT_THAT(bytes.substr(8), StartsWith(R"({"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},)"
                                          R"("b.steps":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})"));
  EXPECT_EQ((bytes.size() - 32) % 64, 0u);
  ASSERT_EQ(load_state(*second.context, bytes.data(), bytes.size(), &second.message), Status::ok)
      << second.message.text;
  EXPECT_EQ(static_cast<int64_t*>(second->state(0))[0], 42);
  EXPECT_EQ(std::memcmp(first->state(1), second->state(1), 24), 0);
  EXPECT_EQ(save_state(*first.context, "/nonexistent/x.safetensors", &first.message), Status::invalid);
  EXPECT_THAT(first.message.text, StartsWith("cannot create '/nonexistent/x.safetensors'"));
  // Nothing is left of what cannot take its place.
  const std::string folder = testing::TempDir() + "gmc_weights_folder";
  std::filesystem::create_directories(folder + "/x");
  EXPECT_EQ(save_state(*first.context, (folder + "/x").c_str(), &first.message), Status::invalid);
  EXPECT_THAT(first.message.text, StartsWith("cannot rename to"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST(Weights, ReadWhatOthersWrite) {
  EXPECT_EQ(problem(file_of(
                R"( { "__metadata__" : {"format":"p\"t"} , "other":{"shape":[1],"dtype":"F16","data_offsets":[24,26]},
                               "a.weight" : {"data_offsets":[0, 24], "dtype":"F32", "shape":[2, 3]} }  )",
                26)),
            "");
}

TEST(Weights, RefuseWhatDoesNotFit) {
  const std::string good = R"({"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
  EXPECT_EQ(problem(file_of(good, 24)), "");
  EXPECT_THAT(problem(file_of(good, 23)), HasSubstr("'a.weight' lies at bytes 0 to 24 of 23"));
  EXPECT_THAT(problem(file_of(R"({"a.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}})", 24)),
              HasSubstr("'a.weight' is F32 [3, 2], the program expects F32 [2, 3]"));
  EXPECT_THAT(problem(file_of(R"({"a.weight":{"dtype":"F64","shape":[2,3],"data_offsets":[0,48]}})", 48)),
              HasSubstr("is F64 [2, 3]"));
  EXPECT_THAT(problem(file_of("{\"a.weight\":{\"dtype\":\"F\x1b[2J32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24)),
              HasSubstr("'a.weight' is F?[2J32 [2, 3], the program expects F32 [2, 3]"));
  EXPECT_THAT(problem(file_of("{}", 0)), HasSubstr("parameter 'a.weight' is missing"));
  EXPECT_THAT(problem("1234567"), HasSubstr("too few"));
  std::string lies = file_of(good, 24);
  std::memset(lies.data(), 0xff, 8);
  EXPECT_THAT(problem(lies), HasSubstr("too few"));
  for (size_t cut = 1; cut < good.size(); ++cut)
    EXPECT_THAT(problem(file_of(good.substr(0, cut), 24)),
                StartsWith("weights: byte " + std::to_string(8 + cut) + ": "))
        << cut;
  EXPECT_THAT(
      problem(file_of(R"({"a.weight":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,24]}})", 24)),
      HasSubstr("malformed"));
  EXPECT_THAT(problem(file_of(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 24)),
              HasSubstr("malformed"));
  EXPECT_THAT(problem(file_of(good.substr(0, good.size() - 1) + "," + good.substr(1), 24)),
              HasSubstr("'a.weight' is given twice"));
}

TEST(Weights, BoolsAreZeroOrOne) {
  PackageBuilder b("flags");
  b.state("flag", {3}, state_parameter, boolean);
  Opened model(b.finish(), nullptr);
  std::string bytes = file_of(R"({"flag":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", 2);
  const auto load = [&] { return load_state(*model.context, bytes.data(), bytes.size(), &model.message); };
  EXPECT_EQ(load(), Status::invalid);  // of another shape
  bytes = file_of(R"({"flag":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", 3);
  EXPECT_EQ(load(), Status::invalid);
  EXPECT_STREQ(model.message.text, "weights: 'flag' is BOOL and holds a byte that is neither 0 nor 1");
  bytes.back() = 1;
  EXPECT_EQ(load(), Status::ok) << model.message.text;
}

// Reads all of a file's beginnings, and the file with each bit flipped in turn: a refusal says why and changes nothing.
TEST(Weights, DamageIsRefusedOrHarmless) {
  const std::string good = file_of(
      R"({"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},"b.steps":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})",
      32);
  EXPECT_EQ(problem(good), "");
  for (size_t cut = 0; cut < good.size(); ++cut) {
    // Copied, so that a sanitizer sees a read past the end.
    const std::vector<char> shorter(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut));
    EXPECT_THAT(problem({shorter.begin(), shorter.end()}), StartsWith("weights: ")) << cut;
  }
  size_t refused = 0;
  for (size_t bit = 0; bit < 8 * (good.size() - 32); ++bit) {
    std::string damaged = good;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    const std::string text = problem(damaged);
    if (text.empty()) continue;
    EXPECT_THAT(text, StartsWith("weights: ")) << bit;
    ++refused;
  }
  EXPECT_GT(refused, 900u);
}

}  // namespace
}  // namespace gmc::test
