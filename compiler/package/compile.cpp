#include "compiler/package/compile.h"

#include "compiler/fusion/policy.h"
#include "compiler/lower/lower.h"
#include "compiler/package/assemble.h"
#include "compiler/transform/pass.h"
#include "runtime/base/error.h"
#include "runtime/base/share_out.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <numeric>

namespace gmc::package {
namespace {

class Stopwatch {
public:
  // Milliseconds since the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    return ms;
  }

private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

fusion::Plan plan_of(const fusion::View& view, const Options& options) {
  fusion::Plan plan;
  if (auto it = options.plans.find(view.graph().entry()); it != options.plans.end()) {
    nlohmann::json json;
    try {
      json = nlohmann::json::parse(it->second, nullptr, true, true);
    } catch (const nlohmann::json::exception& e) {
      fail("plan of entry '{}' is malformed: {}", view.graph().entry(), e.what());
    }
    plan = fusion::plan_from_json(view, json);
  } else {
    plan = fusion::policy_named(options.policy).make(view, options.library);
  }
  fusion::check_plan(view, plan);
  fusion::order_kernels(view, plan);
  return plan;
}

// Plans and lowers a graph that has gone through the pipeline, and its regions with it.
CompiledEntry compile_graph(std::shared_ptr<const graph::Graph> graph, const Options& options, Timing& timing,
                            Stopwatch& watch) {
  CompiledEntry out;
  out.graph = std::move(graph);
  out.view = std::make_shared<fusion::View>(*out.graph);
  out.plan = plan_of(*out.view, options);
  out.report = fusion::report(*out.view, out.plan);
  timing.fusion_ms += watch.lap();
  out.steps = lower::lower(*out.view, out.plan);
  for (lower::Step& step : out.steps) {
    if (!step.library.empty()) continue;
    const int added = codegen::prepare(step.kernel, options.target);
    step.values.resize(step.values.size() + static_cast<size_t>(added));
    out.kernels.push_back({step.kernel, {}});
  }
  timing.lower_ms += watch.lap();
  // Plans are of entries; regions are planned by the policy.
  Options inner = options;
  inner.plans.clear();
  for (size_t i = 0; i < out.graph->nodes().size(); ++i)
    for (const auto& region : out.graph->nodes()[i].regions) {
      out.regions.push_back(compile_graph(region, inner, timing, watch));
      out.regions.back().node = static_cast<int32_t>(i);
    }
  return out;
}

// Each entry on a thread of its own, the largest first.
void lower_entries(const Source& source, const Options& options, Compiled& out) {
  std::vector<size_t> order(source.entries.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return source.entries[a].nodes().size() > source.entries[b].nodes().size();
  });
  out.entries.resize(order.size());
  std::vector<Timing> timings(order.size());
  share_out(order.size(), options.jobs, [&](size_t i) {
    Stopwatch watch;
    auto graph = std::make_shared<graph::Graph>(transform::run_pipeline(source.entries[order[i]]));
    timings[i].transform_ms = watch.lap();
    out.entries[order[i]] = compile_graph(std::move(graph), options, timings[i], watch);
  });
  for (const Timing& t : timings) {
    out.timing.transform_ms += t.transform_ms;
    out.timing.fusion_ms += t.fusion_ms;
    out.timing.lower_ms += t.lower_ms;
  }
}

void collect_kernels(CompiledEntry& entry, std::vector<CompiledKernel*>& kernels) {
  for (CompiledKernel& k : entry.kernels) kernels.push_back(&k);
  for (CompiledEntry& region : entry.regions) collect_kernels(region, kernels);
}

void generate_code(const Options& options, Compiled& out) {
  std::vector<CompiledKernel*> kernels;
  for (CompiledEntry& entry : out.entries) collect_kernels(entry, kernels);
  std::vector<const kernel::Kernel*> sources;
  for (const CompiledKernel* k : kernels) sources.push_back(&k->kernel);
  codegen::Code code = codegen::compile_kernels(sources, options.target, options.jobs, options.keep_text);
  for (size_t i = 0; i < kernels.size(); ++i) kernels[i]->code = std::move(code.kernels[i]);
  out.objects = std::move(code.objects);
}

}  // namespace

Compiled compile(const Source& source, const Options& options) {
  auto planned = [&](const graph::Graph& entry) { return options.plans.count(entry.entry()) > 0; };
  if (!options.plans.empty() && std::none_of(source.entries.begin(), source.entries.end(), planned))
    fail("the plan is of entry '{}', which is none of those compiled", options.plans.begin()->first);
  Compiled out;
  out.name = source.name;
  out.target = options.target;
  Stopwatch watch;
  lower_entries(source, options, out);
  out.timing.total_ms = watch.lap();
  generate_code(options, out);
  out.timing.codegen_ms = watch.lap();
  assemble(source, out);
  out.timing.package_ms = watch.lap();
  out.timing.total_ms += out.timing.codegen_ms + out.timing.package_ms;
  return out;
}

std::string print_kernels(const CompiledEntry& entry) {
  std::string text;
  for (const CompiledKernel& k : entry.kernels) {
    text += "//";
    for (const codegen::TileFunction& f : k.code.functions) text += " " + f.symbol;
    text += "\n" + kernel::print(k.kernel);
  }
  for (const CompiledEntry& region : entry.regions) text += print_kernels(region);
  return text;
}

}  // namespace gmc::package
