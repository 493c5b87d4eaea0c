// Values that come from no operand: one number in every element, a table, the element's own index.
#include "compiler/graph/core_rules.h"
#include "compiler/graph/indexing.h"

namespace gmc::graph {
namespace {

TensorType declared(const Attributes& attributes) {
  const Shape& shape = get<std::vector<int64_t>>(attributes, "shape");
  const TensorType type{get_dtype(attributes), shape};
  byte_size(type.dtype, shape);
  return type;
}

}  // namespace

const OpDef input_op{.name = "input",
                     .category = Category::input,
                     .arity = 0,
                     .infer = [](Types, const Attributes& a) { return std::vector<TensorType>{declared(a)}; },
                     .dtypes = any_dtype};

const OpDef constant_op{.name = "constant",
                        .category = Category::constant,
                        .arity = 0,
                        .infer = [](Types, const Attributes& a) { return std::vector<TensorType>{declared(a)}; },
                        .dtypes = any_dtype,
                        .reference =
                            [](const ReferenceArguments& a) {
                              const Shape& shape = a.node.types[0].shape;
                              return Reference{shape, std::vector<double>(static_cast<size_t>(element_count(shape)),
                                                                          a.node.number("value"))};
                            },
                        .cost = 0};

const OpDef literal_op{
    .name = "literal",
    .category = Category::literal,
    .arity = 0,
    .infer = [](Types, const Attributes& a) -> std::vector<TensorType> {
      const TensorType type = declared(a);
      const size_t given = get<std::vector<double>>(a, "values").size();
      if (given != static_cast<size_t>(element_count(type.shape)))
        fail("{} has {} elements, {} values are given", to_string(type), element_count(type.shape), given);
      return {type};
    },
    .dtypes = any_dtype,
    .reference = [](const ReferenceArguments& a) { return Reference{a.node.types[0].shape, a.node.numbers("values")}; },
    .cost = 0,
    .samples =
        [] {
          return std::vector<Sample>{
              {{}, {{"dtype", "f32"}, {"shape", Shape{2, 3}}, {"values", std::vector<double>{1, -2, 0.5, 3, 0, 7}}}},
              {{}, {{"dtype", "i64"}, {"shape", Shape{2}}, {"values", std::vector<double>{-1, 4}}}},
              {{}, {{"dtype", "f32"}, {"shape", Shape{0, 3}}, {"values", std::vector<double>{}}}}};
        },
    .bad_samples =
        [] {
          const std::vector<double> two{1, 2};
          return std::vector<BadSample>{
              {{}, {{"dtype", "f32"}, {"shape", Shape{3}}, {"values", two}}, "has 3 elements, 2 values are given"},
              {{}, {{"dtype", "f31"}, {"shape", Shape{2}}, {"values", two}}, "unknown dtype 'f31'"},
              {{}, {{"dtype", "f32"}, {"shape", Shape{2}}}, "attribute 'values' is missing"}};
        }};

const OpDef index_op{
    .name = "index",
    .category = Category::index,
    .arity = 0,
    .infer = [](Types, const Attributes& a) -> std::vector<TensorType> {
      const TensorType type = declared(a);
      const auto axis = get<int64_t>(a, "axis"), rank = static_cast<int64_t>(type.shape.size());
      if (axis < 0 || axis >= rank) fail("axis {} is out of range for {} dimensions", axis, rank);
      if (type.dtype == boolean) fail("expected a numeric dtype, got bool");
      return {type};
    },
    .dtypes = numeric,
    .reference =
        [](const ReferenceArguments& a) {
          const Shape& shape = a.node.types[0].shape;
          Shape strides(shape.size(), 0);
          strides[static_cast<size_t>(a.node.integer("axis"))] = 1;
          Reference out{shape, std::vector<double>(static_cast<size_t>(element_count(shape)))};
          for_each_element(shape, strides, 0, [&](int64_t i, int64_t at) {
            out.values[static_cast<size_t>(i)] = static_cast<double>(at);
          });
          return out;
        },
    .cost = 0,
    .samples =
        [] {
          std::vector<Sample> samples;
          for (int64_t axis : {0, 1})
            samples.push_back({{}, {{"axis", axis}, {"dtype", "f32"}, {"shape", Shape{5, 19}}}});
          samples.push_back({{}, {{"axis", int64_t{1}}, {"dtype", "i64"}, {"shape", Shape{3, 4, 5}}}});
          return samples;
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{}, {{"axis", int64_t{1}}, {"dtype", "f32"}, {"shape", Shape{5}}}, "axis 1 is out of range"},
              {{},
               {{"axis", int64_t{0}}, {"dtype", "bool"}, {"shape", Shape{5}}},
               "expected a numeric dtype, got bool"},
              {{}, {{"dtype", "f32"}, {"shape", Shape{5}}}, "attribute 'axis' is missing"}};
        }};

Var input(Graph& g, const std::string& name, const std::string& role, TensorType type) {
  return {&g, g.add(input_op, {},
                    {{"name", name},
                     {"role", role},
                     {"dtype", std::string(name_of(type.dtype))},
                     {"shape", std::move(type.shape)}})};
}

Var constant(Graph& g, double value, TensorType type) {
  return {&g, g.add(constant_op, {},
                    {{"value", to_dtype(type.dtype, DType::f64, value)},
                     {"dtype", std::string(name_of(type.dtype))},
                     {"shape", std::move(type.shape)}})};
}

Var literal(Graph& g, std::vector<double> values, TensorType type) {
  return {&g, g.add(literal_op, {},
                    {{"values", std::move(values)},
                     {"dtype", std::string(name_of(type.dtype))},
                     {"shape", std::move(type.shape)}})};
}

Var index(Graph& g, int64_t axis, TensorType type) {
  return {&g, g.add(index_op, {},
                    {{"axis", axis}, {"dtype", std::string(name_of(type.dtype))}, {"shape", std::move(type.shape)}})};
}

}  // namespace gmc::graph
