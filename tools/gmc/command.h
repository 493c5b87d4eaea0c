// What the verbs share: options, the loaded model, compiled sessions.
#pragma once

#include "compiler/dsl/model.h"
#include "compiler/dsl/program.h"
#include "compiler/package/compile.h"
#include "compiler/package/session.h"
#include "runtime/files/safetensors.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <vector>

namespace gmc::tool {

// Exit statuses: 0 fine, 1 a diagnosed error, 2 a mistake in the command line, 3 a result outside its limits.
inline constexpr int exit_error = 1, exit_usage = 2, exit_mismatch = 3;

struct ModelOptions {
  std::string model;  // a workload, or the path of a .cpp, .onnx or .graph
  std::string size;
  std::vector<std::string> set;   // field=value
  std::vector<std::string> bind;  // of an ONNX model: input=file.npy
  std::string precision = "f32";
};
void add_model_options(CLI::App&, ModelOptions&);
void add_onnx_options(CLI::App&, ModelOptions&);  // those of a model that must be an .onnx

struct CompileOptions {
  std::string policy = "greedy";
  std::string plan_file;
  std::string library = "none";
  std::string target = "native";
};
void add_compile_options(CLI::App&, CompileOptions&);

struct RunOptions {
  uint64_t seed = 0;
  int threads = 0;
};
void add_seed_option(CLI::App&, RunOptions&);
void add_threads_option(CLI::App&, RunOptions&);
void add_weights_options(CLI::App&, std::string& path, bool& ema);

// A model with its configuration, captured.
struct Model {
  const ModelDefinition* definition = nullptr;  // null for a program from a file
  std::string file_name;                        // its name then
  TensorMap weights;                            // and what its states start with
  Overrides values;                             // of the configuration, after overrides
  std::unique_ptr<Program> program;

  std::string name() const { return definition ? definition->name : file_name; }
  std::string size;
  std::string config_json() const;
  // A field of the configuration; `otherwise` if it has none of that name.
  std::string field(const std::string& name, const std::string& otherwise = {}) const;
  TensorMap initial_state(uint64_t seed) const;
};
// An empty program of the precision that is asked for.
std::unique_ptr<Program> new_program(const ModelOptions&);
// `config`: a JSON object that overrides fields before --set does.
Model load(const ModelOptions&, const nlohmann::json& config = {});

// A program from a file: an ONNX model, or what `gmc import` made of one.
bool is_program_file(const std::string& path);
Model load_program_file(const ModelOptions&);
std::string weights_path(const std::string& graph_path);

// Plans of a --fusion-plan file, by entry: one plan, or an object with one per entry.
package::Options compile_options(const CompileOptions&);
package::Source source_of(const Model&, const std::vector<std::string>& entries = {}, bool feed_draws = false);
package::SessionOptions session_options(const RunOptions&);

// A checkpoint or any safetensors file with the parameters' names, which are PyTorch's, or those of GPT-2 in Hugging
// Face's transformers (gpt2_weights.h).
TensorMap load_weights(const std::string& path, files::Metadata* = nullptr);
// Loads such weights into a session. Empty path: the initial values of the seed. `ema`: the averages `ema.NAME` in the
// file take the place of NAME; throws `Error` if there are none.
void set_weights(package::Session&, const Model&, const std::string& path, uint64_t seed, bool ema = false);

// Of a flag: a whole number, this or more.
CLI::Validator at_least(int64_t least);
// Any of 64 bits.
CLI::Validator unsigned_number();
// What is wrong with a JSON text, without the library's own prefix.
std::string reason_of(const nlohmann::json::exception&);

// Throws `Error` (usage) with the nearest of `names` unless `name` is one of them. `what`: `policy`, `stage`, ...
void check_choice(const std::string& what, const std::string& name, const std::vector<std::string>& names);

// The file as text; throws `Error` if it cannot be read.
std::string read_text(const std::string& path);
std::string bytes_text(int64_t bytes);  // `2.6 MB`

// The verbs: each adds its options and sets what running it does. `status` becomes the exit status.
void add_train(CLI::App&, int& status);
void add_sample(CLI::App&, int& status);
void add_eval(CLI::App&, int& status);
void add_compile(CLI::App&, int& status);
void add_run(CLI::App&, int& status);
void add_verify(CLI::App&, int& status);
void add_bench(CLI::App&, int& status);
void add_inspect(CLI::App&, int& status);
void add_list(CLI::App&, int& status);
void add_import(CLI::App&, int& status);

}  // namespace gmc::tool
