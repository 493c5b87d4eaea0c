// gmc bench: how long a call of an entry takes.
#include "tools/gmc/command.h"

#include "runtime/base/error.h"
#include "runtime/execute/random.h"
#include "runtime/files/safetensors.h"
#include "tools/gmc/peak.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>

namespace gmc::tool {
namespace {

struct BenchOptions {
  ModelOptions model;
  CompileOptions compile;
  RunOptions run;
  std::vector<std::string> what;
  std::string save;
  double seconds = 2;
  bool json = false, steps = false, peak = false;
};

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Room for an entry's inputs and outputs; inputs uniform in [0, 1).
struct Arguments {
  std::vector<HostTensor> tensors;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;

  Arguments(const package::Session& session, int entry) {
    const auto in = session.inputs(entry), out = session.outputs(entry);
    for (const auto& slots : {in, out})
      for (const auto& slot : slots) tensors.emplace_back(slot.type.dtype, slot.type.shape);
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (i >= in.size()) {
        outputs.push_back(tensors[i].bytes.data());
        continue;
      }
      if (tensors[i].dtype == DType::f32)
        for (int64_t e = 0; e < tensors[i].count(); ++e)
          tensors[i].as<float>()[e] =
              static_cast<float>(execute::uniform_of(execute::random_word(i, static_cast<uint64_t>(e))));
      inputs.push_back(tensors[i].bytes.data());
    }
  }
};

struct Times {
  double median_ms, least_ms;
};

// Medians over blocks of calls: blocks of about 0.15 s, at least 5 of them.
template <class Call>
Times time_blocks(double seconds, Call call) {
  call();
  double start = now_ms();
  call();
  call();
  const double estimate = std::max((now_ms() - start) / 2, 1e-4);
  const int repeats = std::clamp(static_cast<int>(150 / estimate), 1, 2000);
  std::vector<double> blocks;
  const double until = now_ms() + seconds * 1000;
  while (blocks.size() < 5 || (now_ms() < until && blocks.size() < 200)) {
    start = now_ms();
    for (int i = 0; i < repeats; ++i) call();
    blocks.push_back((now_ms() - start) / repeats);
  }
  std::sort(blocks.begin(), blocks.end());
  return {blocks[blocks.size() / 2], blocks[0]};
}

double peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Those in loops as often as they run; of a while, and of a condition's two sides, once.
double product_flops(const package::CompiledEntry& e) {
  double sum = 0;
  for (size_t i = 0; i < e.view->ops().size(); ++i)
    if (e.view->ops()[i].category == fusion::Category::matmul) sum += fusion::flops(*e.view, static_cast<int>(i));
  for (const package::CompiledEntry& region : e.regions) {
    const graph::Node& runs = e.graph->nodes()[static_cast<size_t>(region.node)];
    sum += product_flops(region) * (runs.attributes.count("trips") ? static_cast<double>(runs.integer("trips")) : 1);
  }
  return sum;
}

// A step and a sample; of a model that has neither, all.
std::vector<std::string> usual_entries(const Model& model) {
  std::vector<std::string> usual, all;
  for (const Entry& e : model.program->entries()) {
    all.push_back(e.name);
    if (e.name == "step" || e.name == "sample") usual.push_back(e.name);
  }
  return usual.empty() ? all : usual;
}

void bench(const BenchOptions& o) {
  const Model model = load(o.model);
  const std::vector<std::string> what = o.what.empty() ? usual_entries(model) : o.what;
  if (!o.save.empty() && what.size() != 1) fail_usage("--save: expected one entry, got {}", fmt::join(what, ", "));
  double peak = 0;
  for (const std::string& name : what) {
    // Each entry is compiled by itself, so that its figure is what someone who needs only that entry gets.
    const package::Compiled compiled = package::compile(source_of(model, {name}), compile_options(o.compile));
    package::Session session(compiled, session_options(o.run));
    set_weights(session, model, "", o.run.seed);
    const int entry = session.entry_index(name);
    const Arguments arguments(session, entry);
    uint64_t call = 0;
    if (o.peak) peak = measure_fma_peak(compile_options(o.compile).target, session.threads());
    const Times t =
        time_blocks(o.seconds, [&] { session.run(entry, arguments.inputs, arguments.outputs, o.run.seed, call++); });
    if (!o.save.empty()) files::save_safetensors(o.save, session.state(), {{"calls", std::to_string(call)}});
    const package::CompiledEntry& e = compiled.entries.at(0);
    nlohmann::ordered_json j{{"workload", model.name()},
                             {"size", model.size},
                             {"device", "cpu"},
                             {"threads", session.threads()},
                             {"what", name},
                             {"ms", t.median_ms},
                             {"ms_min", t.least_ms},
                             {"calls", call},
                             {"compile_s", compiled.timing.total_ms / 1000},
                             {"peak_mb", peak_mb()},
                             {"policy", e.plan.policy},
                             {"kernels", e.report.generated},
                             {"products", e.report.products},
                             {"library_calls", e.report.library_calls},
                             {"runtime_calls", e.report.runtime_calls}};
    const double gflops = product_flops(e) / t.median_ms / 1e6;
    j["product_gflops"] = gflops;
    if (o.peak) j["fma_peak_gflops"] = peak;
    std::vector<std::pair<std::string, double>> profile;
    if (o.steps) profile = session.profile(entry, arguments.inputs, arguments.outputs, 200);
    for (const auto& [step, ms] : profile) j["steps"].push_back({{"step", step}, {"us", ms * 1000}});
    if (o.json)
      fmt::print("{}\n", j.dump());
    else {
      fmt::print("{} {} {}: {:.4f} ms (least {:.4f}), {} threads; products {:.0f} GFLOP/s{}; {} kernels, {} products, "
                 "{} library calls; compiled in {:.0f} ms; peak {:.0f} MB\n",
                 model.name(), model.size, name, t.median_ms, t.least_ms, session.threads(), gflops,
                 o.peak ? fmt::format(" = {:.0f} % of the FMA peak {:.0f}", 100 * gflops / peak, peak) : "",
                 e.report.generated, e.report.products, e.report.library_calls, compiled.timing.total_ms, peak_mb());
    }
    if (o.json) continue;
    for (const auto& [step, ms] : profile) fmt::print("  {:9.2f} us  {}\n", ms * 1000, step);
  }
}

}  // namespace

void add_bench(CLI::App& app, int&) {
  auto o = std::make_shared<BenchOptions>();
  CLI::App* verb = app.add_subcommand("bench", "time entries of a model on random inputs");
  add_model_options(*verb, o->model);
  verb->add_option("--what", o->what, "entries, comma-separated [step,sample, or all if it has neither]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("ENTRY,..");
  verb->add_option("--seconds", o->seconds, "how long to measure each")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_flag("--steps", o->steps, "also the time of each kernel");
  verb->add_flag("--peak", o->peak, "also the machine's FMA peak, measured just before");
  verb->add_option("--save", o->save, "write the state after the timed calls, whose number is in its metadata")
      ->type_name("FILE");
  verb->add_flag("--json", o->json, "one JSON object a line");
  add_seed_option(*verb, o->run);
  add_threads_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer("\nTimes are medians of blocks of calls, after warm-up.\nExample: gmc bench vae-mlp --what step,sample "
               "--threads 2 --peak");
  verb->callback([o] { bench(*o); });
}

}  // namespace gmc::tool
