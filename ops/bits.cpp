// Bits of integers and bools.
#include "ops/rules.h"

#include <cmath>

namespace gmc::ops {
namespace {

constexpr Dtypes integral_or_bool = integral | only(boolean);

int64_t whole(double x) { return static_cast<int64_t>(x); }

std::vector<Sample> bit_samples() {
  std::vector<Sample> samples;
  for (Sample s : within(binary_samples(), -40, 40)) {
    for (TensorType& t : s.inputs) t.dtype = i32;
    samples.push_back(std::move(s));
  }
  return samples;
}

std::vector<Sample> shift_samples() { return within(bit_samples(), 0, 7); }

std::vector<BadSample> bit_bad_samples() {
  return {{{{i32, {2}}, {i32, {3}}}, {}, "operands differ: i32[2] and i32[3]"},
          {{{i32, {2}}, {i64, {2}}}, {}, "operands differ: i32[2] and i64[2]"},
          {{{f32, {2}}, {f32, {2}}}, {}, "expected "},
          {{{i32, {2}}}, {}, "expected 2 operands, got 1"}};
}

}  // namespace

const OpDef bit_and_op{.name = "bit_and",
                       .category = Category::elementwise,
                       .arity = 2,
                       .infer = infer_same,
                       .dtypes = integral_or_bool,
                       .scalar = [](const double* x) { return static_cast<double>(whole(x[0]) & whole(x[1])); },
                       .samples = bit_samples,
                       .bad_samples = bit_bad_samples};

const OpDef bit_or_op{.name = "bit_or",
                      .category = Category::elementwise,
                      .arity = 2,
                      .infer = infer_same,
                      .dtypes = integral_or_bool,
                      .scalar = [](const double* x) { return static_cast<double>(whole(x[0]) | whole(x[1])); },
                      .samples = bit_samples,
                      .bad_samples = bit_bad_samples};

const OpDef bit_xor_op{.name = "bit_xor",
                       .category = Category::elementwise,
                       .arity = 2,
                       .infer = infer_same,
                       .dtypes = integral_or_bool,
                       .scalar = [](const double* x) { return static_cast<double>(whole(x[0]) ^ whole(x[1])); },
                       .samples = bit_samples,
                       .bad_samples = bit_bad_samples};

// By a negative number or by the width and more, all bits are shifted out.
const OpDef shift_left_op{
    .name = "shift_left",
    .category = Category::elementwise,
    .arity = 2,
    .infer = infer_same,
    .dtypes = integral,
    .scalar = [](const double* x) { return x[1] < 0 || x[1] >= 64 ? 0 : std::ldexp(x[0], static_cast<int>(x[1])); },
    .cost = 2,
    .samples = shift_samples,
    .bad_samples = bit_bad_samples};

// Arithmetic, the sign being kept. By a negative number or by the width and more, all bits are shifted out.
const OpDef shift_right_op{.name = "shift_right",
                           .category = Category::elementwise,
                           .arity = 2,
                           .infer = infer_same,
                           .dtypes = integral,
                           .scalar =
                               [](const double* x) {
                                 const bool out = x[1] < 0 || x[1] >= 64;
                                 return out ? (x[0] < 0 ? -1 : 0)
                                            : std::floor(std::ldexp(x[0], -static_cast<int>(x[1])));
                               },
                           .cost = 2,
                           .samples = shift_samples,
                           .bad_samples = bit_bad_samples};

}  // namespace gmc::ops
