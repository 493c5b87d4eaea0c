// Where programs are linked: the compiler that is asked, and places that cannot be written.
#include "compiler/package/link.h"

#include "compiler/graph/core_ops.h"
#include "compiler/package/process.h"
#include "runtime/base/error.h"

#include <gtest/gtest.h>

#include <filesystem>

#include <stdlib.h>

namespace gmc {
namespace {

using namespace graph;

package::Compiled small() {
  Graph g("eval");
  const Var x = input(g, "x", "data", {DType::f32, {4}});
  g.add_output({"y", (x + x).value, false});
  return package::compile({"small", "{}", {}, {g}}, {codegen::host_target(), "none", {}, "", 1, false});
}

std::string refusal(const std::string& path) {
  try {
    package::link_object(small(), {}, path);
  } catch (const Error& e) {
    return e.what();
  }
  return "linked";
}

TEST(Link, RefusesPlacesThatCannotBeWritten) {
  const package::TemporaryDirectory folder;
  EXPECT_EQ(refusal(folder.file("")), "cannot write '" + folder.file("") + "': it is a folder");
  EXPECT_EQ(refusal(folder.file("no/where")),
            "cannot write '" + folder.file("no/where") + "': there is no folder '" + folder.file("no") + "'");
  EXPECT_TRUE(std::filesystem::is_empty(folder.file("")));
}

// Folders whose names would be taken apart where options are joined with commas.
TEST(Link, WorksInATemporaryFolderOfAnyName) {
  const package::TemporaryDirectory folder;
  const char* before = getenv("TMPDIR");
  const std::string saved = before ? before : "";
  std::filesystem::create_directory(folder.file("a, b"));
  setenv("TMPDIR", folder.file("a, b").c_str(), 1);
  EXPECT_EQ(refusal(folder.file("small.o")), "linked");
  if (before)
    setenv("TMPDIR", saved.c_str(), 1);
  else
    unsetenv("TMPDIR");
  EXPECT_GT(std::filesystem::file_size(folder.file("small.o")), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(folder.file("a, b")));
}

TEST(Link, TheCompilerMayHaveArguments) {
  const char* before = getenv("CXX");
  const std::string saved = before ? before : "";
  setenv("CXX", " ccache  g++ ", 1);
  EXPECT_EQ(package::system_compiler(), (std::vector<std::string>{"ccache", "g++"}));
  setenv("CXX", "", 1);
  EXPECT_EQ(package::system_compiler(), std::vector<std::string>{"c++"});
  if (before)
    setenv("CXX", saved.c_str(), 1);
  else
    unsetenv("CXX");
}

TEST(Plans, OfAnEntryThatIsNotThereAreRefused) {
  Graph g("eval");
  const Var x = input(g, "x", "data", {DType::f32, {4}});
  g.add_output({"y", (x + x).value, false});
  const package::Options options{codegen::host_target(), "none", {{"evil", "{}"}}, "", 1, false};
  EXPECT_THROW(package::compile({"small", "{}", {}, {g}}, options), Error);
}

}  // namespace
}  // namespace gmc
