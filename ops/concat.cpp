// Joining and extending along an axis.
#include "ops/rules.h"

namespace gmc::ops {
namespace {

int64_t extent_of(const Var& x, int64_t axis) { return x.shape()[static_cast<size_t>(axis)]; }

// Padding of one axis by elements of the operand.
Var piece(Var x, int64_t axis, const std::string& mode, int64_t count, bool low) {
  const int64_t n = extent_of(x, axis);
  if (mode == "circular") return low ? slice(x, axis, n - count, n) : slice(x, axis, 0, count);
  if (mode == "edge") {
    const Var edge = low ? slice(x, axis, 0, 1) : slice(x, axis, n - 1, n);
    return broadcast(edge, with_extent(x.shape(), axis, count), all_axes(x.shape()));
  }
  const int64_t skip = mode == "reflect" ? 1 : 0;
  return flip(low ? slice(x, axis, skip, skip + count) : slice(x, axis, n - skip - count, n - skip), {axis});
}

}  // namespace

// Operands one after the other along `axis`.
const OpDef concat_op{
    .name = "concat",
    .category = Category::composite,
    .arity = -1,
    .infer = [](Types t, const Attributes& a) -> Results {
      if (t.empty()) fail("expected at least 1 operand, got 0");
      check_same_dtype(t);
      const int64_t axis = get_axis(a, t[0].shape.size());
      int64_t extent = 0;
      for (const TensorType& x : t) {
        if (x.shape.size() != t[0].shape.size() || with_extent(x.shape, axis, 0) != with_extent(t[0].shape, axis, 0))
          fail("shapes {} and {} differ beside axis {}", to_string(t[0].shape), to_string(x.shape), axis);
        extent = checked_add(extent, x.shape[static_cast<size_t>(axis)]);
      }
      const TensorType out{t[0].dtype, with_extent(t[0].shape, axis, extent)};
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = any_dtype,
    .vjp =
        [](Args a) {
          const int64_t axis = a.node.integer("axis");
          Vars out;
          int64_t begin = 0;
          for (const Var& x : a.inputs) {
            const int64_t extent = extent_of(x, axis);
            out.push_back(is_float(x.type().dtype) ? slice(a.gradients[0], axis, begin, begin + extent) : Var{});
            begin += extent;
          }
          return out;
        },
    .expand =
        [](Graph&, const Node& n, Operands x) {
          const int64_t axis = n.integer("axis"), extent = n.types[0].shape[static_cast<size_t>(axis)];
          Var out;
          int64_t begin = 0;
          for (const Var& v : x) {
            const int64_t size = extent_of(v, axis);
            if (size == 0 && size != extent) continue;
            List low(v.shape().size(), 0), high = low;
            low[static_cast<size_t>(axis)] = begin;
            high[static_cast<size_t>(axis)] = extent - begin - size;
            const Var padded = size == extent ? v : pad(v, low, high);
            const Var at = positions(padded, axis);
            out = out.valid() ? select(less(at, number(at, static_cast<double>(begin))), out, padded) : padded;
            begin += size;
          }
          return Vars{out};
        },
    .narrow = Narrow::between,
    .samples =
        [] {
          const Attributes first{{"axis", int64_t{0}}}, second{{"axis", int64_t{1}}};
          return std::vector<Sample>{{{{f32, {4, 7}}, {f32, {2, 7}}}, first},
                                     {{{f32, {4, 7}}, {f32, {4, 1}}, {f32, {4, 3}}}, second},
                                     {{{f32, {0, 3}}, {f32, {2, 3}}, {f32, {0, 3}}}, first},
                                     {{{f32, {5}}}, first},
                                     {{{f32, {2, 1, 3}}, {f32, {2, 4, 3}}}, second},
                                     {{{f32, {0, 3}}, {f32, {0, 2}}}, second},
                                     {{{i32, {3}}, {i32, {2}}}, first}};
        },
    .bad_samples =
        [] {
          const Attributes first{{"axis", int64_t{0}}};
          return std::vector<BadSample>{
              {{{f32, {2, 3}}, {f32, {2, 4}}}, first, "shapes [2, 3] and [2, 4] differ beside axis 0"},
              {{{f32, {2}}, {f64, {2}}}, first, "expected operands of one dtype, got f32 and f64"},
              {{{f32, {}}}, first, "axis 0 is out of range for 0 dimensions"},
              {{}, first, "expected at least 1 operand, got 0"}};
        }};

// `low` and `high` elements before and after each dimension, taken from the operand: `mode` reflect (without the edge),
// symmetric (with it), edge (repeated) or circular.
const OpDef extend_op{
    .name = "extend",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      const size_t rank = t[0].shape.size();
      const List &low = get_list(a, "low", rank), &high = get_list(a, "high", rank);
      const std::string& mode = get<std::string>(a, "mode");
      if (mode != "reflect" && mode != "symmetric" && mode != "edge" && mode != "circular")
        fail("unknown mode '{}': expected reflect, symmetric, edge or circular", mode);
      TensorType out = t[0];
      for (size_t d = 0; d < rank; ++d) {
        const int64_t n = t[0].shape[d], most = mode == "edge"      ? (n > 0 ? std::numeric_limits<int64_t>::max() : 0)
                                                : mode == "reflect" ? n - 1
                                                                    : n;
        if (low[d] < 0 || high[d] < 0) fail("padding {} and {} of axis {} must not be negative", low[d], high[d], d);
        if (std::max(low[d], high[d]) > std::max<int64_t>(most, 0))
          fail("padding {} and {} of axis {} of {} is more than {} can give", low[d], high[d], d, to_string(t[0].shape),
               mode);
        out.shape[d] = checked_add(checked_add(n, low[d]), high[d]);
      }
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .dtypes = any_dtype,
    .expand =
        [](Graph&, const Node& n, Operands x) {
          Var out = x[0];
          for (int64_t d = 0; d < std::ssize(x[0].shape()); ++d) {
            const int64_t low = n.integers("low")[static_cast<size_t>(d)],
                          high = n.integers("high")[static_cast<size_t>(d)];
            Vars parts;
            if (low > 0) parts.push_back(piece(out, d, n.text("mode"), low, true));
            parts.push_back(out);
            if (high > 0) parts.push_back(piece(out, d, n.text("mode"), high, false));
            if (parts.size() > 1) out = apply(concat_op, parts, {{"axis", d}});
          }
          return Vars{out};
        },
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const char* mode : {"reflect", "symmetric", "edge", "circular"})
            samples.push_back({{{f32, {4, 5}}}, {{"low", List{1, 2}}, {"high", List{2, 0}}, {"mode", mode}}});
          samples.push_back({{{f32, {1, 3}}}, {{"low", List{0, 2}}, {"high", List{0, 2}}, {"mode", "reflect"}}});
          samples.push_back({{{f32, {1}}}, {{"low", List{3}}, {"high", List{4}}, {"mode", "edge"}}});
          samples.push_back({{{f32, {0, 2}}}, {{"low", List{0, 1}}, {"high", List{0, 0}}, {"mode", "edge"}}});
          return samples;
        },
    .bad_samples =
        [] {
          const auto with = [](List low, List high, const char* mode, const char* message) {
            return BadSample{
                {{f32, {4}}}, {{"low", std::move(low)}, {"high", std::move(high)}, {"mode", mode}}, message};
          };
          return std::vector<BadSample>{
              with({1}, {4}, "reflect", "padding 1 and 4 of axis 0 of [4] is more than reflect can give"),
              with({5}, {0}, "circular", "padding 5 and 0 of axis 0 of [4] is more than circular"),
              with({-1}, {0}, "edge", "padding -1 and 0 of axis 0 must not be negative"),
              with({0}, {0}, "mirror", "unknown mode 'mirror'"),
              with({0, 0}, {0}, "edge", "expected 1 numbers in 'low', got 2")};
        }};

namespace {

Results infer_triangle(Types t, const Attributes& a) {
  get<int64_t>(a, "diagonal");
  if (t[0].shape.size() < 2) fail("expected at least 2 dimensions, got {}", to_string(t[0]));
  return {t[0]};
}
Var triangle(const Node& n, Var x, bool lower) {
  const int64_t rank = std::ssize(x.shape());
  const Var row = positions(x, rank - 2) + static_cast<double>(n.integer("diagonal")), column = positions(x, rank - 1);
  const Var outside = lower ? less(row, column) : less(column, row);
  return select(outside, zeros_like(x), x);
}
std::vector<Sample> triangle_samples() {
  const auto with = [](Shape shape, int64_t diagonal) {
    return Sample{{{f32, std::move(shape)}}, {{"diagonal", diagonal}}};
  };
  return {with({4, 7}, 0), with({5, 3}, -1), with({2, 3, 3}, 1), with({1, 1}, 0), with({0, 3}, 0), with({3, 4}, 9)};
}
std::vector<BadSample> triangle_bad_samples() {
  return {{{{f32, {4}}}, {{"diagonal", int64_t{0}}}, "expected at least 2 dimensions, got f32[4]"},
          {{{f32, {4, 4}}}, {}, "attribute 'diagonal' is missing"},
          {{}, {{"diagonal", int64_t{0}}}, "expected 1 operands, got 0"}};
}

}  // namespace

// Of the last two dimensions, what is on and below the diagonal that lies `diagonal` columns to the right; 0 elsewhere.
const OpDef tril_op{.name = "tril",
                    .category = Category::composite,
                    .arity = 1,
                    .infer = infer_triangle,
                    .dtypes = any_dtype,
                    .expand = [](Graph&, const Node& n, Operands x) { return Vars{triangle(n, x[0], true)}; },
                    .narrow = Narrow::between,
                    .samples = triangle_samples,
                    .bad_samples = triangle_bad_samples};

// The same of what is on and above it.
const OpDef triu_op{.name = "triu",
                    .category = Category::composite,
                    .arity = 1,
                    .infer = infer_triangle,
                    .dtypes = any_dtype,
                    .expand = [](Graph&, const Node& n, Operands x) { return Vars{triangle(n, x[0], false)}; },
                    .narrow = Narrow::between,
                    .samples = triangle_samples,
                    .bad_samples = triangle_bad_samples};

}  // namespace gmc::ops
