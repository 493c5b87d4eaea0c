// Models against what PyTorch computes: cases are folders of case.json, params, batch_K, draw, grads_0, params_after
// and samples (.safetensors), below $GMC_PARITY.
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"
#include "models/builtin.h"
#include "models/load.h"
#include "runtime/base/error.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace gmc {
namespace {

using Tensors = std::map<std::string, graph::Reference>;

class ParityCase {
public:
  explicit ParityCase(std::string folder);
  Tensors tensors(const std::string& name) const;
  std::string size() const { return json_.at("size"); }
  Overrides overrides() const;
  const nlohmann::json& json() const { return json_; }

private:
  std::string folder_;
  nlohmann::json json_;
};

// The worst errors: loss |got - ref| / max(1, |ref|); others |got - ref| / scale in 2-norms, scale being |ref|, for
// weights the norm of their update, beside which the rounding of the case to f32 is not small: it is left out.
struct ParityResult {
  double loss = 0, gradients = 0, weights = 0, samples = 0;
};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("cannot read {}", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
std::vector<double> widened(const char* from, size_t bytes) {
  std::vector<T> values(bytes / sizeof(T));
  std::memcpy(values.data(), from, bytes);
  return {values.begin(), values.end()};
}

double norm(const std::vector<double>& a, const std::vector<double>* b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = b ? a[i] - (*b)[i] : a[i];
    total += d * d;
  }
  return std::sqrt(total);
}

// The state that `ema.NAME` is an average of.
std::string without_prefix(const std::string& name) { return name.rfind("ema.", 0) == 0 ? name.substr(4) : name; }

double worst(const Tensors& expected, const Tensors& got, const Tensors* initial = nullptr) {
  double out = 0;
  for (const auto& [name, e] : expected) {
    const graph::Reference& g = got.at(name);
    if (g.shape != e.shape) fail("{}: expected {}, got {}", name, to_string(e.shape), to_string(g.shape));
    const double difference = norm(g.values, &e.values);
    if (initial)
      out = std::max(out, (difference - 0x1p-25 * norm(e.values, nullptr)) /
                              norm(e.values, &initial->at(without_prefix(name)).values));
    else
      out = std::max(out, difference / norm(e.values, nullptr));
  }
  return out;
}

ParityCase::ParityCase(std::string folder)
    : folder_(std::move(folder)), json_(nlohmann::json::parse(read(folder_ + "/case.json"))) {}

Tensors ParityCase::tensors(const std::string& name) const {
  const std::string bytes = read(folder_ + "/" + name + ".safetensors");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  Tensors out;
  const auto parsed = nlohmann::json::parse(bytes.substr(8, header));
  for (const auto& [key, t] : parsed.items()) {
    if (key == "__metadata__") continue;
    const size_t begin = t["data_offsets"][0], end = t["data_offsets"][1];
    const char* data = bytes.data() + 8 + header + begin;
    const std::string dtype = t["dtype"];
    if (dtype != "F32" && dtype != "I64") fail("{}: dtype {}", key, dtype);
    out[key] = {t["shape"].get<Shape>(),
                dtype == "F32" ? widened<float>(data, end - begin) : widened<int64_t>(data, end - begin)};
  }
  return out;
}

Overrides ParityCase::overrides() const {
  Overrides out;
  for (const auto& [name, value] : json_.at("config").items()) {
    std::string text = value.dump();
    if (value.is_array()) text = text.substr(1, text.size() - 2);
    out.emplace_back(name, text);
  }
  return out;
}

ParityResult replay(const Program& program, const ParityCase& c) {
  ParityResult result;
  const Tensors initial = c.tensors("params");
  Tensors states = initial;
  for (const State& s : program.states()) {
    if (s.kind != StateKind::optimizer) continue;
    states[s.name] = {s.shape, std::vector<double>(static_cast<size_t>(element_count(s.shape)), 0.0)};
  }
  const Entry& step = program.entry_named("step");
  graph::Graph with_gradients = *step.graph;
  for (const auto& [name, value] : step.gradients) with_gradients.add_output({"gradient of " + name, value, false});
  const graph::Graph g = transform::run_pipeline(transform::feed_draws(with_gradients));
  const auto& losses = c.json().at("losses");
  for (size_t k = 0; k < losses.size(); ++k) {
    Tensors inputs = states;
    for (auto& [name, value] : c.tensors(fmt::format("batch_{}", k))) inputs[name] = std::move(value);
    graph::Interpretation out = graph::interpret(g, inputs, 0, k);
    for (const auto& [name, value] : losses[k].items()) {
      const double expected = value, got = out.outputs.at(name).values.at(0);
      result.loss = std::max(result.loss, std::fabs(got - expected) / std::max(1.0, std::fabs(expected)));
    }
    if (k == 0) {
      Tensors gradients;
      for (const auto& [name, value] : step.gradients) gradients[name] = out.outputs.at("gradient of " + name);
      result.gradients = worst(c.tensors("grads_0"), gradients);
    }
    for (auto& [name, value] : out.updates) states[name] = std::move(value);
  }
  Tensors inputs = states;
  for (auto& [name, value] : c.tensors("draw")) inputs[name] = std::move(value);
  const graph::Graph sample = transform::feed_draws(*program.entry_named("sample").graph);
  graph::Interpretation drawn = graph::interpret(sample, inputs);
  result.samples = worst(c.tensors("samples"), drawn.outputs);
  // What sampling writes, such as the running statistics of batch norm, belongs to the weights of a case.
  for (auto& [name, value] : drawn.updates) states[name] = std::move(value);
  result.weights = worst(c.tensors("params_after"), states, &initial);
  return result;
}

class Parity : public testing::TestWithParam<std::string> {};

TEST_P(Parity, reference_interpreter_reproduces_the_case) {
  const char* cases = std::getenv("GMC_PARITY");
  const std::string folder = std::string(cases ? cases : "") + "/" + GetParam();
  if (!cases || !std::filesystem::exists(folder))
    GTEST_SKIP() << "GMC_PARITY names no folder with a case of " << GetParam();
  const ParityCase c(folder);
  Program p;
  load_model(GetParam()).build(p, c.size(), c.overrides());
  const ParityResult r = replay(p, c);
  EXPECT_LT(r.loss, 1e-7);
  EXPECT_LT(r.gradients, 1e-6);
  EXPECT_LT(r.weights, 1e-5);
  EXPECT_LT(r.samples, 1e-6);
  std::printf("loss %.2g, gradients %.2g, weights %.2g, samples %.2g\n", r.loss, r.gradients, r.weights, r.samples);
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& entry : builtin_models()) out.emplace_back(entry()->name);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Models, Parity, testing::ValuesIn(names()), [](const auto& model) {
  std::string name = model.param;
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
});

}  // namespace
}  // namespace gmc
