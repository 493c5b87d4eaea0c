// Comparisons and logic beyond less and equal. With NaN every comparison is false but not_equal.
#include "ops/rules.h"

namespace gmc::ops {
namespace {

// bool operands, or numbers that count as whether they are not 0.
Var truth(Var x) { return cast(x, boolean); }

std::vector<Sample> logic_samples() {
  std::vector<Sample> samples;
  for (Sample s : binary_samples()) {
    for (TensorType& t : s.inputs) t.dtype = boolean;
    samples.push_back(std::move(s));
  }
  samples.push_back({{{i32, {5}}, {i32, {5}}}});
  return samples;
}

}  // namespace

const OpDef less_equal_op{
    .name = "less_equal",
    .category = Category::composite,
    .arity = 2,
    .infer = infer_compare,
    .dtypes = numeric,
    .vjp = [](Args) { return Vars(2); },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{bit_or(less(x[0], x[1]), equal(x[0], x[1]))}; },
    .samples = binary_samples,
    .bad_samples = binary_bad_samples};

const OpDef greater_op{.name = "greater",
                       .category = Category::composite,
                       .arity = 2,
                       .infer = infer_compare,
                       .dtypes = numeric,
                       .vjp = [](Args) { return Vars(2); },
                       .expand = [](Graph&, const Node&, Operands x) { return Vars{less(x[1], x[0])}; },
                       .samples = binary_samples,
                       .bad_samples = binary_bad_samples};

const OpDef greater_equal_op{
    .name = "greater_equal",
    .category = Category::composite,
    .arity = 2,
    .infer = infer_compare,
    .dtypes = numeric,
    .vjp = [](Args) { return Vars(2); },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{bit_or(less(x[1], x[0]), equal(x[0], x[1]))}; },
    .samples = binary_samples,
    .bad_samples = binary_bad_samples};

const OpDef not_equal_op{.name = "not_equal",
                         .category = Category::composite,
                         .arity = 2,
                         .infer = infer_compare,
                         .dtypes = any_dtype,
                         .vjp = [](Args) { return Vars(2); },
                         .expand = [](Graph&, const Node&, Operands x) { return Vars{logical_not(equal(x[0], x[1]))}; },
                         .samples = binary_samples,
                         .bad_samples = binary_bad_samples};

const OpDef is_nan_op{.name = "is_nan",
                      .category = Category::composite,
                      .arity = 1,
                      .infer = infer_compare,
                      .vjp = [](Args) { return Vars(1); },
                      .expand = [](Graph&, const Node&, Operands x) { return Vars{logical_not(equal(x[0], x[0]))}; },
                      .samples = unary_samples,
                      .bad_samples = unary_bad_samples};

const OpDef is_inf_op{
    .name = "is_inf",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_compare,
    .vjp = [](Args) { return Vars(1); },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{equal(abs(x[0]), number(x[0], infinity))}; },
    .samples = unary_samples,
    .bad_samples = unary_bad_samples};

const OpDef logical_and_op{
    .name = "logical_and",
    .category = Category::composite,
    .arity = 2,
    .infer = infer_compare,
    .dtypes = any_dtype,
    .vjp = [](Args) { return Vars(2); },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{bit_and(truth(x[0]), truth(x[1]))}; },
    .samples = logic_samples,
    .bad_samples = binary_bad_samples};

const OpDef logical_or_op{
    .name = "logical_or",
    .category = Category::composite,
    .arity = 2,
    .infer = infer_compare,
    .dtypes = any_dtype,
    .vjp = [](Args) { return Vars(2); },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{bit_or(truth(x[0]), truth(x[1]))}; },
    .samples = logic_samples,
    .bad_samples = binary_bad_samples};

const OpDef logical_xor_op{
    .name = "logical_xor",
    .category = Category::composite,
    .arity = 2,
    .infer = infer_compare,
    .dtypes = any_dtype,
    .vjp = [](Args) { return Vars(2); },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{logical_not(equal(truth(x[0]), truth(x[1])))}; },
    .samples = logic_samples,
    .bad_samples = binary_bad_samples};

const OpDef logical_not_op{
    .name = "logical_not",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_compare,
    .dtypes = any_dtype,
    .vjp = [](Args) { return Vars(1); },
    .expand = [](Graph&, const Node&, Operands x) { return Vars{logical_not(truth(x[0]))}; },
    .samples =
        [] { return joined<Sample>({{{{boolean, {5}}}}, {{{boolean, {0, 3}}}}, {{{i32, {7}}}}}, unary_samples()); },
    .bad_samples =
        [] {
          return std::vector<BadSample>{{{}, {}, "expected 1 operands, got 0"},
                                        {{{f32, {2}}, {f32, {2}}}, {}, "expected 1 operands, got 2"},
                                        {{{boolean, {}}, {i32, {}}, {i32, {}}}, {}, "expected 1 operands, got 3"}};
        }};

}  // namespace gmc::ops
