// ops/README.md lists every op, as what it is.
#include "compiler/graph/op.h"
#include "ops/registry.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace gmc {
namespace {

using Names = std::set<std::string>;

// Names between backquotes in the section under a heading.
Names listed_under(const std::string& heading) {
  std::ifstream file(GMC_SOURCE_DIR "/ops/README.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  const size_t begin = all.find("\n## " + heading + "\n");
  EXPECT_NE(begin, std::string::npos) << "ops/README.md has no section " << heading;
  const std::string section = all.substr(begin + 1, all.find("\n## ", begin + 1) - begin);
  Names out;
  const std::regex name("`([a-z0-9_]+)`");
  for (std::sregex_iterator it(section.begin(), section.end(), name), end; it != end; ++it)
    EXPECT_TRUE(out.insert((*it)[1]).second) << (*it)[1] << " is listed twice";
  return out;
}

Names registered(bool composite) {
  Names out;
  for (const graph::OpDef* op : ops::registry())
    if ((op->category == graph::Category::composite) == composite) out.insert(op->name);
  return out;
}

TEST(OpsReadme, lists_every_primitive) { EXPECT_EQ(listed_under("Primitives"), registered(false)); }
TEST(OpsReadme, lists_every_composite) { EXPECT_EQ(listed_under("Composites"), registered(true)); }

}  // namespace
}  // namespace gmc
