#include "compiler/graph/core_rules.h"

#include <cmath>

namespace gmc::graph {
const OpDef add_op{.name = "add",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .dtypes = numeric,
                   .scalar = [](const double* x) { return x[0] + x[1]; },
                   .vjp = [](const VjpArguments& a) { return std::vector<Var>{a.gradients[0], a.gradients[0]}; },
                   .simplify =
                       [](Graph& g, const Node&, Vars x) {
                         // x + -0 is x for every x; x + 0 is not (-0 + 0 is 0) but for integers.
                         for (int i : {0, 1}) {
                           const Node& n = g.node(x[static_cast<size_t>(i)].value);
                           if (n.op != &constant_op || n.number("value") != 0) continue;
                           if (std::signbit(n.number("value")) || !is_float(n.types[0].dtype))
                             return x[static_cast<size_t>(1 - i)];
                         }
                         return Var{};
                       },
                   .narrow = Narrow::between,
                   .samples = binary_samples,
                   .bad_samples = binary_bad_samples};

const OpDef sub_op{.name = "sub",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .dtypes = numeric,
                   .scalar = [](const double* x) { return x[0] - x[1]; },
                   .vjp = [](const VjpArguments& a) { return std::vector<Var>{a.gradients[0], -a.gradients[0]}; },
                   .narrow = Narrow::between,
                   .samples = binary_samples,
                   .bad_samples = binary_bad_samples};

const OpDef mul_op{.name = "mul",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .dtypes = numeric,
                   .scalar = [](const double* x) { return x[0] * x[1]; },
                   .vjp =
                       [](const VjpArguments& a) {
                         return std::vector<Var>{a.gradients[0] * a.inputs[1], a.gradients[0] * a.inputs[0]};
                       },
                   .simplify =
                       [](Graph& g, const Node&, Vars x) {
                         for (size_t i : {size_t{0}, size_t{1}}) {
                           const Node& n = g.node(x[i].value);
                           if (n.op != &constant_op) continue;
                           if (n.number("value") == 1) return x[1 - i];
                           if (n.number("value") == -1) return -x[1 - i];
                         }
                         return Var{};
                       },
                   .narrow = Narrow::between,
                   .samples = binary_samples,
                   .bad_samples = binary_bad_samples};

const OpDef div_op{.name = "div",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .dtypes = numeric,
                   .scalar = [](const double* x) { return x[0] / x[1]; },
                   .vjp =
                       [](const VjpArguments& a) {
                         const Var over = a.gradients[0] / a.inputs[1];
                         return std::vector<Var>{over, -(over * a.results[0])};
                       },
                   .simplify =
                       [](Graph& g, const Node&, Vars x) {
                         const Node& n = g.node(x[1].value);
                         return n.op == &constant_op && n.number("value") == 1 ? x[0] : Var{};
                       },
                   .cost = 4,
                   .samples =
                       [] {
                         auto samples = binary_samples();
                         for (Sample& s : samples) s.low = 0.5, s.high = 3;
                         return samples;
                       },
                   .bad_samples = binary_bad_samples};

const OpDef neg_op{.name = "neg",
                   .category = Category::elementwise,
                   .arity = 1,
                   .infer = infer_same,
                   .dtypes = numeric,
                   .scalar = [](const double* x) { return -x[0]; },
                   .vjp = [](const VjpArguments& a) { return std::vector<Var>{-a.gradients[0]}; },
                   .simplify =
                       [](Graph& g, const Node&, Vars x) {
                         const Node& n = g.node(x[0].value);
                         return n.op == &neg_op ? Var{&g, n.inputs[0]} : Var{};
                       },
                   .narrow = Narrow::between,
                   .samples = unary_samples,
                   .bad_samples = unary_bad_samples};

const OpDef less_op{.name = "less",
                    .category = Category::elementwise,
                    .arity = 2,
                    .infer = infer_compare,
                    .dtypes = numeric,
                    .scalar = [](const double* x) { return x[0] < x[1] ? 1.0 : 0.0; },
                    .vjp = [](const VjpArguments&) { return std::vector<Var>(2); },
                    .samples = binary_samples,
                    .bad_samples = binary_bad_samples};

const OpDef equal_op{.name = "equal",
                     .category = Category::elementwise,
                     .arity = 2,
                     .infer = infer_compare,
                     .dtypes = any_dtype,
                     .scalar = [](const double* x) { return x[0] == x[1] ? 1.0 : 0.0; },
                     .vjp = [](const VjpArguments&) { return std::vector<Var>(2); },
                     .samples = binary_samples,
                     .bad_samples = binary_bad_samples};

const OpDef select_op{
    .name = "select",
    .category = Category::elementwise,
    .arity = 3,
    .infer = [](Types t, const Attributes&) -> std::vector<TensorType> {
      if (t[0].dtype != DType::boolean) fail("expected a bool condition, got {}", name_of(t[0].dtype));
      if (!(t[1] == t[2])) fail("operands differ: {} and {}", to_string(t[1]), to_string(t[2]));
      if (t[0].shape != t[1].shape) fail("shapes differ: {} and {}", to_string(t[0].shape), to_string(t[1].shape));
      return {t[1]};
    },
    .dtypes = any_dtype,
    .typed = 1,
    .scalar = [](const double* x) { return x[0] != 0 ? x[1] : x[2]; },
    .vjp =
        [](const VjpArguments& a) {
          const Var zero =
              broadcast_to(constant(a.graph, 0, {a.gradients[0].type().dtype, {}}), a.gradients[0].shape());
          return std::vector<Var>{Var{}, select(a.inputs[0], a.gradients[0], zero),
                                  select(a.inputs[0], zero, a.gradients[0])};
        },
    .narrow = Narrow::between,
    .samples = [] { return std::vector<Sample>{{{{boolean, {4, 7}}, {f32, {4, 7}}, {f32, {4, 7}}}}}; },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {2}}, {f32, {2}}, {f32, {2}}}, {}, "expected a bool condition, got f32"},
              {{{boolean, {2}}, {f32, {2}}, {f64, {2}}}, {}, "operands differ"},
              {{{boolean, {3}}, {f32, {2}}, {f32, {2}}}, {}, "shapes differ: [3] and [2]"}};
        }};

// To an integer: toward zero from a floating value, saturated, NaN gives 0; from an integer the low bits are kept. To
// bool: whether it is not 0. To a narrower floating dtype: to nearest, ties to even.
const OpDef cast_op{
    .name = "cast",
    .category = Category::elementwise,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      return {TensorType{get_dtype(a), t[0].shape}};
    },
    .dtypes = any_dtype,
    .scalar = [](const double* x) { return x[0]; },
    .vjp =
        [](const VjpArguments& a) {
          return std::vector<Var>{is_float(a.inputs[0].type().dtype) ? cast(a.gradients[0], a.inputs[0].type().dtype)
                                                                     : Var{}};
        },
    .simplify = [](Graph& g, const Node& n,
                   Vars x) { return g.type(x[0].value).dtype == n.types[0].dtype ? x[0] : Var{}; },
    .samples =
        [] {
          return std::vector<Sample>{{{{boolean, {4, 7}}}, {{"dtype", "f32"}}}, {{{f32, {3}}}, {{"dtype", "f32"}}}};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{{{{f32, {2}}}, {{"dtype", "f31"}}, "unknown dtype 'f31'"},
                                        {{{f32, {2}}}, {}, "attribute 'dtype' is missing"},
                                        {{}, {{"dtype", "f32"}}, "expected 1 operands, got 0"}};
        }};

}  // namespace gmc::graph
