// How far a compiled result may lie from the f64 interpreter's: a running error analysis (Higham, "Accuracy and
// stability of numerical algorithms", section 3.3). Beside each value goes a bound on its error: what the operands'
// errors become and the op's own rounding, which for sums is proportional to the accumulated absolute sum.
#pragma once

#include "compiler/graph/core_ops.h"
#include "compiler/graph/interpret.h"
#include "compiler/transform/pass.h"

#include <algorithm>
#include <cmath>
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

  static std::map<std::string, Bounded> run(const graph::Graph& captured,
                                            const std::map<std::string, graph::Reference>& inputs, uint64_t seed = 0,
                                            uint64_t step = 0) {
    const graph::Graph g = transform::expand_composites(captured);
    std::vector<std::vector<Bounded>> all(g.nodes().size());
    for (size_t i = 0; i < g.nodes().size(); ++i) {
      const graph::Node& n = g.nodes()[i];
      if (n.op->category == graph::Category::input) {
        const graph::Reference& x = inputs.at(n.text("name"));
        all[i].push_back({x, std::vector<double>(x.values.size(), 0)});
        continue;
      }
      ErrorBound bound;
      std::vector<const graph::Reference*> operands;
      for (graph::Value v : n.inputs) {
        bound.x_.push_back(&all[static_cast<size_t>(v.node)][static_cast<size_t>(v.result)]);
        operands.push_back(&bound.x_.back()->value);
        bound.types_.push_back(g.type(v));
      }
      const graph::ReferenceArguments arguments{n, operands, bound.types_, seed, step};
      for (graph::Reference& value : graph::interpret_node(arguments)) {
        const std::vector<double> none(value.values.size(), 0);
        all[i].push_back({std::move(value), none});
      }
      for (size_t r = 0; r < all[i].size(); ++r)
        if (is_float(n.types[r].dtype)) bound.bound(arguments, n.types[r].dtype, all[i][r]);
    }
    std::map<std::string, Bounded> out;
    for (const graph::Output& o : g.outputs())
      out[o.name] = all[static_cast<size_t>(o.value.node)][static_cast<size_t>(o.value.result)];
    return out;
  }

private:
  using Category = graph::Category;

  // Of one result, underflow included; infinities are exact.
  static double rounding(DType d, double value) {
    const double least = d == DType::f64    ? 0x1p-1074
                         : d == DType::f16  ? 0x1p-24
                         : d == DType::bf16 ? 0x1p-133
                                            : 0x1p-149;
    return is_float(d) && std::isfinite(value) ? own * (unit(d) * std::fabs(value) + least) : 0;
  }

  void bound(const graph::ReferenceArguments& a, DType dtype, Bounded& y) const {
    switch (a.node.op->category) {
    case Category::elementwise:
      for (size_t e = 0; e < y.error.size(); ++e) y.error[e] = rounding(dtype, y.value.values[e]) + propagated(a, e);
      return;
    case Category::broadcast:
    case Category::reshape:
    case Category::transpose:
    case Category::affine:
    case Category::gather: {
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
      return bound_whole(dtype, y);
    }
  }

  static double apart(double a, double b) { return a == b ? 0 : std::fabs(a - b); }

  // The sum of |df/dx_i| error_i, the derivatives by differences.
  double propagated(const graph::ReferenceArguments& a, size_t e) const {
    double x[4] = {}, sum = 0;
    for (size_t i = 0; i < x_.size(); ++i) x[i] = x_[i]->value.values[e];
    for (size_t i = 0; i < x_.size(); ++i) {
      // A function of one operand may be that of a neighbour: the forms of GELU fade to 0 from below.
      const bool dear = x_.size() == 1 && a.node.op->cost > 4 && std::isfinite(x[i]);
      const double error = x_[i]->error[e] + (dear ? unit(types_[0].dtype) * std::fabs(x[i]) : 0);
      if (error == 0) continue;
      const double kept = x[i];
      x[i] = kept + error;
      const double above = graph::evaluate(a.node, a.operand_types, x);
      x[i] = kept - error;
      const double below = graph::evaluate(a.node, a.operand_types, x);
      x[i] = kept;
      const double at = graph::evaluate(a.node, a.operand_types, x);
      sum += 1.5 * std::max(apart(above, at), apart(below, at));
    }
    return sum;
  }

  // The op itself on other values in place of the operands' (their errors if there are none).
  std::vector<double> through(const graph::ReferenceArguments& a,
                              const std::vector<std::vector<double>>& values) const {
    std::vector<graph::Reference> other;
    for (size_t i = 0; i < x_.size(); ++i) {
      const bool index = !is_float(types_[i].dtype);
      other.push_back({x_[i]->value.shape, index ? x_[i]->value.values : values.empty() ? x_[i]->error : values[i]});
    }
    std::vector<const graph::Reference*> operands;
    for (const graph::Reference& r : other) operands.push_back(&r);
    return graph::interpret_node({a.node, operands, a.operand_types, a.seed, a.step})[0].values;
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
      for (size_t e = 0; e < carried.size(); ++e) carried[e] /= std::max(1e-30, std::fabs(x_[0]->value.values[e]));
      y.error = through(as_sum, {carried});
      for (size_t e = 0; e < y.error.size(); ++e)
        y.error[e] = std::fabs(y.value.values[e]) * (y.error[e] + (own + terms) * unit(dtype)) + 0x1p-149;
      return;
    }
    y.error = through(as_sum, {carried});
    const std::vector<double> all = monoid == "sum" ? through(as_sum, {magnitudes(0)}) : std::vector<double>();
    for (size_t e = 0; e < y.error.size(); ++e) {
      y.error[e] = std::max(0.0, y.error[e]) + rounding(dtype, y.value.values[e]);
      if (!all.empty()) y.error[e] += depth(terms) * unit(dtype) * all[e];
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

  // Everything else, by the largest number around.
  void bound_whole(DType dtype, Bounded& y) const {
    double largest = 0, error = 0;
    for (double v : y.value.values) largest = std::max(largest, std::isfinite(v) ? std::fabs(v) : 0.0);
    for (const Bounded* x : x_)
      for (double e : x->error) error = std::max(error, e);
    for (double& e : y.error) e = 4 * own * unit(dtype) * largest + 16 * error;
  }

  std::vector<const Bounded*> x_;
  std::vector<graph::TensorType> types_;
};

}  // namespace gmc::tests
