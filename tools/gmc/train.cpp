// gmc train: the training loop around the compiled step.
#include "tools/gmc/command.h"

#include "compiler/package/program_source.h"
#include "runtime/base/error.h"
#include "runtime/files/atomic_write.h"
#include "runtime/files/dataset.h"
#include "runtime/files/safetensors.h"
#include "tools/gmc/progress.h"
#include "tools/gmc/result_file.h"
#include "tools/gmc/stop.h"

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>
#include <sstream>

namespace gmc::tool {
namespace {

constexpr uint64_t validation_seed = 1234;
constexpr int validation_batches = 20;

struct TrainOptions {
  ModelOptions model;
  CompileOptions compile;
  RunOptions run;
  std::string data, out = "out", resume;
  int64_t steps = 0, epochs = 0, checkpoint_every = 1000, sample_every = 0;
  bool json = false, quiet = false;
};

// Which input of an entry is the data, and room for a batch of it. Draws are not fed, so there is nothing else.
class Batch {
public:
  Batch(const package::Session& session, int entry, const std::string& name) {
    const auto inputs = session.inputs(entry);
    if (inputs.size() != 1 || inputs[0].type.dtype != DType::f32)
      fail("entry '{}' must have one f32 input to be trained from a data set", name);
    values_ = HostTensor(inputs[0].type.dtype, inputs[0].type.shape);
    if (values_.shape.empty() || values_.shape[0] < 1)
      fail("input '{}' of entry '{}' has no batch dimension", inputs[0].name, name);
  }
  void draw(const files::Dataset& data, bool validate, uint64_t seed, uint64_t step) {
    files::draw_batch(data, validate, seed, step, values_.shape, values_.as<float>());
  }
  const void* data() const { return values_.bytes.data(); }
  int64_t size() const { return values_.shape[0]; }

private:
  HostTensor values_;
};

// Room for the scalar outputs of an entry.
class Scalars {
public:
  Scalars(const package::Session& session, int entry) {
    for (const auto& slot : session.outputs(entry)) {
      names_.push_back(slot.name);
      tensors_.emplace_back(slot.type.dtype, slot.type.shape);
    }
    for (HostTensor& t : tensors_) pointers_.push_back(t.bytes.data());
  }
  const std::vector<void*>& pointers() const { return pointers_; }
  // (name, value) of what is one f32.
  std::vector<std::pair<std::string, double>> values() const {
    std::vector<std::pair<std::string, double>> out;
    for (size_t i = 0; i < names_.size(); ++i)
      if (tensors_[i].dtype == DType::f32 && tensors_[i].count() == 1)
        out.emplace_back(names_[i], tensors_[i].as<float>()[0]);
    return out;
  }

private:
  std::vector<std::string> names_;
  std::vector<HostTensor> tensors_;
  std::vector<void*> pointers_;
};

class Trainer {
public:
  explicit Trainer(const TrainOptions& o) : o_(o), data_(files::load_dataset(o.data)), model_(load(o.model)) {
    for (const Entry& e : model_.program->entries()) {
      has_eval_ |= e.name == "eval";
      has_sample_ |= e.name == "sample";
    }
    const package::Compiled compiled = package::compile(source_of(model_), compile_options(o.compile));
    session_ = std::make_unique<package::Session>(compiled, session_options(o.run));
    compile_ms_ = compiled.timing.total_ms;
    step_entry_ = session_->entry_index("step");
    std::error_code problem;
    std::filesystem::create_directories(o.out, problem);
    if (problem) fail("cannot make the folder '{}': {}", o.out, problem.message());
    set_weights(*session_, model_, "", o.run.seed);
    if (!o.resume.empty()) resume();
  }

  void run() {
    Batch batch(*session_, step_entry_, "step");
    Scalars results(*session_, step_entry_);
    const int64_t steps =
        o_.epochs > 0 ? o_.epochs * ((data_.train_count + batch.size() - 1) / batch.size()) : o_.steps;
    if (!o_.quiet && !o_.json)
      fmt::print("{} ({}): {} parameters, {} state, {} planned memory; compiled in {:.0f} ms; {} threads\n{}: {} "
                 "train, {} validate\n",
                 model_.name(), model_.size, parameter_count(), bytes_text(session_->state_bytes()),
                 bytes_text(session_->arena_bytes()), compile_ms_, session_->threads(), data_.kind, data_.train_count,
                 data_.images.shape[0] - data_.train_count);
    const StopSignals stop;
    Progress progress(steps, first_step_, !o_.quiet && !o_.json);
    const auto begin = std::chrono::steady_clock::now();
    int64_t step = first_step_;
    for (; step < steps && !stop.requested(); ++step) {
      batch.draw(data_, false, o_.run.seed, static_cast<uint64_t>(step));
      session_->run(step_entry_, {batch.data()}, results.pointers(), o_.run.seed, static_cast<uint64_t>(step));
      last_ = results.values();
      record(step);
      progress.show(step + 1, last_);
      if (o_.checkpoint_every > 0 && (step + 1) % o_.checkpoint_every == 0 && step + 1 < steps) save(step + 1);
      if (o_.sample_every > 0 && (step + 1) % o_.sample_every == 0)
        draw_samples(fmt::format("samples-{}.png", step + 1));
    }
    progress.finish();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    save(step);
    if (has_sample_) draw_samples("samples.png");
    report(step, steps, seconds, stop.requested());
  }

private:
  int64_t parameter_count() const {
    int64_t count = 0;
    for (const State& s : model_.program->states())
      if (s.kind == StateKind::parameter) count += element_count(s.shape);
    return count;
  }

  void resume() {
    files::Metadata metadata;
    const TensorMap state = files::load_safetensors(o_.resume, &metadata);
    try {
      session_->set_state(state, true);
    } catch (const Error& e) {
      fail("'{}': {}", o_.resume, e.what());
    }
    auto number = [&](const char* key) -> uint64_t {
      auto it = metadata.find(key);
      if (it == metadata.end()) fail("'{}' is no checkpoint of gmc: its metadata lack '{}'", o_.resume, key);
      const std::string& text = it->second;
      uint64_t value = 0;
      const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (problem != std::errc() || end != text.data() + text.size())
        fail("'{}': metadata '{}': expected a number, got '{}'", o_.resume, key, text);
      return value;
    };
    first_step_ = static_cast<int64_t>(number("step"));
    if (number("seed") != o_.run.seed)
      fail("'{}' was trained with --seed {}, not {}", o_.resume, number("seed"), o_.run.seed);
    const std::string plan = fmt::format("{:016x}", session_->plan_hash());
    if (metadata["plan"] != plan)
      fail("'{}' was trained under plan {}, this is plan {}: use the same configuration, --policy, --fusion-plan and "
           "--lib",
           o_.resume, metadata["plan"], plan);
    resume_metrics();
  }

  // The lines of metrics.csv beside the checkpoint that are from before it.
  void resume_metrics() {
    const auto beside = std::filesystem::path(o_.resume).parent_path() / "metrics.csv";
    if (!std::filesystem::exists(beside)) return;
    std::istringstream lines(read_text(beside.string()));
    for (std::string line; std::getline(lines, line);) {
      int64_t step = -1;  // of the heading
      std::from_chars(line.data(), line.data() + line.size(), step);
      if (step < first_step_) metrics_ += line + '\n';
    }
  }

  void record(int64_t step) {
    if (metrics_.empty()) {
      metrics_ = "step";
      for (const auto& [name, value] : last_) metrics_ += "," + name;
      metrics_ += '\n';
    }
    metrics_ += fmt::format("{}", step);
    for (const auto& [name, value] : last_) {
      metrics_ += fmt::format(",{}", static_cast<float>(value));
      if (!std::isfinite(value))
        fail("{} is {} at step {}: the last checkpoint in '{}' is from before; a smaller learning rate may help", name,
             value, step, o_.out);
    }
    metrics_ += '\n';
  }

  void save(int64_t step) {
    files::Metadata metadata{{"format", "gmc"},
                             {"model", model_.name()},
                             {"size", model_.size},
                             {"config", model_.config_json()},
                             {"step", std::to_string(step)},
                             {"seed", std::to_string(o_.run.seed)},
                             {"plan", fmt::format("{:016x}", session_->plan_hash())}};
    files::save_safetensors(o_.out + "/last.safetensors", session_->state(), metadata);
    files::write_file_atomically(o_.out + "/metrics.csv", std::as_bytes(std::span(metrics_)));
  }

  void draw_samples(const std::string& name) {
    const HostTensor samples = sample(*session_, "sample", 64, o_.run.seed);
    write_result(o_.out + "/" + name, samples);
  }

  double validate() {
    const int entry = session_->entry_index("eval");
    Batch batch(*session_, entry, "eval");
    Scalars results(*session_, entry);
    double sum = 0;
    for (int i = 0; i < validation_batches; ++i) {
      batch.draw(data_, true, validation_seed, static_cast<uint64_t>(i));
      session_->run(entry, {batch.data()}, results.pointers(), validation_seed, static_cast<uint64_t>(i));
      if (results.values().empty()) fail("entry 'eval' has no scalar output");
      sum += results.values()[0].second;
    }
    return sum / validation_batches;
  }

  void report(int64_t step, int64_t steps, double seconds, bool stopped) {
    nlohmann::ordered_json j{{"model", model_.name()}, {"size", model_.size}, {"data", o_.data},
                             {"steps", step},          {"seed", o_.run.seed}, {"seconds", seconds}};
    for (const auto& [name, value] : last_) j[name] = value;
    if (has_eval_) j["validation"] = validate();
    j["checkpoint"] = o_.out + "/last.safetensors";
    if (o_.json) {
      fmt::print("{}\n", j.dump());
      return;
    }
    if (stopped) fmt::print("stopped at step {} of {}; go on with --resume {}/last.safetensors\n", step, steps, o_.out);
    if (has_eval_)
      fmt::print("validation loss {:.4f} (mean of {} batches)\n", j["validation"].get<double>(), validation_batches);
    fmt::print("{} steps in {:.1f} s; wrote {}/last.safetensors, metrics.csv{}\n", step - first_step_, seconds, o_.out,
               has_sample_ ? ", samples.png" : "");
  }

  const TrainOptions& o_;
  files::Dataset data_;
  Model model_;
  std::unique_ptr<package::Session> session_;
  double compile_ms_ = 0;
  int step_entry_ = 0;
  int64_t first_step_ = 0;
  bool has_eval_ = false, has_sample_ = false;
  std::vector<std::pair<std::string, double>> last_;
  std::string metrics_;
};

}  // namespace

void add_train(CLI::App& app, int&) {
  auto o = std::make_shared<TrainOptions>();
  CLI::App* verb = app.add_subcommand("train", "train a model on a data set");
  add_model_options(*verb, o->model);
  std::string kinds;
  for (const auto& kind : files::dataset_kinds()) kinds += fmt::format("\n  {:<10} {}", kind.name, kind.help);
  verb->add_option("--data", o->data, "KIND:PATH; kinds are listed below")->required()->type_name("KIND[:PATH]");
  auto* steps = verb->add_option("--steps", o->steps, "how many training steps")->check(CLI::NonNegativeNumber);
  verb->add_option("--epochs", o->epochs, "or how many times the size of the training part")
      ->check(CLI::PositiveNumber)
      ->excludes(steps);
  verb->add_option("--out", o->out, "folder for last.safetensors, metrics.csv and samples.png")
      ->capture_default_str()
      ->type_name("DIR");
  verb->add_option("--resume", o->resume, "go on from this checkpoint, to the same bits as without the break")
      ->type_name("FILE");
  verb->add_option("--checkpoint-every", o->checkpoint_every, "steps between checkpoints; 0: only at the end")
      ->capture_default_str();
  verb->add_option("--sample-every", o->sample_every, "steps between sample grids; 0: only at the end")
      ->capture_default_str();
  verb->add_flag("--json", o->json, "print the result as one JSON object");
  verb->add_flag("-q,--quiet", o->quiet, "no progress");
  add_seed_option(*verb, o->run);
  add_threads_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer(
      "\nData:" + kinds +
      "\n\nExamples:\n  gmc train vae-mlp --data glyphs --steps 700 --out out\n  gmc train vae-mlp --data "
      "mnist:data/mnist --epochs 10 --seed 1\n"
      "  gmc train ./my-model.cpp --data npy:images.npy --steps 1000 --set h=512\nCtrl-C finishes the step, "
      "saves and ends with status 0; a second one ends at once.\n--resume also continues the metrics.csv beside "
      "the checkpoint.");
  verb->callback([o] {
    if (o->steps == 0 && o->epochs == 0) fail_usage("how long? give --steps N or --epochs N");
    Trainer(*o).run();
  });
}

}  // namespace gmc::tool
