// Order along one axis (attribute `axis`): equal elements stay as they were, NaN comes last whatever the direction.
#include "ops/routines.h"

#include <cmath>
#include <numeric>

namespace gmc::ops {

namespace {

constexpr int64_t elements_a_tile = 8192;

// The first `kept` of every line in order, and where they come from.
std::vector<Reference> sorted(const Reference& x, int64_t axis, bool descending, int64_t kept) {
  const Along a = along(x.shape, axis);
  Reference values{with_extent(x.shape, axis, kept), {}};
  values.values.resize(static_cast<size_t>(element_count(values.shape)));
  Reference from = values;
  for (int64_t line = 0; line < a.lines(); ++line) {
    auto element = [&](int64_t k) {
      return x.values[static_cast<size_t>((line / a.inner * a.n + k) * a.inner + line % a.inner)];
    };
    std::vector<int64_t> order(static_cast<size_t>(a.n));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
      if (std::isnan(element(i)) || std::isnan(element(j))) return !std::isnan(element(i));
      return descending ? element(i) > element(j) : element(i) < element(j);
    });
    for (int64_t k = 0; k < kept; ++k) {
      const auto at = static_cast<size_t>((line / a.inner * kept + k) * a.inner + line % a.inner);
      values.values[at] = element(order[static_cast<size_t>(k)]);
      from.values[at] = static_cast<double>(order[static_cast<size_t>(k)]);
    }
  }
  return {values, from};
}

Routine sort_call(const Node& n, const TensorType& type, bool descending, int64_t kept) {
  const Along a = along(type.shape, n.integer("axis"));
  const int64_t tile = a.lines_a_tile(elements_a_tile);
  return {"gmc_sort",
          {number_of(type), descending ? 1 : 0, a.n, a.inner, a.lines(), tile, kept},
          kept == 0 ? 0 : ceil_div(a.lines(), tile),
          checked_mul(32, a.n, "scratch")};
}

// Back to where the elements come from.
Vars sort_vjp(const VjpArguments& a) {
  if (!a.gradients[0].valid()) return {Var{}};
  const int64_t axis = a.node.integer("axis");
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < std::ssize(a.inputs[0].shape()); ++d) dims.push_back(d == axis ? -1 : d);
  return {scatter(full_like(a.inputs[0], 0), a.gradients[0], {a.results[1]}, {axis}, dims, "add")};
}

std::vector<Sample> sort_samples(const char* direction) {
  std::vector<Sample> out;
  const std::pair<Shape, int64_t> cases[] = {{{4, 7}, 1}, {{9, 3}, 0}, {{2, 5, 3}, 1}, {{90}, 0}, {{3, 0}, 1}};
  for (const auto& [shape, axis] : cases)
    for (bool turned : {false, true}) out.push_back({{{f32, shape}}, {{"axis", axis}, {direction, turned}}, -9, 9});
  return out;
}

std::vector<BadSample> sort_bad_samples() {
  return {{{{f32, {4}}}, {{"axis", int64_t{1}}}, "axis 1 is out of range for 1 dimensions"},
          {{{f32, {}}}, {{"axis", int64_t{0}}}, "axis 0 is out of range for 0 dimensions"},
          {{{f32, {4}}}, {}, "attribute 'axis' is missing"}};
}

}  // namespace

// Results: the elements in ascending order, or `descending`; i64, where each comes from.
const OpDef sort_op{.name = "sort",
                    .category = Category::routine,
                    .arity = 1,
                    .infer = [](Types t, const Attributes& a) -> Results {
                      get_axis(a, t[0].shape.size());
                      return {t[0], {i64, t[0].shape}};
                    },
                    .dtypes = any_dtype,
                    .references =
                        [](const ReferenceArguments& a) {
                          const int64_t axis = a.node.integer("axis");
                          return sorted(*a.inputs[0], axis, a.node.flag("descending"),
                                        a.inputs[0]->shape[static_cast<size_t>(axis)]);
                        },
                    .routine =
                        [](const Node& n, Types operands) {
                          return sort_call(n, operands[0], n.flag("descending"),
                                           operands[0].shape[static_cast<size_t>(n.integer("axis"))]);
                        },
                    .vjp = sort_vjp,
                    .cost = 60,
                    .samples = [] { return sort_samples("descending"); },
                    .bad_samples = sort_bad_samples};

// Where the elements in order come from, i64.
const OpDef argsort_op{.name = "argsort",
                       .category = Category::composite,
                       .arity = 1,
                       .infer = [](Types t, const Attributes& a) -> Results {
                         get_axis(a, t[0].shape.size());
                         return {{i64, t[0].shape}};
                       },
                       .dtypes = any_dtype,
                       .expand = [](Graph& g, const Node& n, Operands x) -> Vars {
                         const Value values = apply(sort_op, {x[0]}, n.attributes).value;
                         return {Var{&g, {values.node, 1}}};
                       },
                       .samples = [] { return sort_samples("descending"); },
                       .bad_samples = sort_bad_samples};

// Results: the `k` largest elements from the largest on, or the `smallest` from the smallest on; i64, where each comes
// from.
const OpDef top_k_op{
    .name = "top_k",
    .category = Category::routine,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      const int64_t axis = get_axis(a, t[0].shape.size()), k = get<int64_t>(a, "k");
      const int64_t extent = t[0].shape[static_cast<size_t>(axis)];
      if (k < 0 || k > extent) fail("k is {}: axis {} of {} has {} elements", k, axis, to_string(t[0]), extent);
      const Shape shape = with_extent(t[0].shape, axis, k);
      return {{t[0].dtype, shape}, {i64, shape}};
    },
    .dtypes = any_dtype,
    .references =
        [](const ReferenceArguments& a) {
          return sorted(*a.inputs[0], a.node.integer("axis"), !a.node.flag("smallest"), a.node.integer("k"));
        },
    .routine = [](const Node& n,
                  Types operands) { return sort_call(n, operands[0], !n.flag("smallest"), n.integer("k")); },
    .vjp = sort_vjp,
    .cost = 60,
    .samples =
        [] {
          std::vector<Sample> out = sort_samples("smallest");
          for (Sample& s : out) {
            const auto axis = static_cast<size_t>(std::get<int64_t>(s.attributes.at("axis")));
            s.attributes["k"] = std::min<int64_t>(3, s.inputs[0].shape[axis]);
          }
          return out;
        },
    .bad_samples =
        [] {
          const int64_t first = 0;
          return std::vector<BadSample>{
              {{{f32, {4}}}, {{"axis", first}, {"k", int64_t{5}}}, "k is 5: axis 0 of f32[4] has 4 elements"},
              {{{f32, {4}}}, {{"axis", first}, {"k", int64_t{-1}}}, "k is -1"},
              {{{f32, {4}}}, {{"axis", first}}, "attribute 'k' is missing"}};
        }};

}  // namespace gmc::ops
