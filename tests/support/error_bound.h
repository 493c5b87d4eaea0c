// How far a compiled result may lie from the f64 interpreter's: a running error analysis (Higham, "Accuracy and
// stability of numerical algorithms", section 3.3). Beside each value goes a bound on its error: what the operands'
// errors become and the op's own rounding, which for sums is proportional to the accumulated absolute sum.
#pragma once

#include "compiler/graph/core_loop.h"
#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"
#include "runtime/execute/random.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace gmc::tests {

struct Bounded {
  graph::Reference value;
  std::vector<double> error;  // absolute, per element
};

class ErrorBound {
public:
  // Units of rounding that one op may add: the vector mathematics stays below 4.
  static constexpr double own = 4;

  static double unit(DType d) {
    switch (d) {
    case DType::f32:
      return 0x1p-24;
    case DType::f64:
      return 0x1p-53;
    case DType::bf16:
      return 0x1p-8;
    case DType::f16:
      return 0x1p-11;
    default:
      return 0;
    }
  }

  // Of every output, and of every state that is updated.
  static std::map<std::string, Bounded> run(const graph::Graph& captured,
                                            const std::map<std::string, graph::Reference>& inputs, uint64_t seed = 0,
                                            uint64_t step = 0) {
    std::map<std::string, Bounded> given;
    for (const auto& [name, x] : inputs) given[name] = {x, std::vector<double>(x.values.size(), 0)};
    return run(transform::expand_composites(captured), given, {seed, step, 0});
  }

private:
  using Category = graph::Category;
  static constexpr double unknown = std::numeric_limits<double>::infinity();
  struct Key {
    uint64_t seed, step, loop;
  };

  static std::map<std::string, Bounded> run(const graph::Graph& g, const std::map<std::string, Bounded>& given,
                                            Key key) {
    std::vector<std::vector<Bounded>> all(g.nodes().size());
    for (size_t i = 0; i < g.nodes().size(); ++i) {
      const graph::Node& n = g.nodes()[i];
      if (n.op->category == Category::input) {
        all[i].push_back(given.at(n.text("name")));
        continue;
      }
      ErrorBound bound;
      for (graph::Value v : n.inputs) {
        bound.x_.push_back(&all[static_cast<size_t>(v.node)][static_cast<size_t>(v.result)]);
        bound.types_.push_back(g.type(v));
      }
      all[i] = graph::is_control(n.op->category) ? bound.control(n, key) : bound.node(n, key);
      for (Bounded& y : all[i])
        for (double& e : y.error)
          if (std::isnan(e)) e = unknown;
    }
    std::map<std::string, Bounded> out;
    for (const graph::Output& o : g.outputs())
      out[o.name] = all[static_cast<size_t>(o.value.node)][static_cast<size_t>(o.value.result)];
    return out;
  }

  std::vector<Bounded> node(const graph::Node& n, Key key) const {
    std::vector<const graph::Reference*> operands;
    for (const Bounded* x : x_) operands.push_back(&x->value);
    const graph::ReferenceArguments arguments{n, operands, types_, key.seed, key.step, key.loop};
    std::vector<Bounded> out;
    for (graph::Reference& value : graph::interpret_node(arguments)) {
      const std::vector<double> none(value.values.size(), 0);
      out.push_back({std::move(value), none});
    }
    for (size_t r = 0; r < out.size(); ++r) bound(arguments, n.types[r].dtype, out[r]);
    return out;
  }

  static bool is_certain(const Bounded& x) {
    return std::all_of(x.error.begin(), x.error.end(), [](double e) { return e == 0; });
  }

  // Regions, with bounds on what goes round. Where a decision is uncertain nothing is known of the results.
  std::vector<Bounded> control(const graph::Node& n, Key key) const {
    const bool is_cond = n.op->category == Category::cond;
    const graph::LoopParts parts = is_cond ? graph::LoopParts{} : graph::loop_parts(n);
    std::vector<Bounded> results;
    if (is_cond) {
      std::vector<Bounded> given;
      for (size_t k = 1; k < x_.size(); ++k) given.push_back(*x_[k]);
      results = region(*n.regions[x_[0]->value.values[0] != 0 ? 0 : 1], given, key);
      return is_certain(*x_[0]) ? results : with_unknown(results);
    }
    for (size_t k = 0; k < parts.carries; ++k) results.push_back(*x_[k]);
    for (size_t k = parts.carries; k < n.types.size(); ++k) {
      const Shape& shape = n.types[k].shape;
      const std::vector<double> zeros(static_cast<size_t>(element_count(shape)));
      results.push_back({{shape, zeros}, zeros});
    }
    bool certain = true;
    for (int64_t trip = 0; parts.trips < 0 || trip < parts.trips; ++trip) {
      const int64_t i = parts.reverse ? parts.trips - 1 - trip : trip;
      std::vector<Bounded> given{{{{}, {static_cast<double>(i)}}, {0}}};
      for (size_t k = 0; k < parts.carries; ++k) given.push_back(results[k]);
      for (size_t k = parts.carries; k < x_.size(); ++k)
        given.push_back(k < parts.carries + parts.inputs ? slice(*x_[k], i) : *x_[k]);
      const Key inner{key.seed, key.step,
                      execute::loop_index(key.loop, graph::index_bound(n), static_cast<uint64_t>(i))};
      if (n.op->category == Category::while_loop) {
        const Bounded again = region(*n.regions[0], given, inner)[0];
        certain &= is_certain(again);
        if (again.value.values[0] == 0) break;
      }
      std::vector<Bounded> got = region(*n.regions.back(), given, inner);
      for (size_t k = 0; k < parts.carries; ++k) results[k] = std::move(got[k]);
      for (size_t k = parts.carries; k < got.size(); ++k) {
        const auto at = i * std::ssize(got[k].error);
        std::copy(got[k].value.values.begin(), got[k].value.values.end(), results[k].value.values.begin() + at);
        std::copy(got[k].error.begin(), got[k].error.end(), results[k].error.begin() + at);
      }
    }
    return certain ? results : with_unknown(results);
  }

  static std::vector<Bounded> region(const graph::Graph& body, const std::vector<Bounded>& given, Key key) {
    std::map<std::string, Bounded> named;
    const std::vector<graph::Value> names = graph::arguments(body);
    for (size_t i = 0; i < names.size(); ++i) named[body.node(names[i]).text("name")] = given[i];
    std::map<std::string, Bounded> results = run(body, named, key);
    std::vector<Bounded> out;
    for (const graph::Output& o : body.outputs()) out.push_back(results.at(o.name));
    return out;
  }

  static Bounded slice(const Bounded& x, int64_t i) {
    Bounded out{{Shape(x.value.shape.begin() + 1, x.value.shape.end()), {}}, {}};
    const int64_t size = element_count(out.value.shape);
    out.value.values.assign(x.value.values.begin() + i * size, x.value.values.begin() + (i + 1) * size);
    out.error.assign(x.error.begin() + i * size, x.error.begin() + (i + 1) * size);
    return out;
  }

  static std::vector<Bounded> with_unknown(std::vector<Bounded> results) {
    for (Bounded& y : results) std::fill(y.error.begin(), y.error.end(), unknown);
    return results;
  }

  // Of one result, underflow included; infinities are exact.
  static double rounding(DType d, double value) {
    const double least = d == DType::f64    ? 0x1p-1074
                         : d == DType::f16  ? 0x1p-24
                         : d == DType::bf16 ? 0x1p-133
                                            : 0x1p-149;
    return is_float(d) && std::isfinite(value) ? own * (unit(d) * std::fabs(value) + least) : 0;
  }

  void bound(const graph::ReferenceArguments& a, DType dtype, Bounded& y) const {
    const Category category = a.node.op->category;
    switch (category) {
    case Category::elementwise:
      for (size_t e = 0; e < y.error.size(); ++e) {
        y.error[e] = (selects(a, dtype, e, y) ? 0 : rounding(dtype, y.value.values[e])) + propagated(a, e);
        if (dtype == boolean) y.error[e] = std::min(y.error[e], 1.0);
      }
      return;
    case Category::broadcast:
    case Category::reshape:
    case Category::transpose:
    case Category::affine:
    case Category::gather: {
      if (std::any_of(x_.begin() + 1, x_.end(), [](const Bounded* x) { return !is_certain(*x); }))
        return std::fill(y.error.begin(), y.error.end(), unknown);
      graph::Node move = a.node;
      if (move.attributes.count("value")) move.attributes["value"] = 0.0;  // what is filled in is exact
      y.error = through({move, a.inputs, a.operand_types, a.seed, a.step}, {});
      return;
    }
    case Category::reduce:
      return bound_reduction(a, dtype, y);
    case Category::matmul:
      return bound_product(a, dtype, y);
    default:
      return bound_whole(a, dtype, y);
    }
  }

  // Whether a cheap op gave one of its operands, or the negative of one: such are exact.
  bool selects(const graph::ReferenceArguments& a, DType dtype, size_t e, const Bounded& y) const {
    return a.node.op->cost <= 2 && types_.back().dtype == dtype &&
           std::any_of(x_.begin(), x_.end(), [&](const Bounded* x) {
             return x->value.values[e] == y.value.values[e] || -x->value.values[e] == y.value.values[e];
           });
  }

  static double apart(double a, double b) { return a == b ? 0 : std::fabs(a - b); }

  // The sum of |df/dx_i| error_i, the derivatives by differences; and not less than what all errors together make,
  // which is more where the function jumps.
  double propagated(const graph::ReferenceArguments& a, size_t e) const {
    double x[4] = {}, error[4] = {}, moved[4] = {}, sum = 0, together = 0;
    size_t uncertain = 0;
    for (size_t i = 0; i < x_.size(); ++i) {
      moved[i] = x[i] = x_[i]->value.values[e];
      // A function of one operand may be that of a neighbour: the forms of GELU fade to 0 from below.
      const bool dear = x_.size() == 1 && a.node.op->cost > 4 && std::isfinite(x[i]);
      error[i] = x_[i]->error[e] + (dear ? unit(types_[0].dtype) * std::fabs(x[i]) : 0);
      uncertain += error[i] > 0;
      // Far from the value differences say nothing about a function.
      if (is_float(types_[i].dtype) && error[i] > 0.05 * (1 + std::fabs(x[i]))) return unknown;
    }
    if (uncertain == 0) return 0;
    const double at = graph::evaluate(a.node, a.operand_types, x);
    for (size_t i = 0; i < x_.size(); ++i) {
      if (error[i] == 0) continue;
      double most = 0;
      for (const double sign : {1.0, -1.0}) {
        moved[i] = x[i] + sign * error[i];
        most = std::max(most, apart(graph::evaluate(a.node, a.operand_types, moved), at));
      }
      moved[i] = x[i];
      sum += 1.5 * most;
    }
    if (uncertain < 2) return sum;
    for (unsigned corner = 0; corner < 1u << x_.size(); ++corner) {
      for (size_t i = 0; i < x_.size(); ++i) moved[i] = x[i] + (corner >> i & 1 ? error[i] : -error[i]);
      together = std::max(together, apart(graph::evaluate(a.node, a.operand_types, moved), at));
    }
    return std::max(sum, together);
  }

  // The op itself on other values in place of the operands' (their errors if there are none).
  std::vector<double> through(const graph::ReferenceArguments& a,
                              const std::vector<std::vector<double>>& values) const {
    std::vector<graph::Reference> other;
    for (size_t i = 0; i < x_.size(); ++i) {
      const bool index = i > 0 && a.node.op->category == Category::gather;
      other.push_back({x_[i]->value.shape, index ? x_[i]->value.values : values.empty() ? x_[i]->error : values[i]});
    }
    std::vector<const graph::Reference*> operands;
    for (const graph::Reference& r : other) operands.push_back(&r);
    graph::Node node = a.node;
    for (graph::TensorType& t : node.types) t.dtype = f64;  // errors do not wrap
    return graph::interpret_node({node, operands, a.operand_types, a.seed, a.step})[0].values;
  }

  std::vector<double> magnitudes(size_t i) const {
    std::vector<double> out;
    for (double v : x_[i]->value.values) out.push_back(std::fabs(v));
    return out;
  }

  static double depth(double terms) { return own + std::log2(std::max(1.0, terms)); }

  void bound_reduction(const graph::ReferenceArguments& a, DType dtype, Bounded& y) const {
    const std::string& monoid = a.node.text("monoid");
    const double count = static_cast<double>(x_[0]->value.values.size());
    const double terms = count / std::max(1.0, static_cast<double>(y.error.size()));
    graph::Node sum = a.node;
    sum.attributes["monoid"] = monoid == "max" || monoid == "min" ? "max" : "sum";
    const graph::ReferenceArguments as_sum{sum, a.inputs, a.operand_types, a.seed, a.step};
    std::vector<double> carried = x_[0]->error;
    if (monoid == "prod") {
      std::vector<double> above = magnitudes(0);
      for (size_t e = 0; e < above.size(); ++e) above[e] += carried[e];
      above = through(a, {above});
      for (size_t e = 0; e < y.error.size(); ++e)
        y.error[e] = above[e] - std::fabs(y.value.values[e]) + above[e] * (own + terms) * unit(dtype) + 0x1p-149;
      return;
    }
    y.error = through(as_sum, {carried});
    const std::vector<double> all = monoid == "sum" ? through(as_sum, {magnitudes(0)}) : std::vector<double>();
    for (size_t e = 0; e < y.error.size(); ++e) {
      y.error[e] = std::max(0.0, y.error[e]);
      if (!all.empty()) y.error[e] += rounding(dtype, y.value.values[e]) + depth(terms) * unit(dtype) * all[e];
    }
  }

  void bound_product(const graph::ReferenceArguments& a, DType dtype, Bounded& y) const {
    const Shape& shape = x_[0]->value.shape;
    const double k = static_cast<double>(shape[shape.size() - (a.node.flag("transpose_a") ? 2 : 1)]);
    const std::vector<double> left = magnitudes(0), right = magnitudes(1);
    const std::vector<double> all = through(a, {left, right}), from_left = through(a, {x_[0]->error, right}),
                              from_right = through(a, {left, x_[1]->error});
    for (size_t e = 0; e < y.error.size(); ++e)
      y.error[e] = depth(k) * unit(dtype) * all[e] + from_left[e] + from_right[e] + rounding(dtype, y.value.values[e]);
  }

  // Everything else: by the largest number around, and by the longest line that an error can go along.
  void bound_whole(const graph::ReferenceArguments& a, DType dtype, Bounded& y) const {
    double largest = 0, error = 0, line = 1;
    for (double v : y.value.values) largest = std::max(largest, std::isfinite(v) ? std::fabs(v) : 0.0);
    for (const Bounded* x : x_) {
      for (double e : x->error) error = std::max(error, e);
      for (int64_t n : x->value.shape) line = std::max(line, static_cast<double>(n));
    }
    if (!is_float(dtype) && error > 0) return std::fill(y.error.begin(), y.error.end(), unknown);  // an order, a count
    if (a.node.op->name == std::string("linear_scan")) {
      // h = a h + b: |a| carries the error of h on; that of a, and the rounding, come beside that of b.
      std::vector<double> added = x_[1]->error;
      for (size_t e = 0; e < added.size(); ++e)
        added[e] += largest * x_[0]->error[e] + own * (unit(dtype) * largest + 0x1p-149);
      y.error = through(a, {magnitudes(0), added});
      return;
    }
    for (double& e : y.error) e = 4 * own * unit(dtype) * largest + 16 * line * (1 + largest) * error;
  }

  std::vector<const Bounded*> x_;
  std::vector<graph::TensorType> types_;
};

}  // namespace gmc::tests
