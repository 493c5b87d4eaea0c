#include "compiler/package/compile.h"

#include "compiler/fusion/policy.h"
#include "compiler/lower/lower.h"
#include "compiler/package/assemble.h"
#include "compiler/transform/pass.h"
#include "runtime/base/error.h"
#include "runtime/base/share_out.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <mutex>
#include <numeric>
#include <set>

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

// The plan to use for an entry in place of the policy's, if there is one.
std::optional<nlohmann::json> given_plan(const std::string& entry, const Options& options) {
  const auto it = options.plans.find(entry);
  if (it == options.plans.end()) return std::nullopt;
  try {
    return nlohmann::json::parse(it->second, nullptr, true, true);
  } catch (const nlohmann::json::exception& e) {
    fail("plan of entry '{}' is malformed: {}", entry, e.what());
  }
}

fusion::Plan plan_of(const CompiledEntry& entry, const nlohmann::json* given, const Options& options) try {
  const fusion::View& view = *entry.view;
  fusion::Plan plan =
      given ? fusion::plan_from_json(view, *given) : fusion::policy_named(options.policy).make(view, options.library);
  fusion::check_plan(view, plan);
  fusion::order_kernels(view, plan);
  return plan;
} catch (const Error& e) {
  if (entry.name == entry.graph->entry()) throw;
  throw Error(fmt::format("{}: {}", entry.name, e.what()), e.usage());
}

// Plans and lowers a graph that has gone through the pipeline, and its regions with it.
CompiledEntry compile_graph(const std::string& name, std::shared_ptr<const graph::Graph> graph,
                            const nlohmann::json* given, const Options& options, Timing& timing, Stopwatch& watch) {
  CompiledEntry out;
  out.name = name;
  out.graph = std::move(graph);
  out.view = std::make_shared<fusion::View>(*out.graph);
  out.plan = plan_of(out, given, options);
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
  for (size_t i = 0; i < out.graph->nodes().size(); ++i) {
    const graph::Node& node = out.graph->nodes()[i];
    for (size_t r = 0; r < node.regions.size(); ++r) {
      const nlohmann::json* body = given ? fusion::body_plan(*given, node.name, r) : nullptr;
      const std::string inside = fmt::format("{}/{}/{}", name, node.name, node.regions[r]->entry());
      out.regions.push_back(compile_graph(inside, node.regions[r], body, options, timing, watch));
      out.regions.back().node = static_cast<int32_t>(i);
    }
  }
  return out;
}

nlohmann::ordered_json plan_json(const CompiledEntry& entry) {
  nlohmann::ordered_json plan = fusion::to_json(*entry.view, entry.plan);
  for (const CompiledEntry& region : entry.regions) {
    const int op = entry.view->op_of({region.node, 0});
    for (size_t k = 0; k < entry.plan.kernels.size(); ++k)
      if (entry.plan.kernels[k].regions[0][0] == op) plan["kernels"][k]["bodies"].push_back(plan_json(region));
  }
  return plan;
}

void collect_kernels(CompiledEntry& entry, std::vector<CompiledKernel*>& kernels) {
  for (CompiledKernel& k : entry.kernels) kernels.push_back(&k);
  for (CompiledEntry& region : entry.regions) collect_kernels(region, kernels);
}

// Entries are lowered side by side, the largest first. It takes so long that code is generated meanwhile for all
// others; what is left for its own code is what they do not have.
class Production {
public:
  Production(const Source& source, const Options& options, Compiled& out)
      : source_(source), options_(options), out_(out), order_(source.entries.size()),
        timings_(order_.size() + 2 * codegen::most_objects), others_(order_.empty() ? 0 : order_.size() - 1),
        largest_(order_.empty() ? 0 : 1) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_sort(order_.begin(), order_.end(), [&](size_t a, size_t b) {
      return source.entries[a].nodes().size() > source.entries[b].nodes().size();
    });
    out_.entries.resize(order_.size());
  }

  void run() {
    // A task waits for earlier ones only, which have begun when it begins.
    share_out(timings_.size(), options_.jobs, [&](size_t i) {
      if (i < order_.size()) return lower(i);
      const size_t object = i - order_.size();
      generate(object < codegen::most_objects ? others_ : largest_, object % codegen::most_objects, timings_[i]);
    });
    for (Group* group : {&others_, &largest_})
      for (codegen::ObjectCode& object : group->objects) out_.objects.push_back(std::move(object));
    for (const Timing& t : timings_) {
      out_.timing.transform_ms += t.transform_ms;
      out_.timing.fusion_ms += t.fusion_ms;
      out_.timing.lower_ms += t.lower_ms;
      out_.timing.codegen_ms += t.codegen_ms;
    }
  }

private:
  struct Group {
    std::latch lowered;
    std::atomic<bool> failed = false;
    std::once_flag planned;
    codegen::CodePlan plan;
    std::vector<codegen::ObjectCode> objects;
    explicit Group(size_t entries) : lowered(static_cast<std::ptrdiff_t>(entries)) {}
  };

  void lower(size_t i) {
    Group& group = i == 0 ? largest_ : others_;
    try {
      Stopwatch watch;
      auto graph = std::make_shared<graph::Graph>(transform::run_pipeline(source_.entries[order_[i]]));
      timings_[i].transform_ms = watch.lap();
      const auto given = given_plan(graph->entry(), options_);
      out_.entries[order_[i]] =
          compile_graph(graph->entry(), graph, given ? &*given : nullptr, options_, timings_[i], watch);
    } catch (...) {
      group.failed = true;
      group.lowered.count_down();
      throw;
    }
    group.lowered.count_down();
  }

  void plan(Group& group) {
    std::call_once(group.planned, [&] {
      const bool last = &group == &largest_;
      if (last) plan(others_);
      group.lowered.wait();
      if (group.failed) return;
      std::vector<CompiledKernel*> kernels;
      for (size_t i = 0; i < order_.size(); ++i)
        if ((i == 0) == last) collect_kernels(out_.entries[order_[i]], kernels);
      std::vector<const kernel::Kernel*> sources;
      for (const CompiledKernel* k : kernels) sources.push_back(&k->kernel);
      group.plan = codegen::plan_code(sources, options_.target, known_);
      for (size_t i = 0; i < kernels.size(); ++i) kernels[i]->code = std::move(group.plan.kernels[i]);
      group.objects.resize(group.plan.objects.size());
    });
  }

  void generate(Group& group, size_t object, Timing& timing) {
    plan(group);
    if (object >= group.objects.size()) return;
    Stopwatch watch;
    group.objects[object] = codegen::compile_object(group.plan.objects[object], options_.target, options_.keep_text);
    timing.codegen_ms = watch.lap();
  }

  const Source& source_;
  const Options& options_;
  Compiled& out_;
  std::vector<size_t> order_;  // of the entries, the largest first
  std::vector<Timing> timings_;
  Group others_, largest_;
  std::set<std::string> known_;  // functions that have been planned
};

}  // namespace

Compiled compile(const Source& source, const Options& options) {
  auto planned = [&](const graph::Graph& entry) { return options.plans.count(entry.entry()) > 0; };
  if (!options.plans.empty() && std::none_of(source.entries.begin(), source.entries.end(), planned))
    fail("the plan is of entry '{}', which is none of those compiled", options.plans.begin()->first);
  Compiled out;
  out.name = source.name;
  out.target = options.target;
  Stopwatch watch;
  Production(source, options, out).run();
  out.timing.total_ms = watch.lap();
  assemble(source, out);
  out.timing.package_ms = watch.lap();
  out.timing.total_ms += out.timing.package_ms;
  return out;
}

nlohmann::ordered_json plans_json(const Compiled& compiled) {
  nlohmann::ordered_json j{{"fuseplans", 1}, {"model", compiled.name}};
  for (const CompiledEntry& e : compiled.entries) j["entries"][e.plan.entry] = plan_json(e);
  return j;
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
