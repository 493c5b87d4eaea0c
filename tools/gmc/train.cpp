// gmc train: the training loop around the compiled step.
#include "tools/gmc/command.h"

#include "compiler/package/program_source.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"
#include "tools/gmc/batches.h"
#include "tools/gmc/blame.h"
#include "tools/gmc/checkpoint.h"
#include "tools/gmc/data_options.h"
#include "tools/gmc/progress.h"
#include "tools/gmc/scalars.h"
#include "tools/gmc/stop.h"
#include "tools/gmc/train_output.h"

#include <chrono>
#include <cmath>

namespace gmc::tool {
namespace {

constexpr uint64_t validation_seed = 1234;
constexpr int validation_batches = 20;
constexpr int64_t pictures = 64, texts = 4, points = 4096;

struct TrainOptions {
  ModelOptions model;
  CompileOptions compile;
  RunOptions run;
  DataOptions data;
  std::string out = "out", resume, weights;
  int64_t steps = 0, epochs = 0, checkpoint_every = 1000, sample_every = 0, eval_every = 0;
  bool json = false, quiet = false, check_nan = false, no_events = false, with_replacement = false;
};

class Trainer {
public:
  explicit Trainer(const TrainOptions& o) : o_(o), model_(load(o.model)), data_(load_data(o.data, model_)) {
    std::vector<std::string> entries{"step"};  // if there is none, the error names those there are
    for (const Entry& e : model_.program->entries())
      if (e.name == "eval" || e.name == "sample") entries.push_back(e.name);
    const package::Compiled compiled = package::compile(source_of(model_, entries), compile_options(o.compile));
    session_ = std::make_unique<package::Session>(compiled, session_options(o.run));
    compile_ms_ = compiled.timing.total_ms;
    content_ = data_->content();
    target_ = fmt::format("{:016x}", execute::stream_of((compiled.target.cpu + compiled.target.features).c_str()));
    step_entry_ = session_->entry_index("step");
    for (const Entry& e : model_.program->entries()) {
      has_eval_ |= e.name == "eval";
      has_sample_ |= e.name == "sample" && session_->inputs(session_->entry_index("sample")).empty();
    }
    slots_ = slots_of(*session_, step_entry_, "step");
    epoch_ = data_->epoch(data::Part::train, slots_);
    if (has_eval_) {
      const int eval = session_->entry_index("eval");
      data_->epoch(data::Part::validate, slots_of(*session_, eval, "eval"));
      if (Scalars(*session_, eval).values().empty()) fail("entry 'eval' has no scalar output");
    }
    if (has_sample_) sample_type(*session_, "sample");
    check_vocabulary(o.weights, *data_);
    set_weights(*session_, model_, o.weights, o.run.seed);
    if (!o.resume.empty()) first_step_ = resume_checkpoint(o.resume, *session_, model_, position(0));
    if (o_.epochs > 0 && epoch_ == 0) fail_usage("--epochs: '{}' has no end; use --steps", o_.data.spec);
    const int64_t batch = slots_[0].shape[0];
    steps_ = o_.epochs > 0 ? checked_mul(o_.epochs, (epoch_ + batch - 1) / batch, "--epochs") : o_.steps;
    if (steps_ < first_step_)
      fail_usage("{} steps in all, those before --resume included: '{}' is at step {} already", steps_, o_.resume,
                 first_step_);
    output_ = std::make_unique<TrainOutput>(o.out, o.resume, first_step_, !o.no_events);
  }

  void run() {
    const data::Order order = o_.with_replacement ? data::Order::uniform : data::Order::shuffled;
    Batches batches(*data_, slots_, {data::Part::train, order, o_.run.seed, 0});
    Scalars results(*session_, step_entry_);
    if (!o_.quiet && !o_.json)
      fmt::print("{} ({}): {} parameters, {} state, {} planned memory; compiled in {:.0f} ms; {} threads\n{}: {}\n",
                 model_.name(), model_.size, parameter_count(), bytes_text(session_->state_bytes()),
                 bytes_text(session_->arena_bytes()), compile_ms_, session_->threads(), data_->kind(),
                 data_->describe());
    const StopSignals stop;
    Progress progress(steps_, first_step_, !o_.quiet && !o_.json);
    const auto begin = std::chrono::steady_clock::now();
    int64_t step = first_step_;
    for (; step < steps_ && !stop.requested(); ++step) {
      if (o_.check_nan) before_ = session_->state();
      const auto& inputs = batches.at(static_cast<uint64_t>(step));
      session_->run(step_entry_, inputs, results.pointers(), o_.run.seed, static_cast<uint64_t>(step));
      last_ = results.values();
      check(step, inputs);
      output_->metrics(step, last_);
      progress.show(step + 1, last_);
      const auto due = [&](int64_t every) { return every > 0 && (step + 1) % every == 0 && step + 1 < steps_; };
      if (due(o_.eval_every) && has_eval_) output_->validation(step + 1, validate());
      if (due(o_.sample_every)) draw_samples(step + 1, fmt::format("samples-{}", step + 1));
      if (due(o_.checkpoint_every)) save(step + 1);
    }
    progress.finish();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    save(step);  // before all else that may fail
    if (has_eval_) {
      validation_ = validate();
      output_->validation(step, validation_);
      output_->save();
    }
    if (has_sample_) draw_samples(step, "samples");
    report(step, steps_, seconds, stop.requested());
  }

private:
  int64_t parameter_count() const {
    int64_t count = 0;
    for (const State& s : model_.program->states())
      if (s.kind == StateKind::parameter) count += element_count(s.shape);
    return count;
  }

  Position position(int64_t step) const {
    const data::Vocabulary* v = data_->vocabulary();
    const char* order = o_.with_replacement ? ", with replacement" : "";
    return {step,
            o_.run.seed,
            fmt::format("{}: {}{}", data_->kind(), data_->describe(), order),
            prepare_of(o_.data, model_),
            v ? v->to_text() : "",
            target_,
            content_};
  }

  // Ends training where a scalar is no number; with --check-nan also where a state is none, and says which op made it.
  void check(int64_t step, const std::vector<const void*>& inputs) const {
    std::string what;
    for (const auto& [name, value] : last_)
      if (what.empty() && !std::isfinite(value))
        what = fmt::format("{} is {}", name, std::isnan(value) ? std::abs(value) : value);
    if (what.empty() && o_.check_nan) what = odd_state();
    if (what.empty()) return;
    if (!o_.check_nan)
      fail("{} at step {}: {}; a smaller learning rate may help, --check-nan names the op", what, step,
           saved_ ? fmt::format("the last checkpoint in '{}' is from before", o_.out) : "no checkpoint is written yet");
    TensorMap batch;
    for (size_t i = 0; i < slots_.size(); ++i) {
      HostTensor t(slots_[i].dtype, slots_[i].shape);
      std::copy_n(static_cast<const std::byte*>(inputs[i]), t.bytes.size(), t.bytes.data());
      batch[slots_[i].name] = std::move(t);
    }
    const std::string culprit = blame(model_, "step", before_, batch, o_.compile, o_.run, static_cast<uint64_t>(step));
    if (!culprit.empty()) fail("{}", culprit);
    fail("{} at step {}, yet no op of entry 'step' makes a value that is no number", what, step);
  }
  std::string odd_state() const {
    for (const auto& [name, tensor] : session_->state())
      if (tensor.dtype == DType::f32)
        for (int64_t i = 0; i < tensor.count(); ++i)
          if (const float v = tensor.as<float>()[i]; !std::isfinite(v))
            return fmt::format("state '{}' holds {}", name, v);
    return "";
  }

  void save(int64_t step) {
    save_checkpoint(o_.out + "/last.safetensors", *session_, model_, position(step));
    saved_ = true;
    output_->save();
    save_report(step);
  }

  void draw_samples(int64_t step, const std::string& name) {
    if (!has_sample_) return;
    const auto slot = sample_type(*session_, "sample");
    const bool plane = slot.dtype == DType::f32 && slot.shape.size() == 2 && slot.shape[1] == 2;
    const int64_t count = slot.dtype == DType::i64 ? texts : plane ? points : pictures;
    const auto [low, high] = data_->range();
    // A look at the model is no part of its training: batch norm, say, mixes what it samples into its statistics.
    const TensorMap before = session_->state();
    samples_ =
        output_->samples(step, name, sample(*session_, "sample", count, o_.run.seed), {low, high, data_->vocabulary()});
    session_->set_state(before, true);
  }

  // Means over batches of the validating part.
  Values validate() {
    const int entry = session_->entry_index("eval");
    Batches batches(*data_, slots_of(*session_, entry, "eval"),
                    {data::Part::validate, data::Order::uniform, validation_seed, 0});
    Scalars results(*session_, entry);
    Values sum;
    for (int i = 0; i < validation_batches; ++i) {
      session_->run(entry, batches.at(static_cast<uint64_t>(i)), results.pointers(), validation_seed,
                    static_cast<uint64_t>(i));
      const Values now = results.values();
      if (sum.empty()) sum = Values(now.size());
      for (size_t k = 0; k < now.size(); ++k)
        sum[k] = {now[k].first, sum[k].second + now[k].second / validation_batches};
    }
    return sum;
  }

  void save_report(int64_t step) {
    std::vector<std::pair<std::string, std::string>> facts{
        {"data", fmt::format("{} ({})", o_.data.spec, data_->describe())},
        {"steps", std::to_string(step)},
        {"seed", std::to_string(o_.run.seed)},
        {"parameters", std::to_string(parameter_count())}};
    for (const auto& [name, value] : validation_)
      facts.emplace_back("validation " + name, fmt::format("{:.5g}", value));
    for (const auto& [field, value] : model_.values) facts.emplace_back(field, value);
    output_->save_report(fmt::format("{} ({})", model_.name(), model_.size), facts);
  }

  void report(int64_t step, int64_t steps, double seconds, bool stopped) {
    save_report(step);
    nlohmann::ordered_json j{{"model", model_.name()}, {"size", model_.size}, {"data", o_.data.spec},
                             {"steps", step},          {"seed", o_.run.seed}, {"seconds", seconds}};
    for (const auto& [name, value] : last_) j[name] = value;
    if (has_eval_) j["validation"] = validation_[0].second;
    j["checkpoint"] = o_.out + "/last.safetensors";
    if (o_.json) {
      fmt::print("{}\n", j.dump());
      return;
    }
    if (stopped) fmt::print("stopped at step {} of {}; go on with --resume {}/last.safetensors\n", step, steps, o_.out);
    if (has_eval_)
      fmt::print("validation {} {:.4f} (mean of {} batches)\n", validation_[0].first, validation_[0].second,
                 validation_batches);
    fmt::print("{} steps in {:.1f} s; wrote {}/last.safetensors, metrics.csv, report.html{}\n", step - first_step_,
               seconds, o_.out, samples_.empty() ? "" : ", " + samples_);
  }

  const TrainOptions& o_;
  Model model_;
  std::unique_ptr<data::Dataset> data_;
  std::unique_ptr<package::Session> session_;
  double compile_ms_ = 0;
  int step_entry_ = 0;
  int64_t first_step_ = 0, steps_ = 0, epoch_ = 0;  // steps_: in all
  bool has_eval_ = false, has_sample_ = false, saved_ = false;
  std::vector<data::Slot> slots_;
  Values last_, validation_;
  std::string target_;    // a hash of what code was generated for
  uint64_t content_ = 0;  // of the data
  TensorMap before_;      // the state before the step, with --check-nan
  std::string samples_;
  std::unique_ptr<TrainOutput> output_;
};

}  // namespace

void add_train(CLI::App& app, int&) {
  auto o = std::make_shared<TrainOptions>();
  CLI::App* verb = app.add_subcommand("train", "train a model on a data set");
  add_model_options(*verb, o->model);
  add_data_options(*verb, o->data);
  auto* steps = verb->add_option("--steps", o->steps, "how many training steps in all, those before --resume included")
                    ->check(at_least(1));
  verb->add_option("--epochs", o->epochs, "or how many times the size of the training part")
      ->check(at_least(1))
      ->excludes(steps);
  verb->add_option(
          "--out", o->out,
          "folder for last.safetensors, metrics.csv, validation.csv, report.html, samples and events of TensorBoard")
      ->capture_default_str()
      ->type_name("DIR");
  verb->add_option("--resume", o->resume, "go on from this checkpoint, to the same bits as without the break")
      ->type_name("FILE");
  verb->add_option("--weights", o->weights, "start from these parameters instead of the initial ones of the seed")
      ->type_name("FILE")
      ->excludes("--resume");
  verb->add_option("--checkpoint-every", o->checkpoint_every, "steps between checkpoints; 0: only at the end")
      ->check(at_least(0))
      ->capture_default_str();
  verb->add_option("--sample-every", o->sample_every, "steps between sample grids; 0: only at the end")
      ->check(at_least(0))
      ->capture_default_str();
  verb->add_option("--eval-every", o->eval_every, "steps between validations; 0: only at the end")
      ->check(at_least(0))
      ->capture_default_str();
  verb->add_flag("--with-replacement", o->with_replacement,
                 "draw each sample of a batch from all, instead of every sample once an epoch");
  verb->add_flag("--check-nan", o->check_nan,
                 "look at losses and state after every step; name the op and the line that made NaN or an infinity");
  verb->add_flag("--no-events", o->no_events, "no event file for TensorBoard");
  verb->add_flag("--json", o->json, "print the result as one JSON object");
  verb->add_flag("-q,--quiet", o->quiet, "no progress");
  add_seed_option(*verb, o->run);
  add_threads_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer(
      data_help() +
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
