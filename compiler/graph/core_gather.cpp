// Elements at indices that are data: gather reads them, scatter writes them; each is the other's gradient.
#include "compiler/graph/core_rules.h"
#include "compiler/graph/indexing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace gmc::graph {
namespace {

using List = std::vector<int64_t>;

// `whole` is indexed along `axes` by `indices`, along its other dimensions by the dimension of the indices' shape that
// `dims` names for it (-1 along `axes`).
void check_indexing(const TensorType& whole, Types indices, const Attributes& a) {
  const List &axes = get<List>(a, "axes"), &dims = get<List>(a, "dims");
  const auto rank = static_cast<int64_t>(whole.shape.size());
  if (axes.empty() || indices.size() != axes.size())
    fail("expected as many indices as axes {}, got {}", to_string(axes), indices.size());
  if (dims.size() != whole.shape.size()) fail("expected {} numbers in 'dims', got {}", rank, dims.size());
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] < 0 || axes[i] >= rank || (i > 0 && axes[i] <= axes[i - 1]))
      fail("axes {} must be increasing and below {}", to_string(axes), rank);
  for (const TensorType& index : indices) {
    if (index.dtype != i32 && index.dtype != i64) fail("expected indices of i32 or i64, got {}", name_of(index.dtype));
    if (index.shape != indices[0].shape)
      fail("indices differ: {} and {}", to_string(indices[0].shape), to_string(index.shape));
  }
  const Shape& space = indices[0].shape;
  for (size_t d = 0; d < dims.size(); ++d) {
    const bool indexed = std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) != axes.end();
    if (indexed && whole.shape[d] == 0 && element_count(space) > 0) fail("axis {} has no element to index", d);
    if (indexed) continue;
    if (dims[d] < 0 || dims[d] >= std::ssize(space))
      fail("dimension {} of {} has no dimension of the indices {}", d, to_string(whole.shape), to_string(space));
    if (space[static_cast<size_t>(dims[d])] > whole.shape[d])
      fail("indices {} go past dimension {} of {}", to_string(space), d, to_string(whole.shape));
  }
}

// Offset into `whole` of element `linear` of the indices' space, whose index is `at`.
int64_t offset_of(const Node& n, const Shape& whole, std::span<const Reference* const> indices, size_t linear,
                  const Shape& at) {
  const Shape strides = dense_strides(whole);
  const List &axes = n.integers("axes"), &dims = n.integers("dims");
  int64_t offset = 0;
  size_t next = 0;
  for (size_t d = 0; d < whole.size(); ++d) {
    int64_t index = 0;
    if (next < axes.size() && axes[next] == static_cast<int64_t>(d)) {
      const double wanted = indices[next++]->values[linear];
      index = static_cast<int64_t>(std::clamp(wanted, 0.0, static_cast<double>(whole[d] - 1)));
    } else {
      index = at[static_cast<size_t>(dims[d])];
    }
    offset += index * strides[d];
  }
  return offset;
}

// visit(linear, offset into whole) for every element of the indices' space.
template <class Visit>
void for_each_indexed(const Node& n, const Shape& whole, std::span<const Reference* const> indices, Visit visit) {
  const Shape& space = indices[0]->shape;
  Shape at(space.size(), 0);
  const int64_t count = element_count(space);
  for (int64_t linear = 0; linear < count; ++linear) {
    visit(static_cast<size_t>(linear),
          static_cast<size_t>(offset_of(n, whole, indices, static_cast<size_t>(linear), at)));
    for (size_t d = space.size(); d-- > 0;) {
      if (++at[d] < space[d]) break;
      at[d] = 0;
    }
  }
}

std::vector<Var> tail(std::span<const Var> x, size_t from) {
  return {x.begin() + static_cast<ptrdiff_t>(from), x.end()};
}

constexpr std::array<std::string_view, 5> modes{"set", "add", "mul", "max", "min"};
int64_t mode_number(const std::string& mode) { return std::find(modes.begin(), modes.end(), mode) - modes.begin(); }

// Tiles share the largest dimension that no index reaches, so that each holds whole runs of updates in order.
Routine scatter_call(const Node& n, Types operands) {
  constexpr int64_t least_tile = 16, most_tiles = 64;
  const Shape &whole = operands[0].shape, &space = operands[1].shape;
  const List& dims = n.integers("dims");
  int64_t cut = -1;
  for (size_t d = 0; d < whole.size(); ++d)
    if (dims[d] >= 0 && (cut < 0 || whole[d] > whole[static_cast<size_t>(cut)])) cut = static_cast<int64_t>(d);
  const int64_t extent = cut < 0 ? 1 : whole[static_cast<size_t>(cut)];
  const int64_t tile = cut < 0 ? 1 : std::max(least_tile, (extent + most_tiles - 1) / most_tiles);
  Routine out{"gmc_scatter",
              {number_of(operands[0]), number_of(operands[2]), mode_number(n.text("mode")), std::ssize(whole),
               std::ssize(space), cut, tile},
              (extent + tile - 1) / tile};
  for (const Shape* part : {&whole, &dims, &space})
    out.parameters.insert(out.parameters.end(), part->begin(), part->end());
  return out;
}

Var zeros(Var like) { return broadcast_to(constant(*like.graph, 0, {like.type().dtype, {}}), like.shape()); }

}  // namespace

// Operands: x, then an index tensor per axis, all of the result's shape. An index outside [0, extent) is clamped.
const OpDef gather_op{
    .name = "gather",
    .category = Category::gather,
    .arity = -1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      if (t.size() < 2) fail("expected an operand and its indices, got {} operands", t.size());
      check_indexing(t[0], t.subspan(1), a);
      return {TensorType{t[0].dtype, t[1].shape}};
    },
    .dtypes = any_dtype,
    .reference =
        [](const ReferenceArguments& a) {
          const Shape& to = a.node.types[0].shape;
          Reference out{to, std::vector<double>(static_cast<size_t>(element_count(to)))};
          for_each_indexed(a.node, a.inputs[0]->shape, a.inputs.subspan(1),
                           [&](size_t linear, size_t at) { out.values[linear] = a.inputs[0]->values[at]; });
          return out;
        },
    .vjp =
        [](const VjpArguments& a) {
          std::vector<Var> out(a.inputs.size());
          out[0] = scatter(zeros(a.inputs[0]), a.gradients[0], tail(a.inputs, 1), a.node.integers("axes"),
                           a.node.integers("dims"), "add");
          return out;
        },
    .cost = 8,
    .samples =
        [] {
          return std::vector<Sample>{
              {{{f32, {7, 5}}, {i64, {4, 5}}}, {{"axes", List{0}}, {"dims", List{-1, 1}}}, -1, 8},
              {{{f32, {3, 9}}, {i64, {3, 4}}}, {{"axes", List{1}}, {"dims", List{0, -1}}}, -2, 9},
              {{{f32, {4, 6}}, {i32, {17}}, {i32, {17}}}, {{"axes", List{0, 1}}, {"dims", List{-1, -1}}}, 0, 6},
              {{{f32, {4, 6, 2}}, {i64, {3, 2, 4}}}, {{"axes", List{1}}, {"dims", List{2, -1, 1}}}, 0, 6}};
        },
    .bad_samples =
        [] {
          const Attributes first{{"axes", List{0}}, {"dims", List{-1, 1}}};
          return std::vector<BadSample>{
              {{{f32, {7, 5}}, {f32, {4, 5}}}, first, "expected indices of i32 or i64, got f32"},
              {{{f32, {7, 5}}, {i64, {4, 6}}}, first, "indices [4, 6] go past dimension 1 of [7, 5]"},
              {{{f32, {7, 5}}}, first, "expected an operand and its indices, got 1 operands"},
              {{{f32, {0, 5}}, {i64, {4, 5}}}, first, "axis 0 has no element to index"}};
        }};

// Operands: x, updates, then an index tensor per axis of the updates' shape. The result is x with the updates combined
// into their places, one after the other in row-major order: `mode` is set (the last wins), add, mul, max or min. An
// index outside [0, extent) is clamped.
const OpDef scatter_op{
    .name = "scatter",
    .category = Category::routine,
    .arity = -1,
    .infer = [](Types t, const Attributes& a) -> std::vector<TensorType> {
      if (t.size() < 3) fail("expected an operand, updates and their indices, got {} operands", t.size());
      check_indexing(t[0], t.subspan(2), a);
      if (t[1].shape != t[2].shape)
        fail("updates {} and indices {} differ in shape", to_string(t[1].shape), to_string(t[2].shape));
      if (t[1].dtype != t[0].dtype) fail("updates of {} do not fit {}", name_of(t[1].dtype), name_of(t[0].dtype));
      const std::string& mode = get<std::string>(a, "mode");
      if (mode_number(mode) == std::ssize(modes)) fail("unknown mode '{}': expected set, add, mul, max or min", mode);
      if (t[0].dtype == boolean && mode != "set") fail("expected mode set for bool, got {}", mode);
      return {t[0]};
    },
    .dtypes = any_dtype,
    .reference =
        [](const ReferenceArguments& a) {
          Reference out = *a.inputs[0];
          const std::string& mode = a.node.text("mode");
          for_each_indexed(a.node, out.shape, a.inputs.subspan(2), [&](size_t linear, size_t at) {
            const double update = a.inputs[1]->values[linear];
            double& into = out.values[at];
            if (mode == "set") into = update;
            if (mode == "add") into += update;
            if (mode == "mul") into *= update;
            if (mode == "max") into = std::isnan(into) || into > update ? into : update;
            if (mode == "min") into = std::isnan(into) || into < update ? into : update;
          });
          return out;
        },
    .routine = scatter_call,
    .vjp =
        [](const VjpArguments& a) {
          const std::string& mode = a.node.text("mode");
          const List &axes = a.node.integers("axes"), &dims = a.node.integers("dims");
          const std::vector<Var> indices = tail(a.inputs, 2);
          const Var g = a.gradients[0];
          std::vector<Var> out(a.inputs.size());
          const Var at_updates = gather(g, indices, axes, dims);
          if (mode == "add") {
            out[0] = g;
            out[1] = at_updates;
          } else if (mode == "set") {
            // Of several updates of one place the last counts: the one whose number is found there afterwards.
            const Shape& space = a.inputs[1].shape();
            const Var number = reshape(index(a.graph, 0, {i32, {element_count(space)}}), space);
            const Var none = broadcast_to(constant(a.graph, -1, {i32, {}}), g.shape());
            const Var winner = scatter(none, number, indices, axes, dims, "set");
            out[0] = select(equal(winner, none), g, zeros(g));
            out[1] = select(equal(gather(winner, indices, axes, dims), number), at_updates, zeros(at_updates));
          } else if (mode == "mul") {
            out[0] = g * scatter(broadcast_to(constant(a.graph, 1, {g.type().dtype, {}}), g.shape()), a.inputs[1],
                                 indices, axes, dims, "mul");
            // The product of all others of its place, which no division by an update gives where one of them is 0.
            const Var u = a.inputs[1], none = zeros(u), zero = equal(u, none);
            const Var one = broadcast_to(constant(a.graph, 1, {u.type().dtype, {}}), u.shape());
            const Var nonzero = select(zero, one, u);
            const Var rest = gather(scatter(a.inputs[0], nonzero, indices, axes, dims, "mul"), indices, axes, dims);
            const Var zero_here = cast(zero, u.type().dtype);
            const Var count = gather(scatter(zeros(g), zero_here, indices, axes, dims, "add"), indices, axes, dims);
            out[1] = at_updates * select(equal(count, zero_here), rest / nonzero, none);
          } else {
            // max and min: shared by all that attain it.
            const DType dtype = g.type().dtype;
            const Var kept = cast(equal(a.inputs[0], a.results[0]), dtype);
            const Var hit = cast(equal(a.inputs[1], gather(a.results[0], indices, axes, dims)), dtype);
            const Var share = g / scatter(kept, hit, indices, axes, dims, "add");
            out[0] = kept * select(equal(kept, zeros(kept)), zeros(g), share);
            out[1] = hit * gather(share, indices, axes, dims);
          }
          return out;
        },
    .cost = 1000,
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const char* mode : {"set", "add", "mul", "max", "min"})
            samples.push_back({{{f32, {7, 5}}, {f32, {4, 5}}, {i64, {4, 5}}},
                               {{"axes", List{0}}, {"dims", List{-1, 1}}, {"mode", mode}},
                               0.5,
                               6.5});
          samples.push_back({{{f32, {4, 6}}, {f32, {17}}, {i32, {17}}, {i32, {17}}},
                             {{"axes", List{0, 1}}, {"dims", List{-1, -1}}, {"mode", "add"}},
                             0,
                             6});
          samples.push_back({{{f32, {3, 9}}, {f32, {3, 4}}, {i64, {3, 4}}},
                             {{"axes", List{1}}, {"dims", List{0, -1}}, {"mode", "set"}},
                             -2,
                             10});
          return samples;
        },
    .bad_samples =
        [] {
          auto with = [](const char* mode) {
            return Attributes{{"axes", List{0}}, {"dims", List{-1, 1}}, {"mode", mode}};
          };
          return std::vector<BadSample>{
              {{{f32, {7, 5}}, {f32, {4, 5}}, {i64, {4, 5}}}, with("avg"), "unknown mode 'avg'"},
              {{{f32, {7, 5}}, {f32, {4, 4}}, {i64, {4, 5}}}, with("add"), "updates [4, 4] and indices [4, 5] differ"},
              {{{f32, {7, 5}}, {f64, {4, 5}}, {i64, {4, 5}}}, with("add"), "updates of f64 do not fit f32"},
              {{{f32, {7, 5}}, {f32, {4, 5}}}, with("add"), "expected an operand, updates and their indices"}};
        }};

Var gather(Var x, const std::vector<Var>& indices, List axes, List dims) {
  std::vector<Var> operands{x};
  operands.insert(operands.end(), indices.begin(), indices.end());
  return apply(gather_op, operands, {{"axes", std::move(axes)}, {"dims", std::move(dims)}});
}

Var scatter(Var x, Var updates, const std::vector<Var>& indices, List axes, List dims, const std::string& mode) {
  std::vector<Var> operands{x, updates};
  operands.insert(operands.end(), indices.begin(), indices.end());
  return apply(scatter_op, operands, {{"axes", std::move(axes)}, {"dims", std::move(dims)}, {"mode", mode}});
}

}  // namespace gmc::graph
