// gmc eval: how good a trained model is, on data it has not seen.
#include "runtime/base/error.h"
#include "runtime/data/metrics.h"
#include "tools/gmc/batches.h"
#include "tools/gmc/checkpoint.h"
#include "tools/gmc/data_options.h"
#include "tools/gmc/result_file.h"
#include "tools/gmc/scalars.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gmc::tool {
namespace {

constexpr int64_t endless_batches = 20;  // of data that are made anew for every draw
constexpr int64_t mode_samples = 10000;

struct EvalOptions {
  ModelOptions model;
  CompileOptions compile;
  RunOptions run;
  DataOptions data;
  std::string weights;
  bool ema = false, json = false;
  int64_t importance = 50, samples = 1000;
};

// What is printed: a name, a value, and beside it what real data give.
struct Score {
  std::string name;
  double value;
  std::optional<double> real;
};

class Evaluator {
public:
  explicit Evaluator(const EvalOptions& o) : o_(o), model_(load(o.model)), data_(load_data(o.data, model_)) {
    check_vocabulary(o.weights, *data_);
    std::vector<std::string> entries;
    for (const Entry& e : model_.program->entries())
      for (const char* name : {"eval", "log_weight", "density", "reconstruct", "sample"})
        if (e.name == name) entries.push_back(name);
    if (entries.empty())
      fail("'{}' has none of the entries eval, log_weight, density, reconstruct and sample", model_.name());
    session_ = std::make_unique<package::Session>(
        package::compile(source_of(model_, entries), compile_options(o.compile)), session_options(o.run));
    set_weights(*session_, model_, o.weights, o.run.seed, o.ema);
    for (const std::string& name : entries) has_[name] = session_->entry_index(name);
  }

  std::vector<Score> run() {
    if (has_.count("eval")) scalars();
    if (has_.count("log_weight")) importance();
    if (has_.count("density")) density();
    if (has_.count("reconstruct")) reconstruction();
    if (has_.count("sample")) samples();
    return std::move(scores_);
  }
  std::string subject() const {
    return fmt::format("{} ({}) on {}: {}", model_.name(), model_.size, o_.data.spec, data_->describe());
  }
  const std::string& remark() const { return remark_; }

private:
  void add(const std::string& name, double value, std::optional<double> real = {}) {
    scores_.push_back({name, value, real});
  }

  // Calls visit(batch number, inputs) for every whole batch of the validating part, in order; at least one.
  template <class Visit>
  void for_each_batch(const std::string& entry, Visit visit) {
    const std::vector<data::Slot> slots = slots_of(*session_, has_.at(entry), entry);
    Batches batches(*data_, slots, {data::Part::validate, data::Order::sequential, o_.run.seed, 0});
    const int64_t all = data_->epoch(data::Part::validate, slots), batch = slots[0].shape[0];
    const int64_t count = all == 0 ? endless_batches : std::max<int64_t>(1, all / batch);
    if (all > 0 && all % batch != 0 && remark_.empty())
      remark_ = fmt::format("measured on {} of {} validating samples: batches of {} (see --set batch)",
                            std::min(all, count * batch), all, batch);
    for (int64_t b = 0; b < count; ++b) visit(b, batches.at(static_cast<uint64_t>(b)));
  }
  // The one output of an entry, which has this name.
  HostTensor room(const std::string& entry, const std::string& name) const {
    const auto outputs = session_->outputs(has_.at(entry));
    if (outputs.size() != 1 || outputs[0].name != name || outputs[0].type.dtype != DType::f32 ||
        outputs[0].type.shape.empty())
      fail("entry '{}' must have one output '{}' of f32[B, ...]", entry, name);
    return HostTensor(outputs[0].type.dtype, outputs[0].type.shape);
  }
  int64_t dimensions(const std::string& entry) const {
    const Shape s = slots_of(*session_, has_.at(entry), entry).at(0).shape;
    return element_count(s) / s[0];
  }

  void scalars() {
    Scalars results(*session_, has_.at("eval"));
    std::vector<std::pair<std::string, double>> sum;
    int64_t count = 0;
    for_each_batch("eval", [&](int64_t b, const std::vector<const void*>& inputs) {
      session_->run(has_.at("eval"), inputs, results.pointers(), o_.run.seed, static_cast<uint64_t>(b));
      const auto now = results.values();
      if (sum.empty()) sum.resize(now.size());
      for (size_t i = 0; i < now.size(); ++i) sum[i] = {now[i].first, sum[i].second + now[i].second};
      ++count;
    });
    std::optional<double> nats;
    for (const auto& [name, value] : sum) {
      add(name, value / static_cast<double>(count));
      if (name == "nll" || (name == "loss" && !nats)) nats = value / static_cast<double>(count);
    }
    if (!data_->vocabulary() || !nats) return;
    add("perplexity", std::exp(*nats));
    add("bits_per_symbol", *nats / std::numbers::ln2);
  }

  // Nats of a sample, and bits per dimension where the data are such that they mean something.
  void likelihood(const std::string& name, double nats, int64_t size) {
    add(name, nats);
    const std::string prepare = prepare_of(o_.data, model_);
    const double bits = nats / (static_cast<double>(size) * std::numbers::ln2);
    if (prepare.find("binarise") != std::string::npos)
      add(name + "_bits_per_dim", bits);
    else if (const auto level = data_->bits_of_a_level())
      add(name + "_bits_per_dim", bits + *level);
    else if (!data_->truth() && size > 3)  // points have a density as they are
      remark_ = "the data are neither binarised nor dequantised: nats are a loss, no likelihood";
  }

  void importance() {
    HostTensor weights = room("log_weight", "log_weight");
    const auto rows = static_cast<size_t>(weights.count());
    double elbo = 0, bound = 0;
    int64_t count = 0;
    for_each_batch("log_weight", [&](int64_t b, const std::vector<const void*>& inputs) {
      std::vector<double> largest(rows, -std::numeric_limits<double>::infinity()), sum(rows, 0);
      for (int64_t k = 0; k < o_.importance; ++k) {
        session_->run(has_.at("log_weight"), inputs, {weights.bytes.data()}, o_.run.seed,
                      static_cast<uint64_t>(b * o_.importance + k));
        for (size_t i = 0; i < rows; ++i) {
          const double w = static_cast<double>(weights.as<float>()[i]);
          elbo += w / static_cast<double>(o_.importance);
          const double top = std::max(largest[i], w);
          sum[i] = sum[i] * std::exp(largest[i] - top) + std::exp(w - top);
          largest[i] = top;
        }
      }
      for (size_t i = 0; i < rows; ++i) bound += largest[i] + std::log(sum[i] / static_cast<double>(o_.importance));
      count += static_cast<int64_t>(rows);
    });
    likelihood("negative_elbo", -elbo / static_cast<double>(count), dimensions("log_weight"));
    likelihood(fmt::format("negative_iwae_{}", o_.importance), -bound / static_cast<double>(count),
               dimensions("log_weight"));
  }

  void density() {
    HostTensor rows = room("density", "log_likelihood");
    double sum = 0;
    int64_t count = 0;
    for_each_batch("density", [&](int64_t b, const std::vector<const void*>& inputs) {
      session_->run(has_.at("density"), inputs, {rows.bytes.data()}, o_.run.seed, static_cast<uint64_t>(b));
      for (int64_t i = 0; i < rows.count(); ++i) sum += static_cast<double>(rows.as<float>()[i]);
      count += rows.count();
    });
    const double nats = -sum / static_cast<double>(count);
    likelihood("negative_log_likelihood", nats, dimensions("density"));
    if (const data::Truth* truth = data_->truth(); truth && truth->entropy)
      add("gap_to_the_entropy", nats - *truth->entropy, 0.0);
  }

  void reconstruction() {
    HostTensor out = room("reconstruct", "reconstruction");
    const std::vector<data::Slot> slots = slots_of(*session_, has_.at("reconstruct"), "reconstruct");
    if (element_count(slots[0].shape) != out.count())
      fail("entry 'reconstruct' makes {} of {}", to_string(out.shape), to_string(slots[0].shape));
    double squares = 0;
    int64_t count = 0;
    for_each_batch("reconstruct", [&](int64_t b, const std::vector<const void*>& inputs) {
      session_->run(has_.at("reconstruct"), inputs, {out.bytes.data()}, o_.run.seed, static_cast<uint64_t>(b));
      const auto* x = static_cast<const float*>(inputs[0]);
      for (int64_t i = 0; i < out.count(); ++i) {
        const double d = static_cast<double>(out.as<float>()[i]) - static_cast<double>(x[i]);
        squares += d * d;
      }
      count += out.count();
    });
    add("reconstruction_mse", squares / static_cast<double>(count));
  }

  // `count` samples of a part, as the inputs of an entry take them.
  std::optional<HostTensor> real(data::Part part, int64_t size, int64_t count) const {
    const std::vector<data::Slot> slots{{"x", DType::f32, {count, size}}};
    HostTensor out(DType::f32, {count, size});
    try {
      data_->draw({part, data::Order::shuffled, o_.run.seed, 0}, slots, {out.bytes.data()});
    } catch (const Error&) {
      return std::nullopt;  // the data are symbols, or of another size than what the model makes
    }
    return out;
  }

  void samples() {
    const int entry = has_.at("sample");
    const auto outputs = session_->outputs(entry);
    if (!session_->inputs(entry).empty() || outputs.size() != 1 || outputs[0].type.dtype != DType::f32 ||
        outputs[0].type.shape.empty() || outputs[0].type.shape[0] < 1)
      return;
    const int64_t size = element_count(outputs[0].type.shape) / outputs[0].type.shape[0];
    const std::vector<data::Slot> probe{{"x", DType::f32, {1, size}}};
    if (!real(data::Part::validate, size, 1)) return;
    const int64_t least = data_->epoch(data::Part::validate, probe);
    const int64_t n = std::min({o_.samples, least, data_->epoch(data::Part::train, probe)});
    HostTensor made = sample(*session_, "sample", n, o_.run.seed);
    made.shape = {n, size};
    const HostTensor held_out = *real(data::Part::validate, size, n), seen = *real(data::Part::train, size, n);
    if (n > 5) {
      add("mmd", data::mmd(held_out, made), data::mmd(held_out, seen));
      const data::Neighbours a = data::neighbours(held_out, made), b = data::neighbours(held_out, seen);
      add("knn_precision", a.precision, b.precision);
      add("knn_recall", a.recall, b.recall);
      add("knn_density", a.density, b.density);
      add("knn_coverage", a.coverage, b.coverage);
    }
    const data::Truth* truth = data_->truth();
    if (!truth || truth->centres.empty()) return;
    HostTensor points = sample(*session_, "sample", mode_samples, o_.run.seed);
    points.shape = {mode_samples, size};
    const int64_t known = std::min(mode_samples, data_->epoch(data::Part::train, probe));
    const data::Modes a = data::modes(points, *truth), b = data::modes(*real(data::Part::train, size, known), *truth);
    add("modes", static_cast<double>(a.found), static_cast<double>(b.found));
    add("modes_share_near", a.near, b.near);
    add("modes_divergence", a.divergence, b.divergence);
  }

  const EvalOptions& o_;
  Model model_;
  std::unique_ptr<data::Dataset> data_;
  std::unique_ptr<package::Session> session_;
  std::map<std::string, int> has_;
  std::vector<Score> scores_;
  std::string remark_;
};

}  // namespace

void add_eval(CLI::App& app, int&) {
  auto o = std::make_shared<EvalOptions>();
  CLI::App* verb = app.add_subcommand("eval", "measure a trained model on held-out data");
  add_model_options(*verb, o->model);
  add_data_options(*verb, o->data);
  add_weights_options(*verb, o->weights, o->ema);
  verb->add_option("--importance", o->importance, "draws per sample for the importance-weighted bound")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  verb->add_option("--samples", o->samples, "at most so many samples are compared with data")
      ->check(CLI::Range(6, 20000))
      ->capture_default_str();
  verb->add_flag("--json", o->json, "print the result as one JSON object");
  add_seed_option(*verb, o->run);
  add_threads_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer(
      "\nWhat is measured follows from the entries that the model has (docs/dsl.md):\n"
      "  eval          its scalars over the validating part, in whole batches; of symbols perplexity and bits\n"
      "  log_weight    -ELBO and the importance-weighted bound, in nats\n"
      "  density       -log likelihood, in nats; of points the gap to their entropy\n"
      "  reconstruct   mean squared error\n"
      "  sample        MMD; precision, recall, density and coverage by 5 neighbours; of mixtures the modes\n"
      "Nats come as bits per dimension too if the data are binarised or dequantised. Beside the measures of\n"
      "samples stands what training data score in their place.\n" +
      data_help() +
      "\n\nExample: gmc eval vae-mlp --data mnist:data/mnist --prepare binarise --weights out/last.safetensors");
  verb->callback([o] {
    Evaluator evaluator(*o);
    const std::vector<Score> scores = evaluator.run();
    if (o->json) {
      nlohmann::ordered_json j{{"model", o->model.model}, {"data", o->data.spec}, {"seed", o->run.seed}};
      for (const Score& s : scores) {
        j[s.name] = s.value;
        if (s.real) j["real_" + s.name] = *s.real;
      }
      fmt::print("{}\n", j.dump());
      return;
    }
    fmt::print("{}\n", evaluator.subject());
    for (const Score& s : scores)
      fmt::print("{:<36} {:>10.5g}{}\n", s.name, s.value, s.real ? fmt::format("   real data {:.5g}", *s.real) : "");
    if (!evaluator.remark().empty()) fmt::print("{}\n", evaluator.remark());
  });
}

}  // namespace gmc::tool
