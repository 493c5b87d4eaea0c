#include "tools/gmc/judge.h"

#include "runtime/base/error.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace gmc::tool {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
using Skip = std::map<std::string, std::pair<int64_t, int64_t>>;

double value_at(const HostTensor& t, int64_t i) {
  switch (t.dtype) {
  case DType::f32:
    return t.as<float>()[i];
  case DType::f64:
    return t.as<double>()[i];
  case DType::i64:
    return static_cast<double>(t.as<int64_t>()[i]);
  case DType::i32:
    return t.as<int32_t>()[i];
  default:
    fail("a parity case cannot hold {}", name_of(t.dtype));
  }
}

double worst(const TensorMap& expected, const TensorMap& got, const Skip& skip, const TensorMap* base) {
  double out = 0;
  for (const auto& [name, want] : expected) {
    auto it = got.find(name);
    if (it == got.end()) fail("'{}' is missing from the result", name);
    const HostTensor& have = it->second;
    if (have.dtype != want.dtype || have.shape != want.shape)
      fail("'{}': expected {}{}, got {}{}", name, name_of(want.dtype), to_string(want.shape), name_of(have.dtype),
           to_string(have.shape));
    if (!is_float(want.dtype)) {
      if (have.bytes != want.bytes) return infinity;
      continue;
    }
    const HostTensor* from = nullptr;
    if (base)
      if (auto b = base->find(name.rfind("ema.", 0) == 0 ? name.substr(4) : name); b != base->end()) from = &b->second;
    const auto skipped = skip.find(name);
    double difference = 0, scale = 0;
    for (int64_t i = 0; i < want.count(); ++i) {
      if (std::isnan(value_at(have, i))) return infinity;
      if (skipped != skip.end() && i >= skipped->second.first && i < skipped->second.second) continue;
      const double e = value_at(want, i), d = value_at(have, i) - e, s = e - (from ? value_at(*from, i) : 0);
      difference += d * d;
      scale += s * s;
    }
    if (difference > 0) out = std::max(out, std::sqrt(scale) > 1e-12 ? std::sqrt(difference / scale) : infinity);
  }
  return out;
}

}  // namespace

Errors judge(const Outcome& expected, const Outcome& got, const TensorMap& initial, const Skip& skip) {
  Errors e;
  if (got.losses.size() != expected.losses.size())
    fail("expected the losses of {} steps, got {}", expected.losses.size(), got.losses.size());
  for (size_t i = 0; i < expected.losses.size(); ++i)
    for (const auto& [name, want] : expected.losses[i]) {
      auto it = got.losses[i].find(name);
      if (it == got.losses[i].end()) fail("step {} has no output '{}'", i, name);
      const double error = std::fabs(it->second - want) / std::max(1.0, std::fabs(want));
      e.loss = std::max(e.loss, std::isnan(error) ? infinity : error);
    }
  e.grads = worst(expected.gradients, got.gradients, skip, nullptr);
  e.weights = worst(expected.weights, got.weights, skip, &initial);
  e.samples = worst(expected.samples, got.samples, {}, nullptr);
  return e;
}

}  // namespace gmc::tool
