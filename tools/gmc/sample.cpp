// gmc sample: generate.
#include "tools/gmc/command.h"

#include "runtime/base/error.h"
#include "runtime/data/prepare.h"
#include "tools/gmc/checkpoint.h"
#include "tools/gmc/result_file.h"

#include <cstring>

namespace gmc::tool {
namespace {

struct SampleOptions {
  ModelOptions model;
  CompileOptions compile;
  RunOptions run;
  std::string weights, output = "samples.png", entry = "sample";
  int64_t count = 64;
  bool json = false;
};

}  // namespace

HostTensor sample(package::Session& session, const std::string& entry_name, int64_t count, uint64_t seed) {
  const int entry = session.entry_index(entry_name);
  const auto outputs = session.outputs(entry);
  if (!session.inputs(entry).empty()) fail("entry '{}' has inputs; use `gmc run` to give them", entry_name);
  if (outputs.size() != 1 || outputs[0].type.shape.empty())
    fail("entry '{}' must have one output with a batch dimension", entry_name);
  const Shape& shape = outputs[0].type.shape;
  if (count < 1 || shape[0] < 1) fail_usage("-n {}: expected at least 1", count);
  Shape all = shape;
  all[0] = count;
  HostTensor out(outputs[0].type.dtype, all), batch(outputs[0].type.dtype, shape);
  const size_t row = batch.bytes.size() / static_cast<size_t>(shape[0]);
  for (int64_t call = 0, done = 0; done < count; ++call, done += shape[0]) {
    session.run(entry, {}, {batch.bytes.data()}, seed, static_cast<uint64_t>(call));
    std::memcpy(out.bytes.data() + static_cast<size_t>(done) * row, batch.bytes.data(),
                static_cast<size_t>(std::min(shape[0], count - done)) * row);
  }
  return out;
}

void add_sample(CLI::App& app, int&) {
  auto o = std::make_shared<SampleOptions>();
  CLI::App* verb = app.add_subcommand("sample", "generate samples with a model");
  add_model_options(*verb, o->model);
  verb->add_option("--weights", o->weights, "safetensors with the parameters; without it the initial ones of the seed")
      ->type_name("FILE");
  verb->add_option("-n", o->count, "how many")->capture_default_str();
  verb->add_option("-o", o->output, "where to: .png (a grid of images), .npy or .txt")
      ->capture_default_str()
      ->type_name("FILE");
  verb->add_option("--entry", o->entry, "the entry that samples")->capture_default_str();
  verb->add_flag("--json", o->json, "print what was done as JSON");
  add_seed_option(*verb, o->run);
  add_threads_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer("\nExample: gmc sample vae-mlp --weights out/last.safetensors -n 64 --seed 1 -o grid.png");
  verb->callback([o] {
    check_result_file(o->output);
    const Model model = load(o->model);
    package::Session session(package::compile(source_of(model, {o->entry}), compile_options(o->compile)),
                             session_options(o->run));
    set_weights(session, model, o->weights, o->run.seed);
    const auto vocabulary = vocabulary_of(o->weights);
    const HostTensor samples = sample(session, o->entry, o->count, o->run.seed);
    const data::Prepare prepare = data::Prepare::parse(model.field("prepare"));
    write_result(o->output, samples, {prepare.low, prepare.high, vocabulary ? &*vocabulary : nullptr});
    if (o->json)
      fmt::print("{}\n",
                 nlohmann::ordered_json{
                     {"output", o->output}, {"samples", o->count}, {"shape", samples.shape}, {"seed", o->run.seed}}
                     .dump());
    else
      fmt::print("{} samples of shape {} in {}\n", o->count,
                 to_string(Shape(samples.shape.begin() + 1, samples.shape.end())), o->output);
  });
}

}  // namespace gmc::tool
