// Every NAME.cpp of this folder is a model with a mistake; NAME.txt is what gmc says about it, paths cut to the file's
// name.
#include "models/load.h"
#include "runtime/base/error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <stdlib.h>

namespace gmc {
namespace {

const std::string folder = std::string(GMC_SOURCE_DIR) + "/tests/errors/";

std::vector<std::string> models() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.path().extension() == ".txt") names.push_back(file.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}

class Mistake : public testing::TestWithParam<std::string> {};

TEST_P(Mistake, is_explained) {
  std::ifstream file(folder + GetParam() + ".txt");
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  setenv("XDG_CACHE_HOME", GMC_BINARY_DIR "/tests/cache", 1);
  const ModelDefinition& model = load_model(folder + GetParam() + ".cpp");
  std::string got;
  try {
    Program program;
    model.build(program);
  } catch (const Error& e) {
    got = std::string(e.what()) + "\n";
  }
  for (size_t at; (at = got.find(folder)) != std::string::npos;) got.erase(at, folder.size());
  EXPECT_EQ(got, expected);
}

INSTANTIATE_TEST_SUITE_P(Models, Mistake, testing::ValuesIn(models()), [](const auto& model) { return model.param; });

}  // namespace
}  // namespace gmc
