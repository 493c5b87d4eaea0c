// gmc compile: artifacts.
#include "tools/gmc/command.h"

#include "compiler/graph/text.h"
#include "compiler/package/c_header.h"
#include "compiler/package/link.h"
#include "compiler/package/program_source.h"
#include "runtime/base/error.h"
#include "runtime/files/atomic_write.h"
#include "runtime/files/safetensors.h"

#include <filesystem>
#include <set>
#include <span>

namespace gmc::tool {
namespace {

struct ArtifactOptions {
  ModelOptions model;
  CompileOptions compile;
  RunOptions run;
  std::string weights, output, embed = "always", emit = "exe";
  std::vector<std::string> entries;
  bool json = false;
};

// What --emit can name, and the ending of its file when several are asked for.
constexpr std::pair<const char*, const char*> kinds[] = {
    {"exe", ""},         {"static-lib", ".a"},   {"obj", ".o"},         {"header", ".h"},
    {"graph", ".graph"}, {"plan", ".plan.json"}, {"kernel", ".kernel"}, {"llvm-ir", ".ll"},
    {"asm", ".s"},       {"package", ".gmx"}};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out(1);
  for (char c : list) {
    if (c == ',')
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

void write_text(const std::string& path, const std::string& text) {
  files::write_file_atomically(path, std::as_bytes(std::span(text)));
}

std::string weights_to_embed(const Model& model, const package::Compiled& compiled, const ArtifactOptions& o) {
  if (o.embed == "never") return {};
  TensorMap state = model.initial_state(o.run.seed);
  if (!o.weights.empty()) {
    const TensorMap given = load_weights(o.weights);
    std::string problems;
    for (const State& s : model.program->states()) {
      auto it = given.find(s.name);
      if (it == given.end()) {
        if (s.kind != StateKind::optimizer) problems += fmt::format("\n  '{}' is missing", s.name);
        continue;
      }
      if (it->second.dtype != s.dtype || it->second.shape != s.shape)
        problems += fmt::format("\n  '{}': expected {}{}, got {}{}", s.name, name_of(s.dtype), to_string(s.shape),
                                name_of(it->second.dtype), to_string(it->second.shape));
      state[s.name] = it->second;
    }
    if (!problems.empty()) fail("'{}' does not fit '{}':{}", o.weights, model.name(), problems);
  }
  // Only what the entries use: a sampler carries no optimiser state. And what an optimiser remembers starts at zero, as
  // absent state does.
  std::set<std::string> used;
  for (const auto& e : compiled.entries)
    for (const graph::Node& n : e.graph->nodes())
      if (n.op->category == graph::Category::input && n.text("role") == "state") used.insert(n.text("name"));
  for (const State& s : model.program->states()) {
    if (s.kind != StateKind::optimizer) continue;
    const auto& values = state.at(s.name).bytes;
    const bool zero = std::all_of(values.begin(), values.end(), [](std::byte b) { return b == std::byte{0}; });
    if (zero || !used.count(s.name)) state.erase(s.name);
  }
  const auto bytes = files::format_safetensors(state);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void emit(const std::string& kind, const std::string& path, const package::Compiled& compiled,
          const package::LinkOptions& link) {
  std::string text;
  if (kind == "exe") return package::link_executable(compiled, link, path);
  if (kind == "static-lib") return package::link_static_library(compiled, link, path);
  if (kind == "obj") return package::link_object(compiled, link, path);
  if (kind == "package") return write_text(path, compiled.package);
  if (kind == "header")
    return write_text(path, package::c_header(reinterpret_cast<const execute::Package*>(compiled.package.data()),
                                              package::c_identifier(compiled.name)));
  if (kind == "plan") return write_text(path, package::plans_json(compiled).dump(2) + "\n");
  for (const auto& e : compiled.entries) {
    if (kind == "graph") text += graph::print(*e.graph);
    if (kind == "kernel") text += package::print_kernels(e);
  }
  for (const auto& object : compiled.objects) {
    if (kind == "llvm-ir") text += object.llvm_ir;
    if (kind == "asm") text += object.assembly;
  }
  write_text(path, text);
}

void compile(const ArtifactOptions& o) {
  std::vector<std::pair<std::string, std::string>> wanted;  // kind, ending
  for (const std::string& name : split(o.emit)) {
    std::vector<std::string> all;
    for (const auto& [kind, ending] : kinds) all.emplace_back(kind);
    check_choice("artifact", name, all);
    auto it = std::find_if(std::begin(kinds), std::end(kinds), [&](const auto& k) { return name == k.first; });
    wanted.emplace_back(it->first, it->second);
  }
  if (o.embed != "always" && o.embed != "never") fail_usage("--embed-weights {}: expected always or never", o.embed);
  if (o.embed == "never" && !o.weights.empty())
    fail_usage("--embed-weights never: --weights is given to the program when it runs");
  const Model model = load(o.model);
  package::Options options = compile_options(o.compile);
  for (const auto& [kind, ending] : wanted) options.keep_text |= kind == "llvm-ir" || kind == "asm";
  const package::Compiled compiled = package::compile(source_of(model, o.entries), options);
  package::LinkOptions link;
  link.weights = weights_to_embed(model, compiled, o);
  nlohmann::ordered_json j{{"model", model.name()}, {"compile_ms", compiled.timing.total_ms}};
  for (const auto& [kind, ending] : wanted) {
    const std::string path = wanted.size() == 1 ? o.output : o.output + ending;
    emit(kind, path, compiled, link);
    std::error_code no_file;  // a device has no size
    const uintmax_t written = std::filesystem::file_size(path, no_file);
    const int64_t size = no_file ? 0 : static_cast<int64_t>(written);
    j["artifacts"].push_back({{"kind", kind}, {"path", path}, {"bytes", size}});
    if (!o.json)
      fmt::print("{}: {}, {}{}\n", path, kind, bytes_text(size),
                 kind == "exe" || kind == "static-lib"
                     ? fmt::format(" ({} of them weights)", bytes_text(static_cast<int64_t>(link.weights.size())))
                     : "");
  }
  if (o.json) fmt::print("{}\n", j.dump());
}

}  // namespace

void add_compile(CLI::App& app, int&) {
  auto o = std::make_shared<ArtifactOptions>();
  CLI::App* verb =
      app.add_subcommand("compile", "turn a model into a program or library that needs neither gmc nor LLVM");
  add_model_options(*verb, o->model);
  verb->add_option("-o", o->output, "where to; with several artifacts their endings are added")
      ->required()
      ->type_name("FILE");
  verb->add_option("--weights", o->weights, "safetensors to embed; without it the initial weights of --seed")
      ->type_name("FILE");
  verb->add_option("--embed-weights", o->embed, "always or never (then --weights is given when it runs)")
      ->capture_default_str();
  verb->add_option("--emit", o->emit,
                   "comma-separated: exe, static-lib, obj, header, package, graph, plan, kernel, llvm-ir, asm")
      ->capture_default_str();
  verb->add_option("--entry", o->entries, "only these entries; may be repeated")->allow_extra_args(false);
  verb->add_flag("--json", o->json, "print what was written as JSON");
  add_seed_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer(
      "\nExamples:\n  gmc compile vae-mlp --weights out/last.safetensors -o vae && ./vae sample -n 64 -o grid.png\n"
      "  gmc compile vae-mlp --entry step --emit static-lib,header -o vae        a training step for C programs\n"
      "  gmc compile vae-mlp --emit plan -o vae.plan.json                        a plan to edit, for --fusion-plan");
  verb->callback([o] { compile(*o); });
}

}  // namespace gmc::tool
