// gmc sample: generate.
#include "tools/gmc/command.h"

#include "runtime/base/error.h"
#include "runtime/data/prepare.h"
#include "tools/gmc/checkpoint.h"
#include "tools/gmc/data_options.h"
#include "tools/gmc/result_file.h"
#include "tools/gmc/writing.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>

namespace gmc::tool {
namespace {

struct SampleOptions {
  ModelOptions model;
  CompileOptions compile;
  RunOptions run;
  DataOptions data;
  std::string weights, output, entry;
  std::optional<std::string> prompt;
  int64_t count = 0, length = 0, interpolate = 0;
  bool json = false, ema = false;
};

// Values lie where those of the data did that the model was trained on.
View view_of(const SampleOptions& o, const Model& model, const files::Metadata& metadata,
             const std::optional<data::Vocabulary>& vocabulary) {
  const std::optional<std::string> trained = o.data.prepare ? std::nullopt : preparation_of(metadata);
  const data::Prepare prepare = data::Prepare::parse(trained ? *trained : prepare_of(o.data, model));
  return {prepare.low, prepare.high, vocabulary ? &*vocabulary : nullptr};
}

void say_written(const SampleOptions& o, const HostTensor& samples) {
  const int64_t count = samples.shape[0];
  if (o.json)
    fmt::print(
        "{}\n",
        nlohmann::ordered_json{{"output", o.output}, {"samples", count}, {"shape", samples.shape}, {"seed", o.run.seed}}
            .dump());
  else
    fmt::print("{} samples of shape {} in {}\n", count,
               to_string(Shape(samples.shape.begin() + 1, samples.shape.end())), o.output);
}

// Texts, printed symbol by symbol unless they go into a file.
void write_texts(package::Session& session, const SampleOptions& o, const View& view) {
  Writer writer(session, o.entry, *view.vocabulary, o.prompt ? &*o.prompt : nullptr, o.length);
  const bool print = o.output.empty() || o.output == "-";
  std::vector<int64_t> all;
  for (int64_t i = 0; i < o.count; ++i) {
    const std::vector<int64_t> text = writer.write(o.run.seed, static_cast<uint64_t>(i), print);
    all.insert(all.end(), text.begin(), text.end());
  }
  if (print) return;
  HostTensor texts(DType::i64, {o.count, std::ssize(all) / o.count});
  std::copy(all.begin(), all.end(), texts.as<int64_t>());
  write_result(o.output, texts, view);
  say_written(o, texts);
}

// Prints what each call gives as soon as it is there.
void print_samples(package::Session& session, const SampleOptions& o, const View& view) {
  const int64_t rows = session.outputs(session.entry_index(o.entry))[0].type.shape[0];
  for (int64_t done = 0; done < o.count; done += rows) {
    HostTensor now = sample(session, o.entry, rows, o.run.seed, done / rows);
    now.shape[0] = std::min(rows, o.count - done);
    now.bytes.resize(static_cast<size_t>(byte_size(now.dtype, now.shape)));
    fmt::print("{}", text_of(now, view));
    std::fflush(stdout);
  }
}

// One output of an entry for one input, in calls of the entry's batch; what is over in the last one repeats row 0.
HostTensor mapped(package::Session& session, const std::string& name, const HostTensor& rows) {
  const int entry = session.entry_index(name);
  const auto inputs = session.inputs(entry), outputs = session.outputs(entry);
  if (inputs.size() != 1 || outputs.size() != 1 || inputs[0].type.dtype != DType::f32 ||
      outputs[0].type.dtype != DType::f32 || inputs[0].type.shape.empty() || outputs[0].type.shape.empty() ||
      inputs[0].type.shape[0] != outputs[0].type.shape[0])
    fail("entry '{}' must have one f32 input [B, ...] and one f32 output [B, ...]", name);
  const int64_t batch = inputs[0].type.shape[0], count = rows.shape[0],
                size = element_count(inputs[0].type.shape) / batch;
  if (rows.count() != count * size)
    fail("entry '{}' takes {}, got {}", name, to_string(inputs[0].type.shape), to_string(rows.shape));
  Shape all = outputs[0].type.shape;
  all[0] = count;
  HostTensor out(DType::f32, all), x(DType::f32, inputs[0].type.shape), y(DType::f32, outputs[0].type.shape);
  const int64_t row = y.count() / batch;
  for (int64_t done = 0; done < count; done += batch) {
    for (int64_t b = 0; b < batch; ++b)
      std::copy_n(rows.as<float>() + (done + b < count ? done + b : 0) * size, size, x.as<float>() + b * size);
    session.run(entry, {x.bytes.data()}, {y.bytes.data()}, 0, 0);
    std::copy_n(y.as<float>(), std::min(batch, count - done) * row, out.as<float>() + done * row);
  }
  return out;
}

// n rows of n images: from one held-out sample to another, along the line between their codes.
HostTensor interpolation(package::Session& session, const SampleOptions& o, const Model& model) {
  if (o.data.spec.empty()) fail_usage("--interpolate: expected --data to go between");
  const auto data = load_data(o.data, model);
  const int64_t n = o.interpolate;
  Shape shape = session.inputs(session.entry_index("encode")).at(0).type.shape;
  if (shape.empty()) fail("entry 'encode' has no input with a batch dimension");
  shape[0] = 2 * n;
  HostTensor ends(DType::f32, shape);
  data->draw({data::Part::validate, data::Order::shuffled, o.run.seed, 0}, {{"x", DType::f32, shape}},
             {ends.bytes.data()});
  const HostTensor codes = mapped(session, "encode", ends);
  Shape between = codes.shape;
  between[0] = n * n;
  HostTensor line(DType::f32, between);
  const int64_t size = codes.count() / codes.shape[0];
  for (int64_t pair = 0; pair < n; ++pair)
    for (int64_t k = 0; k < n; ++k)
      for (int64_t i = 0; i < size; ++i) {
        const float t = n == 1 ? 0 : static_cast<float>(k) / static_cast<float>(n - 1);
        const float *a = codes.as<float>() + 2 * pair * size, *b = a + size;
        line.as<float>()[(pair * n + k) * size + i] = (1 - t) * a[i] + t * b[i];
      }
  return mapped(session, "decode", line);
}

void run(const SampleOptions& given) {
  SampleOptions o = given;
  if (o.entry.empty()) o.entry = o.prompt ? "continue" : "sample";
  if (o.count > 0 && o.interpolate > 0) fail_usage("-n and --interpolate exclude each other");
  if (!o.data.spec.empty() && o.interpolate == 0) fail_usage("--data: expected --interpolate, which reads it");
  if (o.count == 0) o.count = o.prompt ? 1 : 64;
  if (o.length > 0 && !o.prompt) fail_usage("--length: expected --prompt to begin with");
  if (o.prompt && o.interpolate > 0) fail_usage("--prompt and --interpolate exclude each other");
  if (!o.output.empty() && o.output != "-") check_result_file(o.output);
  const Model model = load(o.model);
  const std::vector<std::string> entries =
      o.interpolate > 0 ? std::vector<std::string>{"encode", "decode"} : std::vector<std::string>{o.entry};
  const auto require = [&](const char* flag, const char* entry, const char* what) {
    const auto& all = model.program->entries();
    if (std::ranges::find(all, entry, &Entry::name) == all.end())
      fail_usage("{}: '{}' has no entry '{}', which {}", flag, model.name(), entry, what);
  };
  if (o.prompt && given.entry.empty()) require("--prompt", "continue", "goes on with a text");
  if (o.interpolate > 0) require("--interpolate", "encode", "gives the code of an image");
  if (o.interpolate > 0) require("--interpolate", "decode", "gives the image of a code");
  package::Session session(package::compile(source_of(model, entries), compile_options(o.compile)),
                           session_options(o.run));
  set_weights(session, model, o.weights, o.run.seed, o.ema);
  const files::Metadata metadata = metadata_of(o.weights);
  const auto vocabulary = vocabulary_of(metadata, o.weights);
  const View view = view_of(o, model, metadata, vocabulary);
  if (o.prompt && !vocabulary)
    fail("--prompt: no vocabulary to read it with: expected --weights of `gmc train` on symbols");
  const auto refuse_json = [&] {
    if (o.json) fail_usage("--json: what is printed is text; expected -o FILE");
  };
  if (o.prompt) {
    if (o.output.empty() || o.output == "-") refuse_json();
    return write_texts(session, o, view);
  }
  const bool symbols = o.interpolate == 0 && sample_type(session, o.entry).dtype == DType::i64;
  const bool print = o.output == "-" || (o.output.empty() && symbols && vocabulary);
  if (print) refuse_json();
  if (print && symbols && vocabulary && writes_a_text(session, o.entry)) return write_texts(session, o, view);
  if (print) return print_samples(session, o, view);
  const HostTensor samples =
      o.interpolate > 0 ? interpolation(session, o, model) : sample(session, o.entry, o.count, o.run.seed);
  if (o.output.empty()) o.output = "samples" + suitable_ending(samples);
  write_result(o.output, samples, view);
  say_written(o, samples);
}

}  // namespace

graph::TensorType sample_type(const package::Session& session, const std::string& entry_name) {
  const int entry = session.entry_index(entry_name);
  const auto outputs = session.outputs(entry);
  if (!session.inputs(entry).empty()) fail("entry '{}' has inputs; use `gmc run` to give them", entry_name);
  if (outputs.size() != 1 || outputs[0].type.shape.empty())
    fail("entry '{}' must have one output with a batch dimension", entry_name);
  return outputs[0].type;
}

HostTensor sample(package::Session& session, const std::string& entry_name, int64_t count, uint64_t seed,
                  int64_t first) {
  const int entry = session.entry_index(entry_name);
  const graph::TensorType type = sample_type(session, entry_name);
  const Shape& shape = type.shape;
  if (count < 1 || shape[0] < 1) fail_usage("-n {}: expected at least 1", count);
  Shape all = shape;
  all[0] = count;
  HostTensor out(type.dtype, all), batch(type.dtype, shape);
  const size_t row = batch.bytes.size() / static_cast<size_t>(shape[0]);
  for (int64_t call = 0, done = 0; done < count; ++call, done += shape[0]) {
    session.run(entry, {}, {batch.bytes.data()}, seed, static_cast<uint64_t>(first + call));
    std::memcpy(out.bytes.data() + static_cast<size_t>(done) * row, batch.bytes.data(),
                static_cast<size_t>(std::min(shape[0], count - done)) * row);
  }
  return out;
}

void add_sample(CLI::App& app, int&) {
  auto o = std::make_shared<SampleOptions>();
  CLI::App* verb = app.add_subcommand("sample", "generate samples with a model");
  add_model_options(*verb, o->model);
  add_weights_options(*verb, o->weights, o->ema);
  verb->add_option("-n", o->count, "how many [64; of a prompt 1]")->check(at_least(1))->type_name("N");
  verb->add_option("--prompt", o->prompt, "a text that the model goes on with, by its entry continue")
      ->type_name("TEXT");
  verb->add_option("-o", o->output,
                   "where to: .png (a grid of images, or points), .npy or .txt; - prints them as they are made, which "
                   "is what happens to symbols if it is left out [samples.png or samples.npy]")
      ->type_name("FILE");
  verb->add_option("--length", o->length,
                   "symbols of a text that begins with --prompt, more than the entry makes, too: it goes on from the "
                   "last half of them [as many as it makes]")
      ->check(at_least(1))
      ->type_name("N");
  verb->add_option("--entry", o->entry, "the entry that samples [sample, or continue]")->type_name("NAME");
  verb->add_option("--interpolate", o->interpolate,
                   "N rows of N images between held-out samples of --data, by the entries encode and decode")
      ->check(CLI::Range(1, 64))
      ->type_name("N");
  add_data_options(*verb, o->data, false);
  verb->add_flag("--json", o->json, "print what was done as JSON");
  add_seed_option(*verb, o->run);
  add_threads_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer("\nExamples:\n  gmc sample vae-mlp --weights out/last.safetensors -n 64 --seed 1 -o grid.png\n  gmc "
               "sample vae-mlp "
               "--weights out/last.safetensors --interpolate 8 --data glyphs -o between.png\n  gmc sample ar-gpt "
               "--weights out/last.safetensors --prompt 'ROMEO:' --length 500 --set temperature=0.8 --set top_k=20");
  verb->callback([o] { run(*o); });
}

}  // namespace gmc::tool
