#include "tools/gmc/command.h"

#include "compiler/dsl/nearest.h"
#include "compiler/fusion/policy.h"
#include "compiler/package/program_source.h"
#include "models/load.h"
#include "runtime/base/error.h"
#include "runtime/files/reader.h"
#include "runtime/files/safetensors.h"
#include "tools/gmc/checkpoint.h"
#include "tools/gmc/gpt2_weights.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <new>

namespace gmc::tool {

namespace {

void add_symbols(CLI::App& app, ModelOptions& o, const std::string& set) {
  app.add_option("--set", o.set, set)->type_name("FIELD=VALUE")->allow_extra_args(false);
  app.add_option("--bind", o.bind, "make an input of an ONNX model a constant")
      ->type_name("NAME=FILE.npy")
      ->allow_extra_args(false);
}

}  // namespace

void add_onnx_options(CLI::App& app, ModelOptions& o) {
  app.add_option("model", o.model, "the model")->required()->type_name("FILE.onnx");
  add_symbols(app, o, "give a symbolic extent");
}

void add_model_options(CLI::App& app, ModelOptions& o) {
  app.add_option("model", o.model, "a workload (see `gmc list models`) or the path of a model's .cpp, .onnx or .graph")
      ->required()
      ->type_name("MODEL");
  app.add_option("--size", o.size, "a named configuration, such as tiny or base")->type_name("NAME");
  add_symbols(app, o, "override a field of the configuration, or give a symbolic extent of an ONNX model");
  app.add_option("--precision", o.precision,
                 "what products are computed in, where the model does not say: f32, bf16 or f16 (state stays f32)")
      ->capture_default_str();
}

void add_compile_options(CLI::App& app, CompileOptions& o) {
  app.add_option("--policy", o.policy, "fusion policy (see `gmc list policies`)")->capture_default_str();
  app.add_option("--fusion-plan", o.plan_file, "use the plan in this file instead of a policy's")->type_name("FILE");
  app.add_option("--lib", o.library, "library for products: none (all code is generated) or onednn")
      ->capture_default_str();
  app.add_option("--march", o.target, "what to generate code for (see `gmc list targets`)")->capture_default_str();
}

void add_seed_option(CLI::App& app, RunOptions& o) {
  app.add_option("--seed", o.seed, "of all random draws")->check(unsigned_number())->capture_default_str();
}

void add_weights_options(CLI::App& app, std::string& path, bool& ema) {
  app.add_option("--weights", path, "safetensors with the parameters; without it the initial ones of the seed")
      ->type_name("FILE");
  app.add_flag("--ema", ema, "use the averages of the weights (ema.NAME in the file)");
}

void add_threads_option(CLI::App& app, RunOptions& o) {
  app.add_option("--threads", o.threads, "1 to 64; 0: as many as there are CPUs")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
}

namespace {

template <class Number>
CLI::Validator whole_number(Number least) {
  return CLI::Validator(
      [least](std::string& text) -> std::string {
        Number number = 0;
        const char* const last = text.data() + text.size();
        const auto [end, problem] = std::from_chars(text.data(), last, number);
        if (problem == std::errc::result_out_of_range) return fmt::format("{} is out of range", text);
        if (problem == std::errc() && end == last && number >= least) return "";
        return fmt::format("expected a whole number, {} or more, got {}", least, text);
      },
      "");
}

}  // namespace

CLI::Validator at_least(int64_t least) { return whole_number(least); }

CLI::Validator unsigned_number() { return whole_number(uint64_t{0}); }

std::string reason_of(const nlohmann::json::exception& e) {
  const std::string text = e.what();
  return text.substr(text.find("] ") == text.npos ? 0 : text.find("] ") + 2);
}

std::string Model::config_json() const {
  nlohmann::ordered_json j;
  for (const auto& [field, value] : values) j[field] = value;
  return j.dump();
}

std::string Model::field(const std::string& name, const std::string& otherwise) const {
  for (const auto& [field, value] : values)
    if (field == name) return value;
  return otherwise;
}

namespace {

std::string text_of(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string out;
  for (const auto& element : value) out += (out.empty() ? "" : ",") + element.dump();
  return out;
}

}  // namespace

TensorMap Model::initial_state(uint64_t seed) const {
  return definition ? package::initial_state(*program, seed) : weights;
}

std::unique_ptr<Program> new_program(const ModelOptions& o) {
  check_choice("precision", o.precision, {"f32", "bf16", "f16"});
  auto program = std::make_unique<Program>();
  program->set_precision(*dtype_named(o.precision));
  return program;
}

namespace {

// A model is code of somebody else's, which may throw anything.
void build(const Model& m, const Overrides& overrides) try {
  m.definition->build(*m.program, m.size, overrides);
} catch (const Error&) {
  throw;
} catch (const std::bad_alloc&) {
  throw;
} catch (const std::exception& e) {
  fail("model '{}' ended with an exception: {}", m.name(), e.what());
} catch (...) {
  fail("model '{}' threw what is no std::exception", m.name());
}

}  // namespace

Model load(const ModelOptions& o, const nlohmann::json& config) {
  if (is_program_file(o.model)) return load_program_file(o);
  if (!o.bind.empty()) fail_usage("--bind: '{}' is no ONNX model", o.model);
  Model m;
  m.definition = &load_model(o.model);
  m.size = o.size.empty() ? m.definition->sizes.at(0) : o.size;
  Overrides overrides;
  if (config.is_object())
    for (const auto& [field, value] : config.items())
      if (!value.is_null()) overrides.emplace_back(field, text_of(value));  // null: the model's default
  for (const std::string& s : o.set) {
    const size_t equals = s.find('=');
    if (equals == std::string::npos || equals == 0) fail_usage("--set {}: expected FIELD=VALUE", s);
    overrides.emplace_back(s.substr(0, equals), s.substr(equals + 1));
  }
  m.values = m.definition->values(m.size, overrides);
  m.program = new_program(o);
  build(m, overrides);
  return m;
}

package::Options compile_options(const CompileOptions& o) {
  package::Options out;
  check_choice("target", o.target, codegen::target_names());
  out.target = codegen::target_named(o.target);
  std::vector<std::string> policies;
  for (const fusion::Policy& policy : fusion::policies()) policies.emplace_back(policy.name);
  check_choice("policy", o.policy, policies);
  out.policy = o.policy;
  check_choice("library", o.library, {"none", "onednn"});
  out.library = o.library == "none" ? "" : o.library;
  if (o.plan_file.empty()) return out;
  nlohmann::json j;
  try {
    j = nlohmann::json::parse(read_text(o.plan_file), nullptr, true, true);
  } catch (const nlohmann::json::exception& e) {
    fail("plan file '{}' is malformed: {}", o.plan_file, reason_of(e));
  }
  if (j.is_object() && j.contains("entry") && j.at("entry").is_string()) {
    out.plans[j.at("entry").get<std::string>()] = j.dump();
    return out;
  }
  if (!j.is_object() || !j.contains("entries") || !j.at("entries").is_object())
    fail("plan file '{}': expected a plan with \"entry\", or \"entries\" with one plan each", o.plan_file);
  if (!j.contains("fuseplans") || j.at("fuseplans") != 1)
    fail("plan file '{}': expected \"fuseplans\": 1 beside \"entries\"", o.plan_file);
  for (const auto& [entry, plan] : j.at("entries").items()) out.plans[entry] = plan.dump();
  return out;
}

package::Source source_of(const Model& m, const std::vector<std::string>& entries, bool feed_draws) {
  package::Source source = package::source_of(*m.program, m.name(), entries, feed_draws);
  source.config = m.config_json();
  return source;
}

package::SessionOptions session_options(const RunOptions& o) {
  const char* mode = std::getenv("GMC_TEST_ALLOC");
  return {o.threads, mode && std::string(mode) == "guard"};
}

TensorMap load_weights(const std::string& path, files::Metadata* metadata) {
  TensorMap weights = files::load_safetensors(path, metadata);
  return are_gpt2_weights(weights) ? from_gpt2(weights, path) : weights;
}

void set_weights(package::Session& session, const Model& m, const std::string& path, uint64_t seed, bool ema) {
  session.set_state(m.initial_state(seed), false);
  if (path.empty() && ema) fail_usage("--ema: expected --weights with averages");
  if (path.empty()) return;
  files::Metadata metadata;
  TensorMap weights = load_weights(path, &metadata);
  drop_foreign_optimizers(weights, metadata, m);
  bool averaged = false;
  if (ema)
    for (auto& [name, tensor] : weights) {
      const auto average = weights.find("ema." + name);
      if (average == weights.end()) continue;
      tensor = average->second;
      averaged = true;
    }
  if (ema && !averaged) fail("'{}' holds no averages: no weight NAME with an ema.NAME", path);
  // A model that keeps no averages knows no such names.
  for (auto it = weights.begin(); ema && it != weights.end();) {
    const auto& states = m.program->states();
    const bool unknown =
        it->first.rfind("ema.", 0) == 0 &&
        std::none_of(states.begin(), states.end(), [&](const State& s) { return s.name == it->first; });
    it = unknown ? weights.erase(it) : std::next(it);
  }
  try {
    session.set_state(weights, true);
  } catch (const Error& e) {
    const std::string strange = strangeness(metadata, m);
    fail("'{}': {}{}", path, e.what(), strange.empty() ? "" : fmt::format("\n  ({})", strange));
  }
}

void check_choice(const std::string& what, const std::string& name, const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), name) == names.end()) fail_usage("{}", unknown_name(what, name, names));
}

std::string read_text(const std::string& path) {
  const auto bytes = files::read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string bytes_text(int64_t bytes) {
  const auto b = static_cast<double>(bytes);
  if (bytes < 10000) return fmt::format("{} bytes", bytes);
  if (b < 1e7) return fmt::format("{:.1f} kB", b / 1e3);
  return fmt::format("{:.1f} MB", b / 1e6);
}

}  // namespace gmc::tool
