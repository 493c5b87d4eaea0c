// The problem and the cases of trajectories.json (tools/peers/optimizers.py writes it) as programs.
#pragma once

#include "compiler/graph/op.h"
#include "models/gmc.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace gmc::testing_optimizers {

using nlohmann::json;
using Tensors = std::map<std::string, graph::Reference>;

struct Net {
  Parameter w1, b1, w2, b2, scale;
  GMC_PARTS(w1, b1, w2, b2, scale)
  Net();
  Tensor loss(Tensor x, Tensor y) const;
};

inline const json& trajectories() {
  static const json* all = [] {
    std::ifstream file(GMC_SOURCE_DIR "/tests/optimizers/trajectories.json");
    return new json(json::parse(file));
  }();
  return *all;
}

// Numbers, nested or not, with their shape.
inline graph::Reference tensor_of(const json& value) {
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

inline Net::Net() {
  const json& p = trajectories().at("parameters");
  const auto like = [&](const char* name) { return Parameter(tensor_of(p.at(name)).shape, init::zeros()); };
  w1 = like("w1"), b1 = like("b1"), w2 = like("w2"), b2 = like("b2"), scale = like("scale");
}

inline Tensor Net::loss(Tensor x, Tensor y) const {
  const Tensor h = tanh(matmul(x, w1) + b1);
  return mean(square(scale * matmul(h, w2) + b2 - y));
}

// The learning rate that a case's `lr` says.
inline At rate_of(const json& lr) {
  if (lr.is_number()) return lr.get<double>();
  const std::string kind = lr.at("schedule");
  const auto number = [&](const char* name) { return lr.at(name).get<double>(); };
  const Tensor t = step_count();
  if (kind == "step") return schedule::step(t, number("lr"), lr.at("every").get<int64_t>(), number("factor"));
  if (kind == "milestones")
    return schedule::milestones(t, number("lr"), lr.at("at").get<std::vector<double>>(), number("factor"));
  if (kind == "exponential") return schedule::exponential(t, number("lr"), number("factor"));
  if (kind == "warmup") return schedule::warmup(t, number("lr"), number("steps"), number("start"));
  if (kind == "noam") return schedule::noam(t, number("width"), number("warmup"), number("lr"));
  if (kind != "cosine") throw std::runtime_error("unknown schedule " + kind);
  return schedule::cosine(t, {.lr = number("lr"),
                              .steps = number("steps"),
                              .warmup = number("warmup"),
                              .start = number("start"),
                              .floor = number("floor")});
}

// Sets the fields that a case names; an option that no field took is an error of the test.
class Fields {
public:
  explicit Fields(const json& options) : options_(options) {}
  template <class T>
  void operator()(const char* name, T& field) {
    if (!options_.contains(name)) return;
    field = options_.at(name).get<T>();
    ++taken_;
  }
  void lr(At& field) {
    field = rate_of(options_.at("lr"));
    ++taken_;
  }
  void finish() const {
    if (taken_ != options_.size()) throw std::runtime_error("unknown option in " + options_.dump());
  }

private:
  const json& options_;
  size_t taken_ = 0;
};

inline void name_fields(Fields& f, Sgd& o) {
  f("momentum", o.momentum), f("dampening", o.dampening), f("weight_decay", o.weight_decay), f("nesterov", o.nesterov);
}
inline void name_fields(Fields& f, Adam& o) {
  f("betas", o.betas), f("eps", o.eps), f("weight_decay", o.weight_decay), f("decoupled", o.decoupled);
  f("amsgrad", o.amsgrad);
}
inline void name_fields(Fields& f, Adamax& o) {
  f("betas", o.betas), f("eps", o.eps), f("weight_decay", o.weight_decay);
}
inline void name_fields(Fields& f, RmsProp& o) {
  f("alpha", o.alpha), f("eps", o.eps), f("weight_decay", o.weight_decay), f("momentum", o.momentum);
  f("centered", o.centered);
}
inline void name_fields(Fields& f, Adagrad& o) {
  f("lr_decay", o.lr_decay), f("eps", o.eps), f("weight_decay", o.weight_decay);
  f("initial_accumulator", o.initial_accumulator);
}
inline void name_fields(Fields& f, Lion& o) { f("betas", o.betas), f("weight_decay", o.weight_decay); }

template <class Optimizer>
void minimize_with(const Tensor& loss, const Net& net, const json& options) {
  Optimizer o;
  o.name = "o";
  Fields fields(options);
  fields.lr(o.lr);
  fields("clip", o.clip), fields("clip_value", o.clip_value);
  name_fields(fields, o);
  fields.finish();
  minimize(loss, parameters(net), o);
}

// Adds the entry `step` of a case: its optimiser, and the average where it has one.
inline void build(Program& p, const json& one) {
  const Net net, smooth;
  p.state(net);
  const bool averages = one.contains("ema");
  if (averages) {
    as_average(smooth);
    p.state(smooth, "ema");
  }
  p.entry("step", [&] {
    const json& batch = trajectories().at("batches")[0];
    const Tensor loss =
        net.loss(input("x", f32, tensor_of(batch.at("x")).shape), input("y", f32, tensor_of(batch.at("y")).shape));
    const std::string kind = one.at("optimizer");
    const json& options = one.at("options");
    if (kind == "Sgd") minimize_with<Sgd>(loss, net, options);
    if (kind == "Adam") minimize_with<Adam>(loss, net, options);
    if (kind == "Adamax") minimize_with<Adamax>(loss, net, options);
    if (kind == "RmsProp") minimize_with<RmsProp>(loss, net, options);
    if (kind == "Adagrad") minimize_with<Adagrad>(loss, net, options);
    if (kind == "Lion") minimize_with<Lion>(loss, net, options);
    if (averages) ema(smooth, net, one.at("ema").at("decay").get<double>());
  });
}

// The parameters of the problem, and the initial values of all other states.
inline Tensors initial_states(const Program& p) {
  Tensors out;
  for (const State& s : p.states())
    out[s.name] = {s.shape, std::vector<double>(static_cast<size_t>(element_count(s.shape)), s.initialiser.a)};
  for (const auto& [name, value] : trajectories().at("parameters").items()) out[name] = tensor_of(value);
  return out;
}

// max |got - expected| / max |expected|.
inline double worst(const graph::Reference& expected, const std::vector<double>& got) {
  double difference = 0, scale = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = std::fabs(expected.values.at(i) - got[i]);
    if (!(d <= difference)) difference = d;  // keeps a NaN
    scale = std::max(scale, std::fabs(expected.values[i]));
  }
  return difference / scale;
}

}  // namespace gmc::testing_optimizers
