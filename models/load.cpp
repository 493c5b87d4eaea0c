#include "models/load.h"

#include "compiler/dsl/nearest.h"
#include "compiler/package/process.h"
#include "models/builtin.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <fmt/ranges.h>

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

namespace gmc {
namespace fs = std::filesystem;

namespace {

std::optional<std::string> contents(const fs::path& path) {
  std::error_code problem;
  if (fs::is_directory(path, problem)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

std::string hash(const std::string& text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (char c : text) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  return fmt::format("{:016x}", execute::fold(h, text.size()));
}

fs::path cache_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache && *cache) return fs::path(cache) / "gmc" / "models";
  if (home && *home) return fs::path(home) / ".cache" / "gmc" / "models";
  return fs::temp_directory_path() / fmt::format("gmc-{}", getuid()) / "models";
}

// The headers beside this library if they are there, as in an installed tree; else those it was built from.
std::vector<std::string> include_flags() {
  Dl_info info{};
  fs::path own;
  if (dladdr(reinterpret_cast<const void*>(&include_flags), &info) != 0 && info.dli_fname)
    own = fs::absolute(info.dli_fname).parent_path().parent_path() / "include";
  const fs::path include = fs::exists(own / "gmc" / "gmc.h") ? own : fs::path(GMC_BUILD_INCLUDE);
  const fs::path root = fs::exists(include / "gmc" / "models" / "gmc.h") ? include / "gmc" : fs::path(GMC_SOURCE_ROOT);
  return {"-I" + include.string(), "-I" + root.string()};
}

// The files in a make rule: everything after the colon, `\ ` being a blank in a name.
std::vector<std::string> prerequisites(const std::string& rule) {
  std::vector<std::string> files;
  std::string file;
  for (size_t i = rule.find(": ") + 2; i <= rule.size(); ++i) {
    const bool escaped = i + 1 < rule.size() && rule[i] == '\\' && (rule[i + 1] == ' ' || rule[i + 1] == '\n');
    if (escaped && rule[i + 1] == ' ') {
      file += rule[++i];
    } else if (!escaped && i < rule.size() && rule[i] != ' ' && rule[i] != '\n') {
      file += rule[i];
    } else if (!file.empty()) {
      files.push_back(std::exchange(file, {}));
    }
  }
  return files;
}

// The object that `manifest` names, if every file it was made from is as it was then.
std::optional<fs::path> cached(const fs::path& manifest) {
  const auto text = contents(manifest);
  if (!text) return std::nullopt;
  std::istringstream lines(*text);
  std::string object, line;
  std::getline(lines, object);
  while (std::getline(lines, line)) {
    if (line.size() < 18) return std::nullopt;
    const auto now = contents(line.substr(17));
    if (!now || hash(*now) != line.substr(0, 16)) return std::nullopt;
  }
  const fs::path path = manifest.parent_path() / object;
  return fs::exists(path) ? std::optional(path) : std::nullopt;
}

fs::path compile(const std::vector<std::string>& compiler, const std::vector<std::string>& flags,
                 const std::string& source, const fs::path& manifest) {
  const package::TemporaryDirectory folder(manifest.parent_path().string());
  const std::string object = folder.file("model.so"), rule = folder.file("model.d");
  std::vector<std::string> command = compiler;
  command.insert(command.end(), flags.begin(), flags.end());
  command.insert(command.end(), {"-MMD", "-MF", rule, "-o", object, source});
  const package::ProcessResult run = package::run_process(command);
  if (run.status != 0)
    fail("model '{}' does not compile: {} ended with status {}\n{}", source, fmt::join(compiler, " "), run.status,
         run.output);

  std::string listing;
  for (const std::string& file : prerequisites(contents(rule).value_or(": ")))
    listing += fmt::format("{} {}\n", hash(contents(file).value_or("")), file);
  const std::string name = fmt::format("{}-{}.so", manifest.stem().string(), hash(listing));
  const fs::path kept = manifest.parent_path() / name, fresh = folder.file("manifest");
  std::ofstream(fresh) << name << '\n' << listing;
  fs::rename(object, kept);
  fs::rename(fresh, manifest);
  return kept;
}

std::string version_of(std::vector<std::string> compiler) {
  compiler.emplace_back("--version");
  package::ProcessResult run;
  try {
    run = package::run_process(compiler);
  } catch (const Error& e) {
    fail("no C++ compiler: {}; set CXX to one", e.what());
  }
  if (run.status != 0)
    fail("no C++ compiler: '{}' ended with status {}; set CXX to one", fmt::join(compiler, " "), run.status);
  return run.output;
}

const ModelDefinition& load_file(const std::string& source) {
  const std::string ending = fs::path(source).extension().string();
  if (ending != ".cpp" && ending != ".cc" && ending != ".cxx")
    fail_usage("'{}' is no model: expected a .cpp file, an ONNX model or a .graph file", source);
  const auto text = contents(source);
  if (!text) fail_usage("cannot read the model '{}'", source);
  const std::vector<std::string> compiler = package::system_compiler();
  const std::string version = version_of(compiler);
  std::vector<std::string> flags{"-std=c++20", "-O0", "-shared", "-fPIC"};
  // Inline variables of two models must stay two.
  if (version.find("Free Software Foundation") != std::string::npos) flags.emplace_back("-fno-gnu-unique");
  for (const std::string& flag : include_flags()) flags.push_back(flag);

  std::string key = version + '\n' + fmt::format("{}", fmt::join(compiler, " ")) + '\n' + source + '\n' +
                    fs::absolute(source).string() + '\n';
  for (const std::string& flag : flags) key += flag + '\n';
  const fs::path folder = cache_folder();
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) fail("cannot make the folder {}: {}", folder.string(), problem.message());
  const fs::path manifest = folder / (hash(key + *text) + ".files");
  std::optional<fs::path> object = cached(manifest);
  if (!object) object = compile(compiler, flags, source, manifest);

  void* handle = dlopen(object->c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) fail("model '{}' cannot be loaded: {}", source, dlerror());
  const auto entry = reinterpret_cast<const ModelDefinition* (*)()>(dlsym(handle, "gmc_model"));
  if (!entry) fail("'{}' defines no model: expected GMC_MODEL(...)", source);
  const ModelDefinition* model = entry();
  if (model->abi != GMC_ABI_VERSION)
    fail("model '{}' is of ABI version {}, this gmc is of {}", source, model->abi, GMC_ABI_VERSION);
  return *model;
}

}  // namespace

const ModelDefinition& load_model(const std::string& name) {
  if (name.find('/') != std::string::npos || name.ends_with(".cpp") || name.ends_with(".cc")) return load_file(name);
  std::vector<std::string> names;
  for (const auto& entry : builtin_models()) {
    if (name == entry()->name) return *entry();
    names.emplace_back(entry()->name);
  }
  throw Error(unknown_name("model", name, names) + ", or the path of a .cpp, .onnx or .graph file", true);
}

}  // namespace gmc
