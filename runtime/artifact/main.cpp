// The `main` of compiled programs: the first word is an entry of the model, or `info`.
#include "runtime/artifact/program.h"
#include "runtime/base/error.h"
#include "runtime/base/terminal.h"
#include "runtime/execute/lookup.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

// What `gmc compile` puts beside this.
extern "C" {
extern const unsigned char gmc_program_package[], gmc_program_weights[];
extern const gmc::execute::Kernel gmc_program_functions[];
extern const uint64_t gmc_program_weights_bytes;
[[gnu::weak]] const gmc::execute::Libraries* gmc_program_libraries();
}

namespace gmc::artifact {
namespace {

using namespace execute;

uint64_t entry_named(const Package* p, const std::string& verb) {
  std::vector<std::string_view> names;
  for (uint32_t i = 0; i < p->entry_count; ++i) names.push_back(string_at(p, entry_at(p, i).name));
  names.push_back("info");
  const int64_t entry = find_entry(p, verb.c_str());
  if (entry < 0)
    fail_usage("unknown entry '{}'{} (there are {})", verb, suggestion(verb, names), fmt::join(names, ", "));
  return static_cast<uint64_t>(entry);
}

void dispatch(const Program& program, std::span<char* const> words) {
  Message message;
  if (validate(program.package, 0, &message) != Status::ok) fail("this program is damaged: {}", message.text);
  const Arguments arguments(words, program_flags());
  const auto& verbs = arguments.words();
  if (arguments.has("--version")) return fmt::print("{}", version_text(program));
  if (arguments.has("--help") || (verbs.size() == 1 && verbs[0] == "help")) return fmt::print("{}", help_text(program));
  if (verbs.empty()) fail_usage("which entry is to run? (see --help)");
  if (verbs.size() > 1) fail_usage("one entry is expected, got '{}' and '{}'", verbs[0], verbs[1]);
  if (verbs[0] == "info" && find_entry(program.package, "info") < 0)
    return fmt::print("{}", arguments.has("--json") ? info_json(program) : info_text(program));
  const uint64_t entry = entry_named(program.package, verbs[0]);
  check_isa(program.package);
  call_entry(program, entry, arguments);
}

}  // namespace
}  // namespace gmc::artifact

int main(int argc, char** argv) {
  using namespace gmc::artifact;
  const char* slash = argc > 0 ? std::strrchr(argv[0], '/') : nullptr;
  const char* name = slash ? slash + 1 : argc > 0 ? argv[0] : "program";
  int result = 0;
  try {
    const Program program{reinterpret_cast<const gmc::execute::Package*>(gmc_program_package),
                          gmc_program_functions,
                          gmc_program_weights,
                          gmc_program_weights_bytes,
                          gmc_program_libraries ? gmc_program_libraries() : nullptr,
                          argc > 0 ? argv[0] : name};
    dispatch(program, std::span(argv + 1, static_cast<size_t>(argc > 0 ? argc - 1 : 0)));
  } catch (const gmc::Error& e) {
    fmt::print(stderr, "{}: {}\n", name, gmc::printed(e));
    result = e.usage() ? 2 : 1;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "{}: out of memory\n", name);
    result = 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", name, gmc::printed(e));
    result = 1;
  }
  if (std::fflush(stdout) != 0 && result == 0) {
    fmt::print(stderr, "{}: cannot write to standard output: {}\n", name, std::strerror(errno));
    result = 1;
  }
  return result;
}
