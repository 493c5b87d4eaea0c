#include "tests/execute/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc::test {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// Builds the program once for all tests of the suite.
class Artifact : public testing::Test {
protected:
  static void SetUpTestSuite() {
    folder = fresh_folder("artifact");
    PackageBuilder b = affine_model();
    build("affine", b.finish());
  }

  static void build(const std::string& name, const Package* p, const std::string& weights = affine_weights()) {
    write_file(folder + "/" + name + ".c", program_source(p, "gmc_program", weights));
    const std::string link = sanitizer_flags().empty() ? " -static-pie -s -Wl,--gc-sections" : sanitizer_flags();
    ASSERT_EQ(command("cd " + folder + " && gcc -O1 -fPIC -c " + name + ".c && g++ " + name + ".o" +
                      archive("artifact_main") + archive("runtime") + archive("execute") + " -lpng -lz -lpthread -lm" +
                      link + " -o " + name),
              "");
  }

  static std::string run(const std::string& arguments) { return command("cd " + folder + " && ./affine " + arguments); }

  static inline std::string folder;
};

TEST_F(Artifact, IsSmall) {
  if (!sanitizer_flags().empty()) GTEST_SKIP() << "sanitizers make it large";
  EXPECT_LT(std::filesystem::file_size(folder + "/affine"), 2'000'000u);
}

TEST_F(Artifact, DescribesItself) {
  EXPECT_THAT(run("--help"),
              AllOf(StartsWith("The model 'affine', compiled."), HasSubstr("input   x                f32 [2, 4]"),
                    HasSubstr("./affine noise -n 64 -o images=images.npy")));
  EXPECT_THAT(run("--version"), StartsWith("affine, compiled by gmc "));
  EXPECT_THAT(run("info"), HasSubstr("parameters   9\n"));
  EXPECT_THAT(
      run("info --json"),
      HasSubstr(
          R"({"name": "noise", "steps": 1, "inputs": [], "outputs": [{"name": "images", "dtype": "f32", "shape": [4, 9]}]})"));
}

// Rows of several calls: the call is the step, and the last call's surplus is dropped.
TEST_F(Artifact, MakesRows) {
  EXPECT_EQ(run("noise -n 5 --seed 2 -o - --threads 2"),
            "2000 2001 2002 2003 2004 2005 2006 2007 2008\n2010 2011 2012 2013 2014 2015 2016 2017 2018\n"
            "2020 2021 2022 2023 2024 2025 2026 2027 2028\n2030 2031 2032 2033 2034 2035 2036 2037 2038\n"
            "2100 2101 2102 2103 2104 2105 2106 2107 2108\n");
  EXPECT_EQ(run("noise -n 1 --first-step 1 -o images=out.txt && cat out.txt"), "100 101 102 103 104 105 106 107 108\n");
  EXPECT_EQ(run("noise -n 5 -o out.png --range=0:500 && head -c 4 out.png | tail -c 3"), "PNG");
  EXPECT_EQ(run("noise -n 2"), "images f32 [2, 9] (keep it with --output images=FILE)\n");
}

TEST_F(Artifact, TrainsSavesAndLoads) {
  EXPECT_EQ(run("count --steps 3 --save w.safetensors"),
            "step        1  loss 3\nstep        2  loss 4\nstep        3  loss 5\n");
  EXPECT_EQ(run("count --weights w.safetensors"), "loss 6\n");
  EXPECT_EQ(run("count"), "loss 3\n");
}

TEST_F(Artifact, TakesInputs) {
  ASSERT_EQ(run("noise -n 4 -o wide.npy"), "");
  EXPECT_EQ(run("apply --input x=wide.npy -o -"),
            "affine: wide.npy: input 'x' of entry 'apply' is f32 [2, 4], got f32 [4, 9]\n[exit 1]");
  // [3, 4]: two calls; what is over in the second is dropped again.
  std::string file =
      std::string("\x93NUMPY\x01\x00\x76\x00", 10) + "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
  file += std::string(127 - file.size(), ' ') + "\n";
  for (int i = 0; i < 12; ++i) {
    const auto value = static_cast<float>(i);
    file.append(reinterpret_cast<const char*>(&value), 4);
  }
  write_file(folder + "/x.npy", file);
  const std::string expected = "9 11 13 15\n17 19 21 24\n25 27 29 31\n";
  EXPECT_EQ(run("apply --input x=x.npy -o -"), expected);
  EXPECT_EQ(command("cd " + folder + " && GMC_TEST_ALLOC=guard ./affine apply -i x=x.npy -o y.txt && cat y.txt"),
            expected);
  EXPECT_EQ(run("apply --input x=x.npy -n 2 -o -"), expected.substr(0, 23));
  EXPECT_EQ(run("apply --input x=x.npy -n 4 -o -"), "affine: flag '-n': input 'x' has 3 rows, got 4\n[exit 2]");
  // Behind the last row comes the first: the second call has rows 2 and 0.
  EXPECT_EQ(run("apply --input x=x.npy --steps 2 -o -"), "step        1\nstep        2\n25 27 29 31\n9 11 13 16\n");
}

TEST_F(Artifact, RefusesMistakes) {
  EXPECT_EQ(run("nois"),
            "affine: unknown entry 'nois', did you mean 'noise'? (there are apply, count, noise, info)\n[exit 2]");
  EXPECT_EQ(run("noise --sed 1"), "affine: unknown flag '--sed', did you mean '--seed'?\n[exit 2]");
  EXPECT_EQ(run("noise --seed"), "affine: flag '--seed' needs a value: --seed S\n[exit 2]");
  EXPECT_EQ(run("noise --json=1"), "affine: flag '--json' takes no value, got '1'\n[exit 2]");
  EXPECT_EQ(run("noise --threads 65"),
            "affine: flag '--threads': expected a whole number from 1 to 64, got '65'\n[exit 2]");
  EXPECT_EQ(run("noise -n 3x"),
            "affine: flag '-n': expected a whole number from 1 to 1099511627776, got '3x'\n[exit 2]");
  EXPECT_EQ(run("noise -n 1 --steps 1"), "affine: flags '-n' and '--steps' exclude each other\n[exit 2]");
  EXPECT_EQ(run("count -n 1"), "affine: entry 'count' has no output with rows that '-n' could count\n[exit 2]");
  EXPECT_EQ(run("noise count"), "affine: one entry is expected, got 'noise' and 'count'\n[exit 2]");
  EXPECT_EQ(run("noise -o x.gif"), "affine: 'x.gif': results are written as .png, .npy or .txt\n[exit 2]");
  EXPECT_EQ(run("noise -o image=x.png"),
            "affine: entry 'noise' has no output 'image', did you mean 'images'?\n[exit 2]");
  EXPECT_EQ(run("noise --range 1:0"), "affine: flag '--range': expected LOW:HIGH, got '1:0'\n[exit 2]");
  EXPECT_EQ(run("apply"), "affine: entry 'apply' needs input 'x', f32 [2, 4]: give --input x=FILE.npy\n[exit 2]");
  EXPECT_EQ(run("apply -i z=x.npy"), "affine: entry 'apply' has no input 'z', did you mean 'x'?\n[exit 2]");
  EXPECT_THAT(run("count --weights none"), AllOf(HasSubstr("cannot read 'none'"), EndsWith("[exit 1]")));
  EXPECT_THAT(run("noise -n 3 -o - > /dev/full"), AllOf(HasSubstr("cannot write"), EndsWith("[exit 1]")));
}

TEST_F(Artifact, RefusesWhatItCannotRun) {
  PackageBuilder b = affine_model();
  build("bare", b.finish(), "");
  EXPECT_EQ(command("cd " + folder + " && ./bare count"),
            "bare: this program has no weights in it: give --weights FILE\n[exit 2]");
  const Package* p = b.finish();
  Package damaged = *p;
  damaged.entry_count = 1000000;
  std::vector<char> bytes(reinterpret_cast<const char*>(p), reinterpret_cast<const char*>(p) + p->bytes);
  std::memcpy(bytes.data(), &damaged, sizeof damaged);
  build("broken", reinterpret_cast<const Package*>(bytes.data()));
  EXPECT_THAT(command("cd " + folder + " && ./broken count"),
              AllOf(StartsWith("broken: this program is damaged: table of entries"), EndsWith("[exit 1]")));
}

}  // namespace
}  // namespace gmc::test
