// One op on the operands of a sample: what the tests of the op table run.
#pragma once

#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/graph/text.h"
#include "ops/registry.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gmc::tests {

using Inputs = std::map<std::string, graph::Reference>;

// Uniform in [low, high), whole numbers for integers, both for bool; functions of the name. Floating values are f32
// numbers, so that every backend gets the same.
inline graph::Reference random_values(const graph::TensorType& type, const std::string& name, double low, double high) {
  graph::Reference out{type.shape, {}};
  const uint64_t key = execute::stream_key(0, execute::stream_of(name.c_str()), 0);
  for (int64_t e = 0; e < element_count(type.shape); ++e) {
    const double u = execute::uniform_of(execute::random_word(key, static_cast<uint64_t>(e)));
    const double v = low + (high - low) * u;
    out.values.push_back(type.dtype == DType::boolean ? (u < 0.5 ? 0.0 : 1.0)
                         : is_float(type.dtype)       ? static_cast<double>(static_cast<float>(v))
                                                      : std::floor(v));
  }
  return out;
}

struct Trial {
  graph::Graph graph{"trial"};
  std::vector<graph::Var> operands, results;
  Inputs inputs;

  Trial() = default;
  Trial(const graph::OpDef& op, const graph::Sample& sample) { add(op, sample, ""); }

  // One more node; `prefix` tells its operands apart.
  void add(const graph::OpDef& op, const graph::Sample& sample, const std::string& prefix) {
    std::vector<graph::Value> values;
    for (size_t i = 0; i < sample.inputs.size(); ++i) {
      const std::string name = prefix + "x" + std::to_string(i);
      operands.push_back(input(name, sample.inputs[i], sample.low, sample.high));
      values.push_back(operands.back().value);
    }
    const graph::Value first = graph.add(op, values, sample.attributes);
    for (size_t r = 0; r < graph.node(first).types.size(); ++r)
      results.push_back({&graph, {first.node, static_cast<int32_t>(r)}});
  }
  graph::Var input(const std::string& name, const graph::TensorType& type, double low = -1, double high = 1) {
    inputs[name] = random_values(type, name, low, high);
    return graph::input(graph, name, "data", type);
  }
  void output_all() {
    for (size_t r = 0; r < results.size(); ++r) graph.add_output({"y" + std::to_string(r), results[r].value});
  }
};

inline std::vector<graph::Sample> samples_of(const graph::OpDef& op) {
  return op.samples ? op.samples() : std::vector<graph::Sample>{};
}

// The sample with operand `typed`, and all others of its dtype, in another dtype; nothing if there is no such operand.
inline std::optional<graph::Sample> with_dtype(const graph::OpDef& op, graph::Sample sample, DType dtype) {
  const auto typed = static_cast<size_t>(op.typed);
  if (typed >= sample.inputs.size()) return std::nullopt;
  const DType was = sample.inputs[typed].dtype;
  for (graph::TensorType& t : sample.inputs)
    if (t.dtype == was) t.dtype = dtype;
  if (dtype == DType::u8) sample.low = std::fmax(0, sample.low), sample.high = std::fmax(3, sample.high);
  return sample;
}

inline bool is_accepted(const graph::OpDef& op, const graph::Sample& sample) {
  try {
    const Trial trial(op, sample);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Factorisations and what is made of them: as sensitive as their matrices, and they promise nothing of infinite ones.
inline bool is_factorisation(const graph::OpDef& op) {
  const std::string name = op.name;
  return name == "qr" || name == "lu" || name == "cholesky" || name == "triangular_solve" || name == "solve" ||
         name == "inverse" || name == "log_det";
}

}  // namespace gmc::tests
