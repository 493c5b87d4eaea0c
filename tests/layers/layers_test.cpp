// The rules of layers.h on the repository itself, and on planted violations.
#include "tests/layers/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::filesystem::path root = GMC_SOURCE_DIR;

using Check = std::vector<std::string> (*)(const std::string& path, const std::string& text);

template <class Filter>
std::vector<std::string> violations(Filter filter, Check check) {
  std::vector<std::string> found;
  for (const std::string& path : repository_files(root)) {
    if (!filter(path)) continue;
    const auto more = check(path, read_text(root / path));
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

TEST(Layers, includes_follow_the_table) { EXPECT_THAT(violations(is_source, include_violations), IsEmpty()); }

TEST(Layers, libraries_never_end_the_process) { EXPECT_THAT(violations(is_library, exit_violations), IsEmpty()); }

TEST(Layers, no_file_names_a_folder_of_one_machine) {
  EXPECT_THAT(violations([](const std::string&) { return true; }, machine_path_violations), IsEmpty());
}

// A table that no source answers to would hold trivially.
TEST(Layers, every_row_has_sources) {
  const std::vector<std::string> files = repository_files(root);
  for (const Row& row : rows()) {
    const bool found = std::any_of(files.begin(), files.end(), [&](const std::string& path) {
      return is_source(path) && within(path, row.folder);
    });
    EXPECT_TRUE(found) << row.folder;
  }
}

TEST(Layers, planted_violations_are_found) {
  const std::string text = read_text(root / "tests/layers/planted.txt");
  ASSERT_FALSE(text.empty());
  EXPECT_THAT(
      include_violations("runtime/files/planted.cpp", text),
      ElementsAre("runtime/files/planted.cpp:4: includes compiler/graph/graph.h: runtime/files may not",
                  "runtime/files/planted.cpp:7: includes llvm/IR/Module.h: only compiler/codegen and few others may",
                  "runtime/files/planted.cpp:9: includes boost/any.hpp: no door is known for it",
                  "runtime/files/planted.cpp:10: includes dnnl.hpp: only runtime/libraries and few others may"));
  EXPECT_THAT(exit_violations("runtime/files/planted.cpp", text),
              ElementsAre("runtime/files/planted.cpp:14: calls exit", "runtime/files/planted.cpp:15: calls abort"));
  EXPECT_THAT(
      include_violations("compiler/new/planted.cpp", "#include \"runtime/base/error.h\"\n"),
      ElementsAre("compiler/new/planted.cpp:1: includes runtime/base/error.h: the folder has no row in the table "
                  "of layers"));
  EXPECT_THAT(
      include_violations("compiler/package/link.cpp", "#include \"compiler/codegen/llvm_door.h\"\n"),
      ElementsAre("compiler/package/link.cpp:1: includes compiler/codegen/llvm_door.h: only compiler/codegen and "
                  "few others may"));
  EXPECT_THAT(machine_path_violations("docs/planted.md", "put it in /"
                                                         "home/somebody/data, or in a/home/b\n"),
              ElementsAre("docs/planted.md:1: names a folder of one machine, /home"));
}

}  // namespace
}  // namespace gmc::test
