// The gmc command: one file per verb.
#include "compiler/dsl/nearest.h"
#include "runtime/base/error.h"
#include "runtime/base/terminal.h"
#include "tools/gmc/command.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace gmc::tool {
namespace {

constexpr const char* examples = R"(
Examples:
  gmc train vae-mlp --data glyphs --steps 700 --out out      train on drawn digits, writes out/last.safetensors
  gmc sample vae-mlp --weights out/last.safetensors -n 64 -o grid.png
  gmc compile vae-mlp --weights out/last.safetensors -o vae   one executable: ./vae --help
  gmc inspect vae-mlp --stage plan                            what was fused with what, and why
  gmc list models
`gmc VERB --help` explains a verb.)";

// What CLI11 says about words it does not know, with the nearest flag of the verb.
std::string text_of(const CLI::ParseError& e, const CLI::App* verb) {
  if (!verb || !dynamic_cast<const CLI::ExtrasError*>(&e)) return e.what();
  std::vector<std::string> flags;  // without their dashes, which all have in common
  for (const CLI::Option* option : verb->get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back(name);
    for (const std::string& name : option->get_snames()) flags.push_back(name);
  }
  for (const std::string& word : verb->remaining()) {
    if (word.size() < 2 || word[0] != '-') continue;
    const size_t begin = std::min(word.find_first_not_of('-'), word.size());
    const std::string near = nearest_name(word.substr(begin, word.find('=') - begin), flags);
    const char* dashes = near.size() == 1 ? "-" : "--";
    return fmt::format("unknown flag '{}'{}", word,
                       near.empty() ? "" : fmt::format(": did you mean '{}{}'?", dashes, near));
  }
  return e.what();
}

int run(int argc, char** argv) {
  CLI::App app{"gmc: a deep-learning framework with a graph compiler"};
  app.name("gmc");
  app.require_subcommand(1);
  app.set_version_flag("--version", GMC_VERSION);
  app.footer(examples);
  app.set_help_all_flag("--help-all", "help of every verb");
  int status = 0;
  for (auto add : {add_train, add_sample, add_eval, add_compile, add_run, add_verify, add_bench, add_inspect, add_list,
                   add_import})
    add(app, status);
  std::string about;
  CLI::App* help = app.add_subcommand("help", "explain a verb");
  help->add_option("verb", about, "the verb");
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands({})) verbs.push_back(verb->get_name());
  if (argc > 1 && argv[1][0] != '-' && std::find(verbs.begin(), verbs.end(), argv[1]) == verbs.end())
    fail_usage("{}", unknown_name("verb", argv[1], verbs));
  if (argc > 1 && argv[1][0] == '-' && argv[1] != std::string("-h")) {
    const std::vector<std::string> flags{"--help", "--help-all", "--version"};
    if (std::find(flags.begin(), flags.end(), argv[1]) == flags.end())
      fail_usage("{}", unknown_name("flag", argv[1], flags));
  }
  help->callback([&] {
    // App::help() would explain `help`, the verb that was chosen.
    const auto explain = [&](const CLI::App& what, const std::string& name) {
      fmt::print("{}", app.get_formatter()->make_help(&what, name, CLI::AppFormatMode::Normal));
    };
    if (about.empty()) return explain(app, "gmc");
    if (std::find(verbs.begin(), verbs.end(), about) == verbs.end())
      fail_usage("{}", unknown_name("verb", about, verbs));
    explain(*app.get_subcommand(about), "gmc " + about);
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    const auto chosen = app.get_subcommands();
    fmt::print(stderr, "gmc: error: {} (see `gmc{} --help`)\n", text_of(e, chosen.empty() ? nullptr : chosen[0]),
               chosen.empty() ? "" : " " + chosen[0]->get_name());
    return exit_usage;
  }
  return status;
}

}  // namespace
}  // namespace gmc::tool

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file at its size limit is an error of the write, like a full disk
  try {
    const int status = gmc::tool::run(argc, argv);
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
    fmt::print(stderr, "gmc: error: cannot write to standard output: {}\n", std::strerror(errno));
    return gmc::tool::exit_error;
  } catch (const gmc::Error& e) {
    // Errors in a model start with their place and are complete as they are.
    const std::string text = gmc::printed(e);
    const bool placed = text.find(": error: ") != std::string::npos;
    fmt::print(stderr, "{}{}\n", placed ? "" : "gmc: error: ", text);
    return e.usage() ? gmc::tool::exit_usage : gmc::tool::exit_error;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "gmc: error: out of memory\n");
    return gmc::tool::exit_error;
  } catch (const std::system_error& e) {
    fmt::print(stderr, "gmc: error: {}\n", gmc::printed(e));
    return gmc::tool::exit_error;
  } catch (const std::exception& e) {
    fmt::print(stderr, "gmc: internal error: {}\n", gmc::printed(e));
    return gmc::tool::exit_error;
  }
}
