#include "compiler/package/compile.h"

#include "compiler/codegen/compile_kernels.h"
#include "compiler/fusion/policy.h"
#include "compiler/lower/lower.h"
#include "compiler/package/assemble.h"
#include "compiler/transform/pass.h"
#include "runtime/base/error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>

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

}  // namespace

Compiled compile(const Source& source, const Options& options) {
  auto planned = [&](const graph::Graph& entry) { return options.plans.count(entry.entry()) > 0; };
  if (!options.plans.empty() && std::none_of(source.entries.begin(), source.entries.end(), planned))
    fail("the plan is of entry '{}', which is none of those compiled", options.plans.begin()->first);
  Compiled out;
  out.name = source.name;
  out.target = options.target;
  Stopwatch watch;
  std::vector<std::vector<lower::Step>> steps;
  std::vector<codegen::KernelSource> kernels;
  for (const graph::Graph& entry : source.entries) {
    CompiledEntry compiled;
    compiled.graph = std::make_shared<graph::Graph>(transform::run_pipeline(entry));
    out.timing.transform_ms += watch.lap();
    compiled.view = std::make_shared<fusion::View>(*compiled.graph);
    compiled.plan = plan_of(*compiled.view, options);
    compiled.report = fusion::report(*compiled.view, compiled.plan);
    out.timing.fusion_ms += watch.lap();
    steps.push_back(lower::lower(*compiled.view, compiled.plan));
    for (lower::Step& step : steps.back()) {
      if (!step.library.empty()) continue;
      const int added = codegen::prepare(step.kernel, options.target);
      step.values.resize(step.values.size() + static_cast<size_t>(added));
      kernels.push_back({&step.kernel, codegen::symbol_of(step.kernel)});
      compiled.kernels.push_back({step.kernel, kernels.back().symbol});
    }
    out.entries.push_back(std::move(compiled));
    out.timing.lower_ms += watch.lap();
  }
  auto code = codegen::compile_kernels(kernels, options.target, options.jobs, options.keep_text);
  for (auto& [symbol, kernel] : code) out.objects.push_back({symbol, kernel.object, kernel.llvm_ir, kernel.assembly});
  out.timing.codegen_ms = watch.lap();
  assemble(source, steps, code, out);
  out.timing.package_ms = watch.lap();
  const Timing& t = out.timing;
  out.timing.total_ms = t.transform_ms + t.fusion_ms + t.lower_ms + t.codegen_ms + t.package_ms;
  return out;
}

}  // namespace gmc::package
