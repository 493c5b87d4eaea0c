// gmc run: one call of one entry, inputs and outputs as files.
#include "tools/gmc/command.h"

#include "compiler/dsl/nearest.h"
#include "runtime/base/error.h"
#include "runtime/data/prepare.h"
#include "runtime/files/npy.h"
#include "runtime/files/safetensors.h"
#include "tools/gmc/batches.h"
#include "tools/gmc/checkpoint.h"
#include "tools/gmc/data_options.h"
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
  bool feed_draws = false, ema = false;
  DataOptions data;
  std::string part = "validate";
  int64_t count = 64;
};

std::pair<std::string, std::string> split(const std::string& text, const char* flag) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) fail_usage("{} {}: expected NAME=FILE", flag, text);
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// The entry on the first samples of a part: outputs with a batch dimension hold a row a sample, of others the last
// call's is given.
TensorMap on_data(package::Session& session, const EntryOptions& o, const data::Dataset& data) {
  if (!o.inputs.empty()) fail_usage("--data and --input exclude each other");
  const int entry = session.entry_index(o.entry);
  const std::vector<data::Slot> slots = slots_of(session, entry, o.entry);
  const data::Part part = o.part == "train" ? data::Part::train : data::Part::validate;
  const int64_t batch = slots[0].shape[0], all = data.epoch(part, slots);
  const int64_t count = all == 0 ? o.count : std::min(o.count, all);
  Batches batches(data, slots, {part, data::Order::sequential, o.run.seed, 0});
  TensorMap out;
  for (int64_t done = 0; done < count; done += batch) {
    const auto call = static_cast<uint64_t>(done / batch);
    TensorMap inputs;
    const auto& from = batches.at(call);
    for (size_t i = 0; i < slots.size(); ++i) {
      HostTensor t(slots[i].dtype, slots[i].shape);
      std::copy_n(static_cast<const std::byte*>(from[i]), t.bytes.size(), t.bytes.data());
      inputs[slots[i].name] = std::move(t);
    }
    for (auto& [name, now] : session.run(o.entry, inputs, o.run.seed, o.step + call)) {
      HostTensor& whole = out[name];
      const bool rows = !now.shape.empty() && now.shape[0] == batch;
      if (done == 0 || !rows) {
        whole = std::move(now);
      } else {
        whole.bytes.insert(whole.bytes.end(), now.bytes.begin(), now.bytes.end());
        whole.shape[0] += batch;
      }
      if (!rows || done + batch < count) continue;
      whole.shape[0] = count;
      whole.bytes.resize(static_cast<size_t>(byte_size(whole.dtype, whole.shape)));
    }
  }
  return out;
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
  set_weights(session, model, o.weights, o.run.seed, o.ema);
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
  check_choice("part", o.part, {"train", "validate"});
  const TensorMap outputs = o.data.spec.empty() ? session.run(o.entry, inputs, o.run.seed, o.step)
                                                : on_data(session, o, *load_data(o.data, model));
  const auto vocabulary = vocabulary_of(metadata_of(o.weights), o.weights);
  const data::Prepare prepare = data::Prepare::parse(prepare_of(o.data, model));
  for (const auto& [name, tensor] : outputs) {
    if (auto it = wanted.find(name); it != wanted.end())
      write_result(it->second, tensor, {prepare.low, prepare.high, vocabulary ? &*vocabulary : nullptr});
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
  CLI::App* verb = app.add_subcommand("run", "run one entry of a model: once, or on samples of a data set");
  add_model_options(*verb, o->model);
  verb->add_option("--entry", o->entry, "which entry, such as eval; may be left out if there is one");
  verb->add_option("--input", o->inputs, "an input of the entry; may be repeated")
      ->type_name("NAME=FILE.npy")
      ->allow_extra_args(false);
  verb->add_option("--output", o->outputs, "where an output goes (.npy, .png, .txt); others are printed or named")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  add_weights_options(*verb, o->weights, o->ema);
  add_data_options(*verb, o->data, false);
  verb->add_option("--part", o->part, "of --data: train or validate")->capture_default_str();
  verb->add_option("-n", o->count, "how many samples of --data, or all if there are fewer")
      ->check(at_least(1))
      ->capture_default_str();
  verb->add_option("--save", o->save, "write the state after the call")->type_name("FILE");
  verb->add_option("--step", o->step, "number of the call, for draws")->check(unsigned_number())->capture_default_str();
  verb->add_flag("--feed-draws", o->feed_draws, "draws become inputs of the entry, to be given with --input");
  add_seed_option(*verb, o->run);
  add_threads_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer("\nExamples:\n  gmc run vae-mlp --entry eval --input x=batch.npy --weights out/last.safetensors\n  gmc "
               "run vae-mlp "
               "--entry reconstruct --data glyphs --weights out/last.safetensors --output reconstruction=r.png");
  verb->callback([o] { run(*o); });
}

}  // namespace gmc::tool
