#include "compiler/graph/core_ops.h"

#include "compiler/graph/indexing.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace gmc::graph {
namespace {

using Types = std::span<const TensorType>;
using Vars = std::span<const Var>;

template <class T>
const T& get(const Attributes& attributes, const char* key) {
  auto it = attributes.find(key);
  if (it == attributes.end() || !std::holds_alternative<T>(it->second))
    fail("attribute '{}' is missing or of another kind", key);
  return std::get<T>(it->second);
}

bool get_flag(const Attributes& attributes, const char* key) {
  auto it = attributes.find(key);
  return it != attributes.end() && std::holds_alternative<bool>(it->second) && std::get<bool>(it->second);
}

DType get_dtype(const Attributes& attributes) {
  const std::string& name = get<std::string>(attributes, "dtype");
  if (auto dtype = dtype_named(name)) return *dtype;
  fail("unknown dtype '{}'", name);
}

// ---- values from outside -------------------------------------------------------------------------------------------

std::vector<TensorType> infer_declared(Types, const Attributes& attributes) {
  const Shape& shape = get<std::vector<int64_t>>(attributes, "shape");
  const TensorType type{get_dtype(attributes), shape};
  byte_size(type.dtype, shape);
  return {type};
}

Reference splat(const ReferenceArguments& a) {
  const Shape& shape = a.node.types[0].shape;
  return {shape, std::vector<double>(static_cast<size_t>(element_count(shape)), a.node.number("value"))};
}

// ---- monoids -------------------------------------------------------------------------------------------------------

struct Monoid {
  const char* name;
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

}  // namespace

// ---- rules shared by many ops --------------------------------------------------------------------------------------

std::vector<TensorType> infer_same(Types types, const Attributes&) {
  for (const TensorType& t : types) {
    if (!is_float(t.dtype)) fail("expected a floating dtype, got {}", name_of(t.dtype));
    if (!(t == types[0])) fail("operands differ: {} and {}", to_string(types[0]), to_string(t));
  }
  return {types[0]};
}

std::vector<TensorType> infer_compare(Types types, const Attributes& attributes) {
  infer_same(types, attributes);
  return {TensorType{DType::boolean, types[0].shape}};
}

std::vector<Sample> unary_samples() {
  return {{{{f32, {4, 7}}}}, {{{f32, {}}}}, {{{f32, {0, 3}}}}, {{{f32, {1}}}}, {{{f32, {2, 3, 17}}}}};
}
std::vector<Sample> positive_samples() {
  auto samples = unary_samples();
  for (Sample& s : samples) s.low = 0.1, s.high = 4;
  return samples;
}
std::vector<Sample> binary_samples() {
  auto samples = unary_samples();
  for (Sample& s : samples) s.inputs.push_back(s.inputs[0]);
  return samples;
}
std::vector<BadSample> unary_bad_samples() {
  return {{{{i32, {2}}}, {}, "expected a floating dtype, got i32"},
          {{{boolean, {2}}}, {}, "expected a floating dtype, got bool"},
          {{}, {}, "expected 1 operands, got 0"}};
}
std::vector<BadSample> binary_bad_samples() {
  return {{{{f32, {2}}, {f32, {3}}}, {}, "operands differ: f32[2] and f32[3]"},
          {{{f32, {2}}, {f64, {2}}}, {}, "operands differ: f32[2] and f64[2]"},
          {{{i64, {2}}, {i64, {2}}}, {}, "expected a floating dtype, got i64"},
          {{{f32, {2}}}, {}, "expected 2 operands, got 1"}};
}

// ---- ops -----------------------------------------------------------------------------------------------------------

const OpDef input_op{.name = "input", .category = Category::input, .arity = 0, .infer = infer_declared};

const OpDef constant_op{.name = "constant",
                        .category = Category::constant,
                        .arity = 0,
                        .infer = infer_declared,
                        .reference = splat,
                        .cost = 0};

const OpDef add_op{.name = "add",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .scalar = [](const double* x) { return x[0] + x[1]; },
                   .vjp = [](const VjpArguments& a) { return std::vector<Var>{a.gradients[0], a.gradients[0]}; },
                   .simplify =
                       [](Graph& g, const Node&, Vars x) {
                         // x + -0 is x for every x; x + 0 is not (-0 + 0 is 0).
                         for (int i : {0, 1}) {
                           const Node& n = g.node(x[static_cast<size_t>(i)].value);
                           if (n.op == &constant_op && n.number("value") == 0 && std::signbit(n.number("value")))
                             return x[static_cast<size_t>(1 - i)];
                         }
                         return Var{};
                       },
                   .samples = binary_samples,
                   .bad_samples = binary_bad_samples};

const OpDef sub_op{.name = "sub",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
                   .scalar = [](const double* x) { return x[0] - x[1]; },
                   .vjp = [](const VjpArguments& a) { return std::vector<Var>{a.gradients[0], -a.gradients[0]}; },
                   .samples = binary_samples,
                   .bad_samples = binary_bad_samples};

const OpDef mul_op{.name = "mul",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
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
                   .samples = binary_samples,
                   .bad_samples = binary_bad_samples};

const OpDef div_op{.name = "div",
                   .category = Category::elementwise,
                   .arity = 2,
                   .infer = infer_same,
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
                   .scalar = [](const double* x) { return -x[0]; },
                   .vjp = [](const VjpArguments& a) { return std::vector<Var>{-a.gradients[0]}; },
                   .simplify =
                       [](Graph& g, const Node&, Vars x) {
                         const Node& n = g.node(x[0].value);
                         return n.op == &neg_op ? Var{&g, n.inputs[0]} : Var{};
                       },
                   .samples = unary_samples,
                   .bad_samples = unary_bad_samples};

const OpDef less_op{.name = "less",
                    .category = Category::elementwise,
                    .arity = 2,
                    .infer = infer_compare,
                    .scalar = [](const double* x) { return x[0] < x[1] ? 1.0 : 0.0; },
                    .vjp = [](const VjpArguments&) { return std::vector<Var>(2); },
                    .samples = binary_samples,
                    .bad_samples = binary_bad_samples};

const OpDef equal_op{.name = "equal",
                     .category = Category::elementwise,
                     .arity = 2,
                     .infer = infer_compare,
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
    .scalar = [](const double* x) { return x[0] != 0 ? x[1] : x[2]; },
    .vjp =
        [](const VjpArguments& a) {
          const Var zero =
              broadcast_to(constant(a.graph, 0, {a.gradients[0].type().dtype, {}}), a.gradients[0].shape());
          return std::vector<Var>{Var{}, select(a.inputs[0], a.gradients[0], zero),
                                  select(a.inputs[0], zero, a.gradients[0])};
        },
    .samples = [] { return std::vector<Sample>{{{{boolean, {4, 7}}, {f32, {4, 7}}, {f32, {4, 7}}}}}; },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {2}}, {f32, {2}}, {f32, {2}}}, {}, "expected a bool condition, got f32"},
              {{{boolean, {2}}, {f32, {2}}, {f64, {2}}}, {}, "operands differ"},
              {{{boolean, {3}}, {f32, {2}}, {f32, {2}}}, {}, "shapes differ: [3] and [2]"}};
        }};

const OpDef cast_op{
    .name = "cast",
    .category = Category::elementwise,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      return {TensorType{get_dtype(a), t[0].shape}};
    },
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

const OpDef broadcast_op{
    .name = "broadcast",
    .category = Category::broadcast,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      const Shape& to = get<std::vector<int64_t>>(a, "shape");
      const Shape& dims = get<std::vector<int64_t>>(a, "dims");
      if (dims.size() != t[0].shape.size()) fail("expected {} dims, got {}", t[0].shape.size(), dims.size());
      for (size_t i = 0; i < dims.size(); ++i) {
        if (dims[i] < 0 || dims[i] >= static_cast<int64_t>(to.size()) || (i > 0 && dims[i] <= dims[i - 1]))
          fail("dims {} must be increasing and below {}", to_string(dims), to.size());
        const int64_t from = t[0].shape[i], extent = to[static_cast<size_t>(dims[i])];
        if (from != extent && from != 1) fail("cannot broadcast {} to {}", to_string(t[0].shape), to_string(to));
      }
      byte_size(t[0].dtype, to);
      return {TensorType{t[0].dtype, to}};
    },
    .reference =
        [](const ReferenceArguments& a) {
          const Shape& to = a.node.types[0].shape;
          const Shape from = dense_strides(a.inputs[0]->shape);
          Shape strides(to.size(), 0);
          for (size_t i = 0; i < from.size(); ++i)
            if (a.inputs[0]->shape[i] != 1) strides[static_cast<size_t>(a.node.integers("dims")[i])] = from[i];
          Reference out{to, std::vector<double>(static_cast<size_t>(element_count(to)))};
          for_each_element(to, strides, 0, [&](int64_t i, int64_t at) {
            out.values[static_cast<size_t>(i)] = a.inputs[0]->values[static_cast<size_t>(at)];
          });
          return out;
        },
    .vjp =
        [](const VjpArguments& a) {
          const Shape& from = a.inputs[0].shape();
          const Shape& dims = a.node.integers("dims");
          std::vector<int64_t> axes;
          for (int64_t d = 0; d < static_cast<int64_t>(a.gradients[0].shape().size()); ++d) {
            auto it = std::find(dims.begin(), dims.end(), d);
            const bool kept = it != dims.end() && from[static_cast<size_t>(it - dims.begin())] != 1;
            if (!kept) axes.push_back(d);
          }
          return std::vector<Var>{reshape(axes.empty() ? a.gradients[0] : sum(a.gradients[0], axes), from)};
        },
    .simplify = [](Graph& g, const Node& n, Vars x) { return g.type(x[0].value) == n.types[0] ? x[0] : Var{}; },
    .cost = 0,
    .samples =
        [] {
          using I = std::vector<int64_t>;
          return std::vector<Sample>{{{{f32, {7}}}, {{"shape", I{4, 7}}, {"dims", I{1}}}},
                                     {{{f32, {4}}}, {{"shape", I{4, 7}}, {"dims", I{0}}}},
                                     {{{f32, {4, 1}}}, {{"shape", I{4, 7}}, {"dims", I{0, 1}}}},
                                     {{{f32, {}}}, {{"shape", I{3, 5}}, {"dims", I{}}}}};
        },
    .bad_samples =
        [] {
          using I = std::vector<int64_t>;
          return std::vector<BadSample>{
              {{{f32, {2}}}, {{"shape", I{4}}, {"dims", I{0}}}, "cannot broadcast [2] to [4]"},
              {{{f32, {2}}}, {{"shape", I{4, 2}}, {"dims", I{}}}, "expected 1 dims, got 0"},
              {{{f32, {2, 2}}}, {{"shape", I{2, 2}}, {"dims", I{1, 0}}}, "must be increasing"}};
        }};

const OpDef reshape_op{
    .name = "reshape",
    .category = Category::reshape,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      const Shape& to = get<std::vector<int64_t>>(a, "shape");
      if (element_count(to) != element_count(t[0].shape))
        fail("cannot reshape {} ({} elements) to {} ({} elements)", to_string(t[0].shape), element_count(t[0].shape),
             to_string(to), element_count(to));
      return {TensorType{t[0].dtype, to}};
    },
    .reference = [](const ReferenceArguments& a) { return Reference{a.node.types[0].shape, a.inputs[0]->values}; },
    .vjp = [](const VjpArguments& a) { return std::vector<Var>{reshape(a.gradients[0], a.inputs[0].shape())}; },
    .simplify = [](Graph& g, const Node& n, Vars x) { return g.type(x[0].value) == n.types[0] ? x[0] : Var{}; },
    .cost = 0,
    .samples =
        [] {
          using I = std::vector<int64_t>;
          return std::vector<Sample>{{{{f32, {4, 6}}}, {{"shape", I{3, 8}}}},
                                     {{{f32, {4, 6}}}, {{"shape", I{4, 1, 6}}}}};
        },
    .bad_samples =
        [] {
          using I = std::vector<int64_t>;
          return std::vector<BadSample>{
              {{{f32, {2, 3}}}, {{"shape", I{7}}}, "cannot reshape [2, 3] (6 elements) to [7]"},
              {{{f32, {2}}}, {}, "attribute 'shape' is missing"},
              {{{f32, {2}}}, {{"shape", I{-2}}}, "number of elements overflows"}};
        }};

const OpDef transpose_op{.name = "transpose",
                         .category = Category::transpose,
                         .arity = 1,
                         .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
                           const Shape& perm = get<std::vector<int64_t>>(a, "perm");
                           Shape sorted = perm, identity(t[0].shape.size());
                           std::sort(sorted.begin(), sorted.end());
                           std::iota(identity.begin(), identity.end(), 0);
                           if (sorted != identity)
                             fail("perm {} is no permutation of {} dimensions", to_string(perm), identity.size());
                           TensorType out{t[0].dtype, {}};
                           for (int64_t d : perm) out.shape.push_back(t[0].shape[static_cast<size_t>(d)]);
                           return {out};
                         },
                         .reference =
                             [](const ReferenceArguments& a) {
                               const Shape from = dense_strides(a.inputs[0]->shape);
                               Shape strides;
                               for (int64_t d : a.node.integers("perm"))
                                 strides.push_back(from[static_cast<size_t>(d)]);
                               Reference out{a.node.types[0].shape, std::vector<double>(a.inputs[0]->values.size())};
                               for_each_element(out.shape, strides, 0, [&](int64_t i, int64_t at) {
                                 out.values[static_cast<size_t>(i)] = a.inputs[0]->values[static_cast<size_t>(at)];
                               });
                               return out;
                             },
                         .vjp =
                             [](const VjpArguments& a) {
                               const Shape& perm = a.node.integers("perm");
                               Shape inverse(perm.size());
                               for (size_t i = 0; i < perm.size(); ++i)
                                 inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
                               return std::vector<Var>{transpose(a.gradients[0], inverse)};
                             },
                         .cost = 0,
                         .samples =
                             [] {
                               using I = std::vector<int64_t>;
                               return std::vector<Sample>{{{{f32, {4, 7}}}, {{"perm", I{1, 0}}}},
                                                          {{{f32, {2, 3, 5}}}, {{"perm", I{2, 0, 1}}}}};
                             },
                         .bad_samples =
                             [] {
                               using I = std::vector<int64_t>;
                               return std::vector<BadSample>{
                                   {{{f32, {2, 3}}}, {{"perm", I{0}}}, "is no permutation of 2 dimensions"},
                                   {{{f32, {2, 3}}}, {{"perm", I{0, 0}}}, "is no permutation"},
                                   {{{f32, {2}}}, {}, "attribute 'perm' is missing"}};
                             }};

const OpDef reduce_op{
    .name = "reduce",
    .category = Category::reduce,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      if (!is_float(t[0].dtype)) fail("expected a floating dtype, got {}", name_of(t[0].dtype));
      monoid_named(get<std::string>(a, "monoid"));
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
          out.values.assign(static_cast<size_t>(element_count(out.shape)), monoid.identity);
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
    .simplify = [](Graph&, const Node& n, Vars x) { return n.integers("axes").empty() ? x[0] : Var{}; },
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
              {{{i32, {2}}}, {{"monoid", "sum"}, {"axes", I{0}}}, "expected a floating dtype, got i32"}};
        }};

const OpDef matmul_op{
    .name = "matmul",
    .category = Category::matmul,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      const Shape &x = t[0].shape, &y = t[1].shape;
      if (t[0].dtype != t[1].dtype || !is_float(t[0].dtype))
        fail("expected two operands of one floating dtype, got {} and {}", name_of(t[0].dtype), name_of(t[1].dtype));
      if (x.size() < 2 || y.size() != x.size())
        fail("expected two matrices of one rank, got {} x {}", to_string(x), to_string(y));
      const size_t r = x.size();
      const bool ta = get_flag(a, "transpose_a"), tb = get_flag(a, "transpose_b");
      const int64_t m = x[ta ? r - 1 : r - 2], k = x[ta ? r - 2 : r - 1], n = y[tb ? r - 2 : r - 1];
      if (k != y[tb ? r - 1 : r - 2])
        fail("inner sizes differ: {} x {}{}", to_string(x), to_string(y), tb ? " transposed" : "");
      TensorType out{t[0].dtype, Shape(x.begin(), x.end() - 2)};
      if (!std::equal(x.begin(), x.end() - 2, y.begin())) fail("batches differ: {} x {}", to_string(x), to_string(y));
      out.shape.insert(out.shape.end(), {m, n});
      return {out};
    },
    .reference =
        [](const ReferenceArguments& a) {
          const bool ta = a.node.flag("transpose_a"), tb = a.node.flag("transpose_b");
          const Shape& to = a.node.types[0].shape;
          const size_t r = to.size();
          const int64_t m = to[r - 2], n = to[r - 1], k = a.inputs[0]->shape[ta ? r - 2 : r - 1];
          Reference out{to, std::vector<double>(static_cast<size_t>(element_count(to)), 0.0)};
          const int64_t batches = m * n == 0 ? 0 : element_count(to) / (m * n);
          for (int64_t b = 0; b < batches; ++b) {
            const double* x = a.inputs[0]->values.data() + b * m * k;
            const double* y = a.inputs[1]->values.data() + b * k * n;
            double* z = out.values.data() + b * m * n;
            for (int64_t i = 0; i < m; ++i)
              for (int64_t l = 0; l < k; ++l) {
                const double xv = x[ta ? l * m + i : i * k + l];
                for (int64_t j = 0; j < n; ++j) z[i * n + j] += xv * y[tb ? j * k + l : l * n + j];
              }
          }
          return out;
        },
    .vjp =
        [](const VjpArguments& a) {
          const bool ta = a.node.flag("transpose_a"), tb = a.node.flag("transpose_b");
          const Var g = a.gradients[0], x = a.inputs[0], y = a.inputs[1];
          const Var dx = ta ? matmul(y, g, tb, true) : matmul(g, y, false, !tb);
          const Var dy = tb ? matmul(g, x, true, ta) : matmul(x, g, !ta, false);
          return std::vector<Var>{dx, dy};
        },
    .cost = 1000,
    .samples =
        [] {
          std::vector<Sample> samples;
          for (bool ta : {false, true})
            for (bool tb : {false, true}) {
              const Shape x = ta ? Shape{5, 3} : Shape{3, 5}, y = tb ? Shape{17, 5} : Shape{5, 17};
              samples.push_back({{{f32, x}, {f32, y}}, {{"transpose_a", ta}, {"transpose_b", tb}}});
            }
          return samples;
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{{{{f32, {2, 3}}, {f32, {4, 5}}}, {}, "inner sizes differ: [2, 3] x [4, 5]"},
                                        {{{f32, {2, 3}}, {f32, {3}}}, {}, "expected two matrices of one rank"},
                                        {{{f32, {2, 3}}, {f64, {3, 4}}}, {}, "of one floating dtype, got f32 and f64"}};
        }};

std::vector<const OpDef*> core_ops() {
  return {&input_op, &constant_op, &add_op,       &sub_op,     &mul_op,       &div_op,    &neg_op,    &less_op,
          &equal_op, &select_op,   &broadcast_op, &reshape_op, &transpose_op, &reduce_op, &matmul_op, &cast_op};
}

// ---- builders ------------------------------------------------------------------------------------------------------

Var apply(const OpDef& op, std::vector<Var> operands, Attributes attributes) {
  Graph& g = *operands.at(0).graph;
  std::vector<Value> values;
  for (const Var& v : operands) values.push_back(v.value);
  return {&g, g.add(op, std::move(values), std::move(attributes))};
}

Shape broadcast_shape(const Shape& a, const Shape& b) {
  Shape out = a.size() >= b.size() ? a : b;
  const Shape& other = a.size() >= b.size() ? b : a;
  for (size_t i = 0; i < other.size(); ++i) {
    int64_t& extent = out[out.size() - other.size() + i];
    if (extent != other[i] && extent != 1 && other[i] != 1)
      fail("shapes do not broadcast: {} and {}", to_string(a), to_string(b));
    if (extent == 1) extent = other[i];
  }
  return out;
}

Var apply_elementwise(const OpDef& op, std::vector<Var> operands, Attributes attributes) {
  Graph& g = *operands.at(0).graph;
  Shape shape;
  try {
    for (const Var& v : operands) shape = broadcast_shape(shape, v.shape());
  } catch (const Error& e) {
    std::vector<Value> values;
    for (const Var& v : operands) values.push_back(v.value);
    throw Error(diagnose(g, fmt::format("{}: {}", op.name, e.what()), values));
  }
  for (Var& v : operands) v = broadcast_to(v, shape);
  return apply(op, std::move(operands), std::move(attributes));
}

namespace {
std::vector<int64_t> shape_attribute(const Shape& shape) { return shape; }
Var number(Var like, double value) { return constant(*like.graph, value, {like.type().dtype, {}}); }
}  // namespace

Var input(Graph& g, const std::string& name, const std::string& role, TensorType type) {
  return {&g, g.add(input_op, {},
                    {{"name", name},
                     {"role", role},
                     {"dtype", std::string(name_of(type.dtype))},
                     {"shape", shape_attribute(type.shape)}})};
}
Var constant(Graph& g, double value, TensorType type) {
  return {
      &g,
      g.add(constant_op, {},
            {{"value", value}, {"dtype", std::string(name_of(type.dtype))}, {"shape", shape_attribute(type.shape)}})};
}
Var operator+(Var a, Var b) { return apply_elementwise(add_op, {a, b}); }
Var operator-(Var a, Var b) { return apply_elementwise(sub_op, {a, b}); }
Var operator*(Var a, Var b) { return apply_elementwise(mul_op, {a, b}); }
Var operator/(Var a, Var b) { return apply_elementwise(div_op, {a, b}); }
Var operator-(Var a) { return apply(neg_op, {a}); }
Var operator+(Var a, double b) { return a + number(a, b); }
Var operator-(Var a, double b) { return a - number(a, b); }
Var operator-(double a, Var b) { return number(b, a) - b; }
Var operator*(Var a, double b) { return a * number(a, b); }
Var operator*(double a, Var b) { return number(b, a) * b; }
Var operator/(Var a, double b) { return a / number(a, b); }
Var less(Var a, Var b) { return apply_elementwise(less_op, {a, b}); }
Var equal(Var a, Var b) { return apply_elementwise(equal_op, {a, b}); }
Var select(Var condition, Var a, Var b) { return apply_elementwise(select_op, {condition, a, b}); }
Var cast(Var a, DType to) {
  return a.type().dtype == to ? a : apply(cast_op, {a}, {{"dtype", std::string(name_of(to))}});
}

Var broadcast(Var a, const Shape& to, std::vector<int64_t> dims) {
  return a.shape() == to ? a : apply(broadcast_op, {a}, {{"shape", shape_attribute(to)}, {"dims", std::move(dims)}});
}
Var broadcast_to(Var a, const Shape& to) {
  std::vector<int64_t> dims(a.shape().size());
  std::iota(dims.begin(), dims.end(), static_cast<int64_t>(to.size() - std::min(to.size(), dims.size())));
  return broadcast(a, to, std::move(dims));
}
Var reshape(Var a, const Shape& to) {
  return a.shape() == to ? a : apply(reshape_op, {a}, {{"shape", shape_attribute(to)}});
}
Var transpose(Var a, std::vector<int64_t> perm) { return apply(transpose_op, {a}, {{"perm", std::move(perm)}}); }
Var reduce(Var a, const std::string& monoid, std::vector<int64_t> axes) {
  if (axes.empty()) {
    axes.resize(a.shape().size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  return axes.empty() ? a : apply(reduce_op, {a}, {{"monoid", monoid}, {"axes", std::move(axes)}});
}
Var sum(Var a, std::vector<int64_t> axes) { return reduce(a, "sum", std::move(axes)); }
Var matmul(Var a, Var b, bool transpose_a, bool transpose_b) {
  Attributes attributes;
  if (transpose_a) attributes["transpose_a"] = true;
  if (transpose_b) attributes["transpose_b"] = true;
  return apply(matmul_op, {a, b}, std::move(attributes));
}

}  // namespace gmc::graph
