// Ops on their own samples, compiled: a program of one node, its inputs, and how outputs of any dtype are compared.
#pragma once

#include "compiler/codegen/target.h"
#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/graph/text.h"
#include "compiler/package/session.h"
#include "compiler/package/table.h"
#include "runtime/base/error.h"
#include "runtime/execute/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace gmc::tests {

// A tensor of these values, rounded to its dtype; and the values of a tensor.
inline HostTensor tensor_of(const graph::TensorType& type, const std::vector<double>& values) {
  HostTensor out(type.dtype, type.shape);
  const std::string bytes = package::bytes_of(type.dtype, values);
  if (!bytes.empty()) std::memcpy(out.bytes.data(), bytes.data(), bytes.size());
  return out;
}
inline std::vector<double> values_of(const HostTensor& t) {
  std::vector<double> out;
  for (size_t i = 0; i < static_cast<size_t>(t.count()); ++i) switch (t.dtype) {
    case DType::f32:
      out.push_back(static_cast<double>(t.as<float>()[i]));
      break;
    case DType::f64:
      out.push_back(t.as<double>()[i]);
      break;
    case DType::i32:
      out.push_back(t.as<int32_t>()[i]);
      break;
    case DType::i64:
      out.push_back(static_cast<double>(t.as<int64_t>()[i]));
      break;
    case DType::i8:
      out.push_back(t.as<int8_t>()[i]);
      break;
    default:
      out.push_back(t.as<uint8_t>()[i]);
    }
  return out;
}

// Uniform in [low, high), whole numbers for integers (not negative for u8), rounded to the dtype.
inline HostTensor random_tensor(const graph::TensorType& type, uint64_t seed, double low, double high) {
  std::vector<double> values;
  for (int64_t e = 0; e < element_count(type.shape); ++e) {
    const double u = execute::uniform_of(execute::random_word(seed, static_cast<uint64_t>(e)));
    const double v = low + (high - low) * u;
    values.push_back(type.dtype == DType::boolean ? std::floor(2 * u)
                     : is_float(type.dtype)       ? v
                     : type.dtype == DType::u8    ? std::floor(std::fabs(v))
                                                  : std::floor(v));
  }
  return tensor_of(type, values);
}

struct SampleProgram {
  graph::Graph graph{"trial"};
  TensorMap inputs;

  // Operands of the dtype of the typed one become `dtype`. Outputs: `y0`, `y1`, ..., one a result.
  SampleProgram(const graph::OpDef& op, const graph::Sample& sample, DType dtype) {
    std::vector<graph::Value> operands;
    for (size_t i = 0; i < sample.inputs.size(); ++i) {
      graph::TensorType type = sample.inputs[i];
      if (type.dtype == sample.inputs[static_cast<size_t>(op.typed)].dtype) type.dtype = dtype;
      const std::string name = fmt::format("x{}", i);
      operands.push_back(graph::input(graph, name, "data", type).value);
      inputs[name] = random_tensor(type, i + 1, sample.low, sample.high);
    }
    const graph::Value y = graph.add(op, operands, sample.attributes);
    for (size_t r = 0; r < graph.node(y).types.size(); ++r)
      graph.add_output({fmt::format("y{}", r), {y.node, static_cast<int32_t>(r)}, false});
  }

  graph::Interpretation reference() const {
    std::map<std::string, graph::Reference> values;
    for (const auto& [name, tensor] : inputs) values[name] = {tensor.shape, values_of(tensor)};
    return graph::interpret(graph, values);
  }
};

// Floats to a relative error that suits their dtype, NaN and infinities where they are wanted; integers exactly.
inline void expect_values(const HostTensor& got, const graph::Reference& want, const std::string& what) {
  ASSERT_EQ(got.shape, want.shape) << what;
  const std::vector<double> values = values_of(got);
  const double tolerance = got.dtype == DType::f32 ? 2e-5 : got.dtype == DType::f64 ? 1e-11 : 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(want.values[i])) {
      ASSERT_TRUE(std::isnan(values[i])) << what << " " << i;
    } else if (std::isinf(want.values[i])) {
      ASSERT_EQ(values[i], want.values[i]) << what << " " << i;
    } else {
      ASSERT_NEAR(values[i], want.values[i], tolerance * (1 + std::fabs(want.values[i]))) << what << " " << i;
    }
  }
}

// Compiled in guard mode, with several numbers of threads: the same bits, and what the interpreter gives.
inline void expect_program(const graph::Graph& g, const TensorMap& inputs, const graph::Interpretation& want) {
  const package::Compiled compiled =
      package::compile({"trial", "{}", {}, {g}}, {codegen::host_target(), "greedy", {}, "", 1, false});
  TensorMap first;
  for (int threads : {1, 2, 5}) {
    package::Session session(compiled, {threads, true});
    const TensorMap got = session.run(g.entry(), inputs);
    if (first.empty()) first = got;
    for (const auto& [name, tensor] : got) {
      EXPECT_EQ(tensor.bytes, first.at(name).bytes) << threads << " threads, " << name;
      expect_values(tensor, want.outputs.at(name), fmt::format("{}: {}\n{}", name, threads, graph::print(g)));
    }
  }
}

}  // namespace gmc::tests
