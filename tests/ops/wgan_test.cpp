// Second derivatives: the gradients of a WGAN penalty (Gulrajani et al. 2017) against float64 numbers of PyTorch, which
// tools/peers/wgan.py writes.
#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"
#include "models/gmc.h"
#include "runtime/base/tensor.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <map>
#include <stdexcept>

namespace gmc {
namespace {

using nlohmann::json;
using Tensors = std::map<std::string, graph::Reference>;

graph::Reference tensor_of(const json& value) {
  if (!value.is_array()) return {{}, {value.get<double>()}};
  graph::Reference out{{static_cast<int64_t>(value.size())}, {}};
  for (const json& row : value) {
    const graph::Reference r = tensor_of(row);
    out.values.insert(out.values.end(), r.values.begin(), r.values.end());
    out.shape.resize(1);
    out.shape.insert(out.shape.end(), r.shape.begin(), r.shape.end());
  }
  return out;
}

const json& case_named(const std::string& name) {
  static const json* all = [] {
    std::ifstream file(GMC_SOURCE_DIR "/tests/ops/wgan.json");
    return new json(json::parse(file));
  }();
  for (const json& one : all->at("cases"))
    if (one.at("name") == name) return one;
  throw std::runtime_error("no case " + name);
}

// A critic: the parameters of a case under PyTorch's names.
struct Critic {
  std::map<std::string, Parameter> all;

  explicit Critic(const json& one) {
    for (const auto& [name, value] : one.at("parameters").items())
      all[name] = Parameter(tensor_of(value).shape, init::zeros());
  }
  Parts gmc_parts() const {
    Parts out;
    for (const auto& [name, p] : all) out.push_back(Part(p)), out.back().name = name;
    return out;
  }
  Tensor linear(const std::string& layer, Tensor x) const {
    return matmul(x, all.at(layer + ".weight"), false, true) + all.at(layer + ".bias");
  }
  // A convolution as a product over sliding windows: x [n, c, h, w], weight [o, c, k, k].
  Tensor conv(const std::string& layer, Tensor x, int64_t stride, int64_t padding) const {
    const Parameter& weight = all.at(layer + ".weight");
    const int64_t out = weight.shape()[0], c = weight.shape()[1], k = weight.shape()[2];
    const graph::Var v{x.graph().get(), x.value()};
    // [n, c, h, w, k, k]
    const graph::Var seen =
        graph::windows(v, {2, 3}, {k, k}, {stride, stride}, {padding, padding}, {padding, padding}, {1, 1});
    const Shape shape = seen.shape();
    const Tensor columns{x.graph(), graph::transpose(seen, {0, 2, 3, 1, 4, 5}).value};
    const Tensor y = matmul(reshape(columns, {-1, c * k * k}), reshape(weight, {out, -1}), false, true);
    return transpose(reshape(y + all.at(layer + ".bias"), {shape[0], shape[2], shape[3], out}), {0, 3, 1, 2});
  }
  Tensor operator()(const std::string& kind, Tensor x) const {
    if (kind == "mlp") return linear("fc3", leaky_relu(linear("fc2", leaky_relu(linear("fc1", x), 0.2)), 0.2));
    if (kind == "smooth") return linear("fc3", softplus(linear("fc2", silu(linear("fc1", x)))));
    Tensor h = leaky_relu(conv("conv1", x, 2, 1), 0.2);
    h = leaky_relu(conv("conv2", h, 1, 1), 0.2);
    return linear("fc", reshape(h, {x.dim(0), -1}));
  }
};

void build(Program& p, const json& one) {
  const Critic critic(one);
  p.state(critic);
  p.entry("penalty", [&] {
    const Tensor x = input("x", f32, tensor_of(one.at("x")).shape);
    const Tensor slope = gradients(sum(critic(one.at("name"), x)), {x})[0];
    const Tensor norms = sqrt(sum(square(reshape(slope, {x.dim(0), -1})), {1}));
    const Tensor penalty = mean(square(norms - 1));
    output("penalty", penalty);
    std::vector<Tensor> wrt;
    for (const auto& [name, parameter] : critic.all) wrt.emplace_back(parameter);
    const std::vector<Tensor> all = gradients(penalty, wrt);
    size_t i = 0;
    for (const auto& [name, parameter] : critic.all) output("d " + name, all[i++]);
  });
}

// The largest error of all gradients and the penalty, over the largest gradient.
double worst(const json& one, const std::map<std::string, std::vector<double>>& got) {
  double difference = 0, scale = 0;
  const auto compare = [&](const json& value, const std::vector<double>& values) {
    const graph::Reference expected = tensor_of(value);
    for (size_t i = 0; i < expected.values.size(); ++i) {
      const double d = std::fabs(expected.values[i] - values.at(i));
      if (!(d <= difference)) difference = d;  // keeps a NaN
      scale = std::max(scale, std::fabs(expected.values[i]));
    }
  };
  for (const auto& [name, value] : one.at("gradients").items()) compare(value, got.at("d " + name));
  compare(one.at("penalty"), got.at("penalty"));
  return difference / scale;
}

class GradientPenalty : public testing::TestWithParam<const char*> {};
class CompiledPenalty : public GradientPenalty {};

TEST_P(GradientPenalty, interpreter_gives_the_gradients_of_pytorch) {
  const json& one = case_named(GetParam());
  Program p;
  build(p, one);
  Tensors inputs{{"x", tensor_of(one.at("x"))}};
  for (const auto& [name, value] : one.at("parameters").items()) inputs[name] = tensor_of(value);
  const graph::Graph& captured = *p.entry_named("penalty").graph;
  for (const graph::Graph& g : {captured, transform::run_pipeline(captured)}) {
    std::map<std::string, std::vector<double>> got;
    for (const auto& [name, value] : graph::interpret(g, inputs).outputs) got[name] = value.values;
    EXPECT_LT(worst(one, got), 1e-10);
  }
}

// Sums of up to 100 products, four layers deep, each within 2^-24 of its terms.
TEST_P(CompiledPenalty, gives_them_in_f32) {
  const json& one = case_named(GetParam());
  Program p;
  build(p, one);
  const auto narrowed = [](const json& value) {
    const graph::Reference r = tensor_of(value);
    HostTensor t(f32, r.shape);
    for (size_t i = 0; i < r.values.size(); ++i) t.as<float>()[i] = static_cast<float>(r.values[i]);
    return t;
  };
  for (const char* policy : {"none", "greedy"}) {
    CompiledEntry entry = compile(p, "penalty", {.policy = policy});
    TensorMap states;
    for (const auto& [name, value] : one.at("parameters").items()) states.emplace(name, narrowed(value));
    entry.set_state(states);
    std::map<std::string, std::vector<double>> got;
    for (const auto& [name, t] : entry.run({{"x", narrowed(one.at("x"))}}))
      got[name] = {t.as<float>(), t.as<float>() + t.count()};
    EXPECT_LT(worst(one, got), 1e-6) << policy;
  }
}

std::string named(const testing::TestParamInfo<const char*>& kind) { return kind.param; }
INSTANTIATE_TEST_SUITE_P(Critics, GradientPenalty, testing::Values("mlp", "smooth", "conv"), named);
// Windows are not compiled.
INSTANTIATE_TEST_SUITE_P(Critics, CompiledPenalty, testing::Values("mlp", "smooth"), named);

}  // namespace
}  // namespace gmc
