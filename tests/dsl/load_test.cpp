#include "compiler/package/process.h"
#include "models/load.h"
#include "runtime/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <stdlib.h>
#include <unistd.h>

namespace gmc {
namespace {

namespace fs = std::filesystem;

class Load : public testing::Test {
protected:
  void SetUp() override {
    fs::remove_all(folder);
    fs::create_directories(folder);
    setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
  size_t objects() const {
    size_t count = 0;
    for (const auto& file : fs::recursive_directory_iterator(folder / "cache"))
      count += file.path().extension() == ".so";
    return count;
  }
  std::string error_of(const std::string& path) const {
    try {
      load_model(path);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  }

  // Each test is a process of its own, and several run at once.
  const fs::path folder = fs::path(GMC_BINARY_DIR) / "tests" / ("load a model " + std::to_string(::getpid()));
};

constexpr const char* model = R"(#include <gmc/gmc.h>
#include "extent.h"
using namespace gmc;
struct Config {
  int64_t n = extent;
  GMC_FIELDS(n)
};
GMC_MODEL("mine", Config, {{"tiny", {}}, {"base", {.n = 7}}})
(Program& p, const Config& c) {
  p.entry("eval", [&] { output("y", exp(input("x", f32, {c.n}))); });
}
)";

TEST_F(Load, compiles_once_and_again_when_an_included_file_changes) {
  write("extent.h", "constexpr long extent = 3;\n");
  const std::string path = write("mine.cpp", model);
  EXPECT_EQ(load_model(path).values()[0].second, "3");
  EXPECT_EQ(load_model(path).values("base")[0].second, "7");
  EXPECT_EQ(objects(), 1u);
  Program p;
  load_model(path).build(p, "base", {{"n", "2"}});
  EXPECT_EQ(p.entry_named("eval").graph->nodes()[0].types[0].shape, (Shape{2}));
  write("extent.h", "constexpr long extent = 4;\n");
  EXPECT_EQ(load_model(path).values()[0].second, "4");
  EXPECT_EQ(objects(), 2u);
}

TEST_F(Load, shows_what_the_compiler_says) {
  const std::string said = error_of(write("broken.cpp", "int main( {}\n"));
  EXPECT_THAT(said, testing::HasSubstr("broken.cpp' does not compile: "));
  EXPECT_THAT(said, testing::HasSubstr("broken.cpp:1"));
  EXPECT_EQ(objects(), 0u);
}

TEST_F(Load, refuses_files_without_a_model) {
  EXPECT_THAT(error_of(write("empty.cpp", "\n")), testing::HasSubstr("defines no model: expected GMC_MODEL"));
  EXPECT_THAT(error_of("no/such/model.cpp"), testing::HasSubstr("cannot read the model 'no/such/model.cpp'"));
}

TEST_F(Load, refuses_another_abi_version) {
  const std::string path = write("old.cpp", "static const long model[16] = {-1};\n"
                                            "extern \"C\" const void* gmc_model() { return model; }\n");
  EXPECT_THAT(error_of(path),
              testing::HasSubstr(fmt::format("is of ABI version -1, this gmc is of {}", GMC_ABI_VERSION)));
}

TEST_F(Load, a_missing_compiler_is_named) {
  setenv("CXX", "/no/such/compiler", 1);
  const std::string said = error_of(write("empty.cpp", "\n"));
  unsetenv("CXX");
  EXPECT_THAT(said, testing::HasSubstr("no C++ compiler: cannot start '/no/such/compiler'"));
}

// Compiling a model stays cheap because the headers it includes are light.
TEST(Headers, of_a_model_pull_in_no_heavy_library) {
  const std::string root = GMC_SOURCE_DIR;
  const package::ProcessResult run =
      package::run_process({"c++", "-std=c++20", "-M", "-I" + root, root + "/models/gmc.h"});
  ASSERT_EQ(run.status, 0) << run.output;
  EXPECT_THAT(run.output, testing::HasSubstr("models/gmc.h"));
  for (const char* heavy : {"/fmt/", "/nlohmann/", "/iostream", "/regex", "/functional ", "/llvm"})
    EXPECT_EQ(run.output.find(heavy), std::string::npos) << heavy;
}

TEST(RunProcess, gives_status_and_text) {
  EXPECT_EQ(package::run_process({"sh", "-c", "echo out; echo err >&2; exit 3"}).status, 3);
  EXPECT_EQ(package::run_process({"sh", "-c", "echo out; echo err >&2"}).output, "out\nerr\n");
  EXPECT_EQ(package::run_process({"sh", "-c", "kill -9 $$"}).status, 137);
}

}  // namespace
}  // namespace gmc
