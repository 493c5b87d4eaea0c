#include "models/nn/ema.h"

#include "compiler/dsl/capture.h"
#include "ops/ops.h"
#include "runtime/base/error.h"

namespace gmc {

void as_average(const Part& module) {
  for (const NamedParameter& n : named_parameters(module)) {
    ParameterData& d = *n.parameter.data();
    if (d.program != 0)
      throw Error(graph::diagnose(dsl::location_of(d.made),
                                  fmt::format("as_average: '{}' was given to a program before", d.name)));
    d.kind = StateKind::buffer;
    d.initialiser = {};
  }
}

namespace {

void move_average(const Part& average, const Part& net, const At& decay, const std::vector<Tensor>* begin,
                  const std::string& name) {
  const CalledFrom here(decay);
  const std::vector<NamedParameter> to = named_parameters(average), from = named_parameters(net);
  if (to.size() != from.size())
    fail_at(decay, fmt::format("ema: the average has {} parameters, the module {}", to.size(), from.size()));
  for (size_t i = 0; i < to.size(); ++i)
    if (to[i].path != from[i].path || to[i].parameter.shape() != from[i].parameter.shape())
      fail_at(decay,
              fmt::format("ema: the average has {} {}, the module {} {}", to[i].path,
                          to_string(to[i].parameter.shape()), from[i].path, to_string(from[i].parameter.shape())));
  if (begin && begin->size() != from.size())
    fail_at(decay, fmt::format("ema: the snapshot has {} parameters, the module {}", begin->size(), from.size()));
  if (decay.is_number() && !(decay.number() >= 0 && decay.number() <= 1))
    fail_at(decay, fmt::format("ema: decay must be in [0, 1], got {}", decay.number()));
  if (decay.rank() != 0) fail_at(decay, fmt::format("ema: decay must be a scalar, got {}", to_string(decay.shape())));
  dsl::Capture& capture = dsl::current("ema", dsl::place_of(decay.where()));
  capture.use_optimizer(name, dsl::place_of(decay.where()));
  const Parameter counter = capture.optimizer_state(name + ".t", {});
  const Scope scope(name);
  const Tensor t = counter;
  update(counter, t + 1);
  const Tensor first = less(t, 0.5), weight = begin ? Tensor(1 - decay) : select(first, 1, 1 - decay);
  for (size_t i = 0; i < to.size(); ++i) {
    const Parameter &a = to[i].parameter, &p = from[i].parameter;
    const Tensor old = begin ? select(first, (*begin)[i], a) : Tensor(a), now = p;
    update(a, p.kind() == StateKind::parameter ? old + weight * (now - old) : now);
  }
}

}  // namespace

Snapshot::Snapshot(const Part& net, std::source_location where) {
  for (const NamedParameter& n : named_parameters(net)) values.emplace_back(n.parameter, where);
}

void ema(const Part& average, const Part& net, At decay, const std::string& name) {
  move_average(average, net, decay, nullptr, name);
}
void ema(const Part& average, const Part& net, At decay, const Snapshot& begin, const std::string& name) {
  move_average(average, net, decay, &begin.values, name);
}

}  // namespace gmc
