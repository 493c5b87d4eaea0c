// gmc inspect: any stage of a model, and what a plan costs.
#include "tools/gmc/command.h"

#include "compiler/fusion/policy.h"
#include "compiler/graph/text.h"
#include "runtime/base/error.h"

namespace gmc::tool {
namespace {

struct InspectOptions {
  ModelOptions model;
  CompileOptions compile;
  std::string stage = "summary";
  std::vector<std::string> entries;
  bool json = false, feed_draws = false;
};

nlohmann::ordered_json entry_json(const package::CompiledEntry& e) {
  nlohmann::ordered_json out{{"entry", e.name}, {"policy", e.plan.policy}, {"ops", e.view->ops().size()}};
  out.update(fusion::to_json(e.report));
  out["flops"] = e.report.flops;
  if (e.node < 0) out["arena_bytes"] = e.arena_bytes;
  for (const package::CompiledEntry& region : e.regions) out["bodies"].push_back(entry_json(region));
  return out;
}

nlohmann::ordered_json summary_json(const package::Compiled& compiled) {
  nlohmann::ordered_json out{
      {"model", compiled.name}, {"target", compiled.target.cpu}, {"entries", nlohmann::ordered_json::array()}};
  for (const package::CompiledEntry& e : compiled.entries) out["entries"].push_back(entry_json(e));
  const package::Timing& t = compiled.timing;
  out["compile_ms"] = {{"transform", t.transform_ms}, {"fusion", t.fusion_ms},   {"lower", t.lower_ms},
                       {"codegen", t.codegen_ms},     {"package", t.package_ms}, {"total", t.total_ms}};
  return out;
}

// And of the regions inside it.
void print_entry(const package::CompiledEntry& e) {
  const fusion::PlanReport& r = e.report;
  fmt::print("{} under policy {}: {} ops in {} generated kernels, {} products, {} library calls{}\n", e.name,
             e.plan.policy, e.view->ops().size(), r.generated, r.products, r.library_calls,
             r.runtime_calls ? fmt::format(", {} calls of the runtime", r.runtime_calls) : "");
  fmt::print("  between kernels {}, moved in all {}, compulsory {} (ratio {:.2f}){}\n", bytes_text(r.bytes_between),
             bytes_text(r.bytes_total), bytes_text(r.bytes_compulsory),
             static_cast<double>(r.bytes_total) / static_cast<double>(std::max<int64_t>(1, r.bytes_compulsory)),
             e.node < 0 ? ", arena " + bytes_text(e.arena_bytes) : "");
  for (const fusion::PlanKernel& k : e.plan.kernels) {
    const fusion::Traffic t = fusion::traffic(*e.view, k);
    size_t ops = 0;
    for (const auto& region : k.regions) ops += region.size();
    const std::string& name = e.view->node(k.regions[0].back()).name;
    fmt::print("  {:<4} {:<32} {:>3} ops {:>2} regions  reads {:>10}  writes {:>10}{}\n", k.id, name, ops,
               k.regions.size(), bytes_text(t.read), bytes_text(t.written), k.library.empty() ? "" : "  " + k.library);
  }
  for (const package::CompiledEntry& region : e.regions) print_entry(region);
}

void print_summary(const package::Compiled& compiled) {
  for (const package::CompiledEntry& e : compiled.entries) print_entry(e);
  const package::Timing& t = compiled.timing;
  fmt::print("compiled in {:.0f} ms: transforms {:.1f}, fusion {:.1f}, lowering {:.1f}, code {:.1f}, package {:.1f}\n",
             t.total_ms, t.transform_ms, t.fusion_ms, t.lower_ms, t.codegen_ms, t.package_ms);
}

void inspect(const InspectOptions& o) {
  check_choice("stage", o.stage, {"summary", "state", "graph", "transformed", "plan", "kernel", "llvm-ir", "asm"});
  if (o.json && o.stage != "summary" && o.stage != "plan")
    fail_usage("--json: --stage {} is text; of JSON are summary and plan", o.stage);
  const Model model = load(o.model);
  const package::Source source = source_of(model, o.entries, o.feed_draws);
  if (o.stage == "graph") {
    for (const graph::Graph& g : source.entries) fmt::print("{}", graph::print(g));
    return;
  }
  if (o.stage == "state") {
    for (const State& s : model.program->states())
      fmt::print("{:<32} {:<10} {}{}\n", s.name, name_of(s.kind), name_of(s.dtype), to_string(s.shape));
    return;
  }
  package::Options options = compile_options(o.compile);
  options.keep_text = o.stage == "llvm-ir" || o.stage == "asm";
  const package::Compiled compiled = package::compile(source, options);
  if (o.stage == "summary") {
    if (o.json)
      fmt::print("{}\n", summary_json(compiled).dump(2));
    else
      print_summary(compiled);
  } else if (o.stage == "transformed") {
    for (const auto& e : compiled.entries) fmt::print("{}", graph::print(*e.graph));
  } else if (o.stage == "plan") {
    fmt::print("{}\n", package::plans_json(compiled).dump(2));
  } else if (o.stage == "kernel") {
    for (const auto& e : compiled.entries) fmt::print("{}", package::print_kernels(e));
  } else {
    for (const auto& object : compiled.objects) fmt::print("{}", o.stage == "asm" ? object.assembly : object.llvm_ir);
  }
}

}  // namespace

void add_inspect(CLI::App& app, int&) {
  auto o = std::make_shared<InspectOptions>();
  CLI::App* verb = app.add_subcommand("inspect", "print a stage of the compiler");
  add_model_options(*verb, o->model);
  verb->add_option("--stage", o->stage, "summary, state, graph, transformed, plan, kernel, llvm-ir or asm")
      ->capture_default_str();
  verb->add_option("--entry", o->entries, "only these entries; may be repeated")->allow_extra_args(false);
  verb->add_flag("--json", o->json, "the summary as JSON");
  verb->add_flag("--feed-draws", o->feed_draws, "with draws as inputs, as `gmc verify` compiles entries");
  add_compile_options(*verb, o->compile);
  verb->footer("\nExamples:\n  gmc inspect vae-mlp --entry step                     kernels, calls and bytes of the "
               "plan\n  gmc inspect vae-mlp --entry step --policy none\n  gmc inspect vae-mlp --stage plan > plan.json "
               "        edit it, then: gmc bench vae-mlp --fusion-plan plan.json");
  verb->callback([o] { inspect(*o); });
}

}  // namespace gmc::tool
