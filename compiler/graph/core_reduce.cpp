#include "compiler/graph/core_rules.h"
#include "compiler/graph/indexing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gmc::graph {
namespace {

struct Monoid {
  std::string name;
  double identity;
  double (*combine)(double, double);
};

const Monoid& monoid_named(const std::string& name) {
  static constexpr double inf = std::numeric_limits<double>::infinity();
  static const Monoid monoids[] = {
      {"sum", 0, [](double a, double b) { return a + b; }},
      {"prod", 1, [](double a, double b) { return a * b; }},
      {"max", -inf, [](double a, double b) { return std::isnan(a) || a > b ? a : b; }},
      {"min", inf, [](double a, double b) { return std::isnan(a) || a < b ? a : b; }},
  };
  for (const Monoid& m : monoids)
    if (name == m.name) return m;
  fail("unknown monoid '{}': expected sum, prod, max or min", name);
}

// The sum over a batch of transpose(A) B is one product over all rows of the batch: the gradient of a weight that the
// batch shares. Nothing for anything else.
Var sum_of_products(Graph& g, const Node& reduce, Var x) {
  const Node& product = g.node(x.value);
  if (product.op != &matmul_op || !product.flag("transpose_a") || product.flag("transpose_b")) return {};
  const Shape& axes = reduce.integers("axes");
  const size_t batches = product.types[0].shape.size() - 2;
  if (reduce.text("monoid") != "sum" || axes.size() != batches || axes.back() >= static_cast<int64_t>(batches))
    return {};
  const auto rows = [&](Value operand) {
    const Shape shape = g.type(operand).shape;
    return reshape(Var{&g, operand}, {element_count(Shape(shape.begin(), shape.end() - 1)), shape.back()});
  };
  const Value a = product.inputs[0], b = product.inputs[1];
  const Var all_a = rows(a);
  return matmul(all_a, rows(b), true, false);
}

}  // namespace

const OpDef reduce_op{
    .name = "reduce",
    .category = Category::reduce,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      const std::string& monoid = monoid_named(get<std::string>(a, "monoid")).name;
      if (t[0].dtype == boolean && monoid != "max" && monoid != "min")
        fail("expected max or min of bool, got {}", monoid);
      const Shape& axes = get<std::vector<int64_t>>(a, "axes");
      TensorType out{t[0].dtype, {}};
      const auto rank = static_cast<int64_t>(t[0].shape.size());
      for (size_t i = 0; i < axes.size(); ++i)
        if (axes[i] < 0 || axes[i] >= rank || (i > 0 && axes[i] <= axes[i - 1]))
          fail("axes {} must be increasing and below {}", to_string(axes), rank);
      for (int64_t d = 0; d < rank; ++d)
        if (std::find(axes.begin(), axes.end(), d) == axes.end())
          out.shape.push_back(t[0].shape[static_cast<size_t>(d)]);
      return {out};
    },
    .dtypes = any_dtype,
    .reference =
        [](const ReferenceArguments& a) {
          const Monoid& monoid = monoid_named(a.node.text("monoid"));
          const Shape& from = a.inputs[0]->shape;
          const Shape to = dense_strides(a.node.types[0].shape);
          const Shape& axes = a.node.integers("axes");
          Shape strides(from.size(), 0);
          size_t kept = 0;
          for (size_t d = 0; d < from.size(); ++d)
            if (std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) == axes.end()) strides[d] = to[kept++];
          Reference out{a.node.types[0].shape, {}};
          const DType dtype = a.node.types[0].dtype;
          const double identity = dtype == boolean ? monoid.name == "min" : to_dtype(dtype, f64, monoid.identity);
          out.values.assign(static_cast<size_t>(element_count(out.shape)), identity);
          for_each_element(from, strides, 0, [&](int64_t i, int64_t at) {
            double& into = out.values[static_cast<size_t>(at)];
            into = monoid.combine(into, a.inputs[0]->values[static_cast<size_t>(i)]);
          });
          return out;
        },
    .vjp =
        [](const VjpArguments& a) {
          const Shape& from = a.inputs[0].shape();
          const Shape& axes = a.node.integers("axes");
          if (axes.empty()) return std::vector<Var>{a.gradients[0]};
          std::vector<int64_t> dims;
          for (int64_t d = 0; d < static_cast<int64_t>(from.size()); ++d)
            if (std::find(axes.begin(), axes.end(), d) == axes.end()) dims.push_back(d);
          const Var spread = broadcast(a.gradients[0], from, dims);
          const std::string& monoid = a.node.text("monoid");
          if (monoid == "sum") return std::vector<Var>{spread};
          const Var result = broadcast(a.results[0], from, dims);
          if (monoid == "prod") return std::vector<Var>{spread * result / a.inputs[0]};
          // max and min: the gradient is shared by all elements that attain it.
          const Var hit = cast(equal(a.inputs[0], result), a.gradients[0].type().dtype);
          return std::vector<Var>{hit * broadcast(a.gradients[0] / sum(hit, axes), from, dims)};
        },
    .simplify = [](Graph& g, const Node& n,
                   Vars x) { return n.integers("axes").empty() ? x[0] : sum_of_products(g, n, x[0]); },
    .samples =
        [] {
          using I = std::vector<int64_t>;
          std::vector<Sample> samples;
          for (const char* monoid : {"sum", "max", "min", "prod"})
            for (const I& axes : {I{1}, I{0}, I{0, 1}, I{}})
              samples.push_back({{{f32, {5, 19}}}, {{"monoid", monoid}, {"axes", axes}}, 0.5, 1.5});
          samples.push_back({{{f32, {3, 4, 33}}}, {{"monoid", "sum"}, {"axes", I{0, 1}}}});
          samples.push_back({{{f32, {0, 3}}}, {{"monoid", "sum"}, {"axes", I{0}}}});
          return samples;
        },
    .bad_samples =
        [] {
          using I = std::vector<int64_t>;
          return std::vector<BadSample>{
              {{{f32, {2}}}, {{"monoid", "avg"}, {"axes", I{0}}}, "unknown monoid 'avg'"},
              {{{f32, {2}}}, {{"monoid", "sum"}, {"axes", I{1}}}, "axes [1] must be increasing and below 1"},
              {{{boolean, {2}}}, {{"monoid", "sum"}, {"axes", I{0}}}, "expected max or min of bool, got sum"}};
        }};

}  // namespace gmc::graph
