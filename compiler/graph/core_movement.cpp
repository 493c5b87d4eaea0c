#include "compiler/graph/core_rules.h"
#include "compiler/graph/indexing.h"

#include <algorithm>
#include <numeric>

namespace gmc::graph {
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
    .dtypes = any_dtype,
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
    .dtypes = any_dtype,
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
                         .dtypes = any_dtype,
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

}  // namespace gmc::graph
