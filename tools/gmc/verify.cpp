// gmc verify: a parity case, replayed and judged.
#include "tools/gmc/command.h"

#include "compiler/package/program_source.h"
#include "compiler/transform/pass.h"
#include "runtime/base/error.h"
#include "runtime/files/atomic_write.h"
#include "runtime/files/safetensors.h"
#include "tools/gmc/judge.h"
#include "tools/gmc/replay.h"
#include "tools/gmc/verify_onnx.h"

#include <filesystem>
#include <span>

namespace gmc::tool {
namespace {

struct VerifyOptions {
  ModelOptions model;
  CompileOptions compile;
  RunOptions run;
  std::string directory, backend = "jit", out, device = "cpu", onnx;
  bool json = false, verbose = false;
};

bool exists(const std::string& path) { return std::filesystem::exists(path); }

// case.json of a case, with the kinds of its fields checked.
nlohmann::json read_case(const std::string& directory) {
  const std::string path = directory + "/case.json";
  nlohmann::json j;
  try {
    j = nlohmann::json::parse(read_text(path));
  } catch (const nlohmann::json::exception& e) {
    fail("'{}' is malformed: {}", path, reason_of(e));
  }
  if (!j.is_object() || !j.contains("steps") || !j["steps"].is_number_integer() || j["steps"].get<int64_t>() < 1)
    fail("'{}': expected \"steps\", an integer of at least 1", path);
  if (j.contains("config") && !j["config"].is_object()) fail("'{}': \"config\" must be an object", path);
  return j;
}

// The initial state: the case's tensors, and for the rest (what the optimiser remembers) the program's own.
TensorMap initial_state(const Model& model, const TensorMap& given) {
  TensorMap state = model.initial_state(0);
  std::string problems;
  for (const auto& [name, tensor] : given) {
    auto it = state.find(name);
    if (it == state.end())
      problems += fmt::format("\n  '{}' is no state of '{}'", name, model.name());
    else if (it->second.shape != tensor.shape || it->second.dtype != tensor.dtype)
      problems += fmt::format("\n  '{}': expected {}{}, got {}{}", name, name_of(it->second.dtype),
                              to_string(it->second.shape), name_of(tensor.dtype), to_string(tensor.shape));
    else
      it->second = tensor;
  }
  for (const State& s : model.program->states())
    if (s.kind == StateKind::parameter && !given.count(s.name)) problems += fmt::format("\n  '{}' is missing", s.name);
  if (!problems.empty()) fail("params.safetensors does not fit the program:{}", problems);
  return state;
}

std::map<std::string, std::pair<int64_t, int64_t>> skipped(const nlohmann::json& c) {
  std::map<std::string, std::pair<int64_t, int64_t>> out;
  if (c.contains("skip"))
    for (const auto& [name, range] : c.at("skip").items())
      out[name] = {range.at(0).get<int64_t>(), range.at(1).get<int64_t>()};
  return out;
}

void write(const std::string& directory, const Outcome& outcome) {
  std::error_code problem;
  std::filesystem::create_directories(directory, problem);
  if (problem) fail("cannot make the folder '{}': {}", directory, problem.message());
  const std::string losses = nlohmann::json(outcome.losses).dump(1) + "\n";
  files::write_file_atomically(directory + "/losses.json", std::as_bytes(std::span(losses)));
  files::save_safetensors(directory + "/grads_0.safetensors", outcome.gradients);
  files::save_safetensors(directory + "/params_after.safetensors", outcome.weights);
  files::save_safetensors(directory + "/samples.safetensors", outcome.samples);
}

void verify(const VerifyOptions& o, int& status) {
  check_choice("device", o.device, {"cpu"});
  check_choice("backend", o.backend, {"interp", "jit", "aot"});
  const nlohmann::json c = read_case(o.directory);
  ModelOptions chosen = o.model;
  if (chosen.size.empty() && c.contains("size")) chosen.size = c.at("size").get<std::string>();
  const Model model = load(chosen, c.value("config", nlohmann::json::object()));
  const Entry& step = model.program->entry_named("step");

  package::Source source = source_of(model, {"step", "sample"}, true);
  source.entries.push_back(package::gradients_of(step));
  source.entries.back() = transform::feed_draws(source.entries.back());
  const auto backend = make_backend(o.backend, source, compile_options(o.compile), o.run);

  CaseInputs inputs;
  const TensorMap params = files::load_safetensors(o.directory + "/params.safetensors");
  inputs.initial = initial_state(model, params);
  for (int64_t k = 0; k < c.at("steps").get<int64_t>(); ++k)
    inputs.batches.push_back(files::load_safetensors(fmt::format("{}/batch_{}.safetensors", o.directory, k)));
  inputs.draw = files::load_safetensors(o.directory + "/draw.safetensors");
  const bool judged = c.contains("losses") && exists(o.directory + "/params_after.safetensors");
  Outcome expected;
  if (judged) {
    expected.losses = c.at("losses").get<std::vector<std::map<std::string, double>>>();
    expected.gradients = files::load_safetensors(o.directory + "/grads_0.safetensors");
    expected.weights = files::load_safetensors(o.directory + "/params_after.safetensors");
    expected.samples = files::load_safetensors(o.directory + "/samples.safetensors");
    for (const auto& [name, tensor] : expected.weights) inputs.weights.push_back(name);
  } else {
    for (const State& s : model.program->states())
      if (s.kind != StateKind::optimizer) inputs.weights.push_back(s.name);
  }
  const Outcome got = replay(*backend, step, inputs);
  if (!o.out.empty()) write(o.out, got);
  if (!judged) return fmt::print("{} on {}: replayed, nothing to compare with\n", model.name(), o.backend);

  const Errors e = judge(expected, got, params, skipped(c));
  nlohmann::ordered_json j{{"model", model.name()}, {"backend", o.backend}, {"case", o.directory}};
  bool ok = true;
  std::string line;
  for (const auto& [name, error] : {std::pair<const char*, double>{"loss", e.loss},
                                    {"grads", e.grads},
                                    {"weights", e.weights},
                                    {"samples", e.samples}}) {
    const double limit = c.at("limits").at(name).get<double>();
    ok &= error <= limit;
    j[name] = error;
    line += fmt::format("{}{} {:.2g} of {:g}", line.empty() ? "" : ", ", name, error, limit);
  }
  j["passed"] = ok;
  if (o.json)
    fmt::print("{}\n", j.dump());
  else
    fmt::print("{} on {}: {}: {}\n", model.name(), o.backend, ok ? "passed" : "FAILED", line);
  if (!ok) status = exit_mismatch;
}

}  // namespace

void add_verify(CLI::App& app, int& status) {
  auto o = std::make_shared<VerifyOptions>();
  CLI::App* verb = app.add_subcommand("verify", "replay a parity case and compare");
  add_model_options(*verb, o->model);
  verb->get_option("model")->required(false);
  verb->add_option(
          "--case", o->directory,
          "folder with case.json, params, batch_K, draw and, to be compared, grads_0, params_after and samples")
      ->type_name("DIR");
  verb->add_option("--onnx", o->onnx, "a tree of ONNX's test folders (model.onnx, test_data_set_*): no model, no case")
      ->type_name("DIR");
  verb->add_option("--backend", o->backend, "interp (f64, plain loops), jit or aot (a linked executable)")
      ->capture_default_str();
  verb->add_option("--device", o->device, "cpu")->capture_default_str();
  verb->add_option("--out", o->out, "write losses.json, grads_0, params_after and samples there")->type_name("DIR");
  verb->add_flag("--json", o->json, "print the errors as JSON");
  verb->add_flag("--verbose", o->verbose, "with --onnx, name the tests that pass, too");
  add_threads_option(*verb, o->run);
  add_compile_options(*verb, o->compile);
  verb->footer("\nExits with 3 if an error is past the case's limit.\nExample: gmc verify vae-mlp --case "
               "parity/vae-mlp --backend=aot");
  verb->callback([o, &status] {
    if (!o->onnx.empty()) {
      if (!o->model.model.empty() || !o->directory.empty()) fail_usage("--onnx: it takes no model and no --case");
      if (!verify_onnx({o->onnx, o->backend, o->verbose}, o->compile, o->run)) status = exit_mismatch;
      return;
    }
    if (o->model.model.empty() || o->directory.empty()) fail_usage("expected MODEL --case DIR, or --onnx DIR");
    try {
      verify(*o, status);
    } catch (const nlohmann::json::exception& e) {
      fail("'{}/case.json' is malformed: {}", o->directory, reason_of(e));
    }
  });
}

}  // namespace gmc::tool
