// gmc run: one call of one entry, inputs and outputs as files.
#include "tools/gmc/command.h"

#include "compiler/dsl/nearest.h"
#include "runtime/base/error.h"
#include "runtime/files/npy.h"
#include "runtime/files/safetensors.h"
#include "tools/gmc/result_file.h"

namespace gmc::tool {
namespace {

struct EntryOptions {
  ModelOptions model;
  CompileOptions compile;
  RunOptions run;
  std::string entry, weights, save;
  std::vector<std::string> inputs, outputs;
  uint64_t step = 0;
  bool feed_draws = false;
};

std::pair<std::string, std::string> split(const std::string& text, const char* flag) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) fail_usage("{} {}: expected NAME=FILE", flag, text);
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void run(const EntryOptions& given) {
  EntryOptions o = given;
  const Model model = load(o.model);
  if (o.entry.empty()) {
    if (model.program->entries().size() != 1) fail_usage("--entry: '{}' has several entries", model.name());
    o.entry = model.program->entries()[0].name;
  }
  package::Session session(package::compile(source_of(model, {o.entry}, o.feed_draws), compile_options(o.compile)),
                           session_options(o.run));
  set_weights(session, model, o.weights, o.run.seed);
  const int entry = session.entry_index(o.entry);
  std::vector<std::string> names;
  for (const auto& slot : session.inputs(entry)) names.push_back(slot.name);
  TensorMap inputs;
  for (const std::string& text : o.inputs) {
    const auto [name, file] = split(text, "--input");
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail_usage("{}", unknown_name("input", name, names));
    inputs[name] = files::load_npy(file);
  }
  std::map<std::string, std::string> wanted;
  for (const std::string& text : o.outputs) wanted.insert(split(text, "--output"));
  std::vector<std::string> results;
  for (const auto& slot : session.outputs(entry)) results.push_back(slot.name);
  for (const auto& [name, file] : wanted) {
    if (std::find(results.begin(), results.end(), name) == results.end())
      fail_usage("{}", unknown_name("output", name, results));
    check_result_file(file);
  }
  const TensorMap outputs = session.run(o.entry, inputs, o.run.seed, o.step);
  for (const auto& [name, tensor] : outputs) {
    if (auto it = wanted.find(name); it != wanted.end())
      write_result(it->second, tensor);
    else if (tensor.dtype == DType::f32 && tensor.count() == 1)
      fmt::print("{} {}\n", name, tensor.as<float>()[0]);
    else
      fmt::print("{} {}{}\n", name, name_of(tensor.dtype), to_string(tensor.shape));
  }
  if (!o.save.empty()) files::save_safetensors(o.save, session.state());
}

}  // namespace

void add_run(CLI::App& app, int&) {
  auto o = std::make_shared<EntryOptions>();
  CLI::App* verb = app.add_subcommand("run", "run one entry of a model once");
  add_model_options(*verb, o->model);
  verb->add_option("--entry", o->entry, "which entry, such as eval; may be left out if there is one");
  verb->add_option("--input", o->inputs, "an input of the entry; may be repeated")
      ->type_name("NAME=FILE.npy")
      ->allow_extra_args(false);
  verb->add_option("--output", o->outputs, "where an output goes (.npy, .png, .txt); others are printed or named")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  verb->add_option("--weights", o->weights, "safetensors with the parameters")->type_name("FILE");
  verb->add_option("--save", o->save, "write the state after the call")->type_name("FILE");
  verb->add_option("--step", o->step, "number of the call, for draws")->capture_default_str();
  verb->add_flag("--feed-draws", o->feed_draws, "draws become inputs of the entry, to be given with --input");
  add_seed_option(*verb, o->run);
  add_threads_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer("\nExample: gmc run vae-mlp --entry eval --input x=batch.npy --weights out/last.safetensors");
  verb->callback([o] { run(*o); });
}

}  // namespace gmc::tool
