// The architecture as rules on the text of the sources: who may include what, what libraries may not call, what no file
// may contain. docs/architecture.md explains the tables; a new folder needs a row in them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace gmc::test {

struct Row {
  std::string_view folder;
  std::vector<std::string_view> may_include;  // folders and files, besides its own
};

// The folders from the bottom up. Random streams and the package's tables are definitions that all layers share.
inline const std::vector<Row>& rows() {
  static constexpr std::string_view base = "runtime/base", random = "runtime/execute/random.h",
                                    package = "runtime/execute/package.h", graph = "compiler/graph",
                                    gradients = "compiler/transform/differentiate.h";
  static const std::vector<Row> list{
      {"runtime/base", {}},
      {"runtime/execute", {}},
      {"runtime/routines", {package}},
      {"runtime/files", {base, "runtime/execute"}},
      {"runtime/data", {base, "runtime/execute", "runtime/files"}},
      {"runtime/libraries", {"runtime/execute"}},
      {"runtime/artifact", {base, "runtime/execute", "runtime/files"}},
      {"compiler/graph", {base, random}},
      {"compiler/transform", {base, random, graph}},
      {"compiler/dsl", {base, random, graph, "compiler/transform"}},
      {"compiler/fusion", {base, random, graph}},
      {"compiler/kernel", {base, random}},
      {"compiler/lower", {base, random, graph, "compiler/fusion", "compiler/kernel"}},
      {"compiler/codegen", {base, random, package, "runtime/routines/product.h", "compiler/kernel"}},
      {"compiler/package", {"runtime", "compiler"}},
      {"ops", {base, random, graph, gradients, "compiler/dsl", "compiler/kernel"}},
      {"models", {base, random, gradients, "compiler/dsl", "compiler/package", "ops"}},
      {"tools", {"runtime", "compiler", "ops", "models"}},
      {"tests", {"runtime", "compiler", "ops", "models", "tools"}},
  };
  return list;
}

struct Door {
  std::string_view header;               // the beginning of what is included
  std::vector<std::string_view> places;  // folders and files that may
};

// The dependencies that only some may see, and headers of gmc that would show them.
inline const std::vector<Door>& doors() {
  static const std::vector<Door> list{
      {"llvm/", {"compiler/codegen", "compiler/package/jit.cpp", "tests"}},
      {"llvm-c/", {"compiler/codegen", "tests"}},
      {"compiler/codegen/llvm_door.h", {"compiler/codegen", "compiler/package/jit.cpp", "tests", "tools/bench"}},
      {"compiler/codegen/cpu/", {"compiler/codegen", "tests", "tools/bench"}},
      {"dnnl", {"runtime/libraries", "tests", "tools/bench"}},
      {"oneapi/", {"runtime/libraries", "tests", "tools/bench"}},
      {"png.h", {"runtime/files/png.cpp", "tests"}},
      {"zlib.h", {"runtime/files", "tests"}},
      {"CLI/", {"tools"}},
      {"google/protobuf/", {"tools/onnx"}},
      {"onnx.pb.h", {"tools/onnx/read.cpp"}},
      {"fmt/", {"runtime/base", "runtime/files", "runtime/artifact", "compiler", "ops", "models", "tools", "tests"}},
      {"nlohmann/",
       {"runtime/files", "runtime/data", "compiler/graph", "compiler/dsl", "compiler/fusion", "compiler/package",
        "tools", "tests"}},
      {"gtest/", {"tests"}},
      {"gmock/", {"tests"}},
      {"gmc/gmc.h", {"models", "tests"}},
  };
  return list;
}

// Is `path` the folder or file `place`, or inside it?
inline bool within(std::string_view path, std::string_view place) {
  return path.starts_with(place) && (path.size() == place.size() || path[place.size()] == '/' || place.ends_with('/'));
}
inline bool within_any(std::string_view path, const std::vector<std::string_view>& places) {
  for (std::string_view place : places)
    if (within(path, place)) return true;
  return false;
}

// Calls visit(number, line) for every line, counted from 1.
template <class Visit>
void for_each_line(const std::string& text, Visit visit) {
  std::istringstream stream(text);
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) visit(number, line);
}

// Why `path` (relative to the root) may not include this, or nothing.
inline std::optional<std::string> refuse_include(const std::string& path, const std::string& header, bool quoted) {
  bool known = false;
  for (const Door& door : doors()) {
    if (!header.starts_with(door.header)) continue;
    if (!within_any(path, door.places)) return "only " + std::string(door.places[0]) + " and few others may";
    known = true;
  }
  if (!quoted) {
    const bool of_the_system =
        header.find('/') == std::string::npos || header.starts_with("sys/") || header.starts_with("linux/");
    if (known || of_the_system) return std::nullopt;
    return "no door is known for it";
  }
  // Programs that tests write and compile, as text, include what was generated beside them.
  if (within(path, "tests") && header.find('/') == std::string::npos) return std::nullopt;
  for (const Row& row : rows()) {
    if (!within(path, row.folder)) continue;
    if (within(header, row.folder) || within_any(header, row.may_include)) return std::nullopt;
    return std::string(row.folder) + " may not";
  }
  return "the folder has no row in the table of layers";
}

// Each as `path:line: includes HEADER: why not`.
inline std::vector<std::string> include_violations(const std::string& path, const std::string& text) {
  static const std::regex directive(R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re");
  std::vector<std::string> found;
  for_each_line(text, [&](int number, const std::string& line) {
    std::smatch match;
    if (line.find('#') == std::string::npos || !std::regex_search(line, match, directive)) return;
    if (auto why = refuse_include(path, match[2], match[1] == "\""))
      found.push_back(path + ":" + std::to_string(number) + ": includes " + match[2].str() + ": " + *why);
  });
  return found;
}

// Calls that end the process. Libraries have none; the child of a fork may only leave by _exit, and does so in a file
// that calls exec.
inline std::vector<std::string> exit_violations(const std::string& path, const std::string& text) {
  static const std::regex call(R"re((^|[^\w.>"])(abort|exit|_exit|_Exit|quick_exit|terminate)\s*\()re");
  static const std::regex silent(R"re("([^"\\]|\\.)*"|//.*)re");
  const bool has_child = text.find("exec") != std::string::npos && text.find("fork()") != std::string::npos;
  std::vector<std::string> found;
  for_each_line(text, [&](int number, const std::string& line) {
    const std::string code = std::regex_replace(line, silent, "");
    std::smatch match;
    if (!std::regex_search(code, match, call) || (has_child && match[2] == "_exit")) return;
    found.push_back(path + ":" + std::to_string(number) + ": calls " + match[2].str());
  });
  return found;
}

// Folders that exist on one machine only: homes, mounts, workspaces.
inline std::vector<std::string> machine_path_violations(const std::string& path, const std::string& text) {
  static const std::regex place(
      R"re((^|[^\w.~/}\)\]*-])/(home|root|Users|work|workspace|mnt|media|srv|opt|builds)/)re");
  std::vector<std::string> found;
  for_each_line(text, [&](int number, const std::string& line) {
    std::smatch match;
    if (line.find('/') == std::string::npos || !std::regex_search(line, match, place)) return;
    found.push_back(path + ":" + std::to_string(number) + ": names a folder of one machine, /" + match[2].str());
  });
  return found;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The files of the repository, relative to its root and sorted: all below the folders of sources and docs, and those
// beside them; what builds and runs leave is no part of it.
inline std::vector<std::string> repository_files(const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  for (const char* folder : {"runtime", "compiler", "ops", "models", "tools", "tests", "docs", ".ci"}) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.is_regular_file()) files.push_back(fs::relative(entry.path(), root).string());
  }
  for (const auto& entry : fs::directory_iterator(root))  // `.git` is a file where the tree is one of several
    if (entry.is_regular_file() && entry.path().filename() != ".git") files.push_back(entry.path().filename().string());
  std::sort(files.begin(), files.end());
  return files;
}

inline bool is_source(std::string_view path) {
  return (path.ends_with(".cpp") || path.ends_with(".h") || path.ends_with(".c")) && path.find('/') != path.npos;
}
inline bool is_library(std::string_view path) {
  return is_source(path) && within_any(path, {"runtime", "compiler", "ops", "models"});
}

}  // namespace gmc::test
