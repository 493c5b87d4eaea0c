// Scans along one axis: what is accumulated, and first-order linear recurrences, whose gradient is one again.
#include "ops/routines.h"

#include <array>
#include <cmath>
#include <limits>
#include <string_view>

namespace gmc::ops {

namespace {

constexpr std::array<std::string_view, 4> monoids{"sum", "prod", "max", "min"};
constexpr int64_t elements_a_tile = 16384;

int64_t number_of_monoid(const std::string& name) {
  const auto at = std::find(monoids.begin(), monoids.end(), name) - monoids.begin();
  if (at == std::ssize(monoids)) fail("unknown monoid '{}': expected sum, prod, max or min", name);
  return at;
}

Routine lines_call(const char* symbol, std::vector<int64_t> parameters, const Node& n, const Shape& shape) {
  const Along a = along(shape, n.integer("axis"));
  const int64_t tile = a.lines_a_tile(elements_a_tile);
  parameters.insert(parameters.end(), {n.flag("reverse") ? 1 : 0, a.n, a.inner, a.lines(), tile});
  return {symbol, std::move(parameters), a.n == 0 ? 0 : ceil_div(a.lines(), tile)};
}

// visit(offset of the element before, or -1; offset) along every line, in the order of the scan.
template <class Visit>
void for_each_step(const Node& n, const Shape& shape, Visit visit) {
  const Along a = along(shape, n.integer("axis"));
  for (int64_t o = 0; o < a.outer; ++o)
    for (int64_t i = 0; i < a.inner; ++i)
      for (int64_t k = 0, before = -1; k < a.n; ++k) {
        const int64_t at = (o * a.n + (n.flag("reverse") ? a.n - 1 - k : k)) * a.inner + i;
        visit(before, static_cast<size_t>(at));
        before = at;
      }
}

// Each element from its neighbour: `by` 1 from the one that a scan meets before it, -1 from the one after; `fill` at
// the end.
Var shifted(Var x, const Node& n, int64_t by, double fill) {
  if (element_count(x.shape()) == 0) return x;
  Shape low(x.shape().size(), 0), high = low;
  const auto axis = static_cast<size_t>(n.integer("axis"));
  low[axis] = n.flag("reverse") ? -by : by;
  high[axis] = -low[axis];
  return pad(x, low, high, fill);
}

// In place of infinities, numbers beyond which e^x is 0 or overflows anyway: their difference is no NaN.
Var finite(Var x) {
  const double limit = x.type().dtype == f16 ? 6e4 : 1e30;
  return min(max(x, number(x, -limit)), number(x, limit));
}

Attributes scan_attributes(const Node& n, bool turned) {
  return {{"axis", n.integer("axis")}, {"reverse", n.flag("reverse") != turned}};
}

// The scan h[k] = a[k] h[k - 1] + b[k] against the direction of a node.
Var scan_back(const Node& n, Var a, Var b) { return apply(linear_scan_op, {a, b}, scan_attributes(n, true)); }

Var cumulated(const Node& n, Var x, const char* monoid, bool exclusive, bool turned) {
  Attributes a = scan_attributes(n, turned);
  a["monoid"] = monoid;
  a["exclusive"] = exclusive;
  return apply(cumulate_op, {x}, std::move(a));
}

std::vector<Sample> line_samples(const Attributes& more) {
  std::vector<Sample> out;
  const std::pair<Shape, int64_t> cases[] = {{{4, 7}, 1}, {{5, 3}, 0}, {{2, 4, 3}, 1}, {{1}, 0}, {{3, 0}, 1}};
  for (const auto& [shape, axis] : cases)
    for (bool reverse : {false, true}) {
      Sample s{{{f32, shape}}, more};
      s.attributes["axis"] = axis;
      s.attributes["reverse"] = reverse;
      out.push_back(std::move(s));
    }
  return out;
}

}  // namespace

// Element k along `axis` is the monoid over elements 0..k; `exclusive`: over those before k, for sum and prod;
// `reverse`: from the end.
const OpDef cumulate_op{
    .name = "cumulate",
    .category = Category::routine,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      get_axis(a, t[0].shape.size());
      const std::string& monoid = get<std::string>(a, "monoid");
      if (number_of_monoid(monoid) > 1 && get_flag(a, "exclusive"))
        fail("an exclusive {} has no first element", monoid);
      return {t[0]};
    },
    .dtypes = numeric,
    .reference =
        [](const ReferenceArguments& a) {
          const std::string& monoid = a.node.text("monoid");
          const std::vector<double>& x = a.inputs[0]->values;
          Reference out = *a.inputs[0];
          auto combine = [&](double left, double right) {
            if (monoid == "sum") return left + right;
            if (monoid == "prod") return left * right;
            if (std::isnan(left) || std::isnan(right)) return std::numeric_limits<double>::quiet_NaN();
            return monoid == "max" ? std::fmax(left, right) : std::fmin(left, right);
          };
          for_each_step(a.node, out.shape, [&](int64_t before, size_t at) {
            const auto b = static_cast<size_t>(before);
            if (a.node.flag("exclusive"))
              out.values[at] = before < 0 ? (monoid == "sum" ? 0 : 1) : combine(out.values[b], x[b]);
            else if (before >= 0)
              out.values[at] = combine(out.values[b], x[at]);
          });
          return out;
        },
    .routine =
        [](const Node& n, Types operands) {
          return lines_call("gmc_cumulate",
                            {number_of(operands[0]), number_of_monoid(n.text("monoid")), n.flag("exclusive") ? 1 : 0},
                            n, operands[0].shape);
        },
    .vjp = [](Args a) -> Vars {
      const Node& n = a.node;
      const std::string monoid = n.text("monoid");
      const bool exclusive = n.flag("exclusive");
      const Var x = a.inputs[0], g = a.gradients[0];
      if (monoid == "sum") return {cumulated(n, g, "sum", exclusive, true)};
      if (monoid == "prod") {
        // What stands before x[k], times what comes after it: s[k] = g[k] + x[k + 1] s[k + 1], which holds for
        // zeros too. Without x[k] itself the sum starts at k + 1.
        const Var next = shifted(x, n, -1, 0);
        const Var behind = scan_back(n, next, exclusive ? shifted(g, n, -1, 0) : g);
        return {cumulated(n, x, "prod", true, false) * behind};
      }
      // To the last element that set the maximum.
      const Var number = index(a.graph, n.integer("axis"), {i64, x.shape()});
      const Var sets = equal(x, a.results[0]);
      const bool reverse = n.flag("reverse");
      const Var none = broadcast_to(constant(a.graph, reverse ? 0x7fffffff : 0, {i64, {}}), x.shape());
      const Var from = cumulated(n, select(sets, number, none), reverse ? "min" : "max", false, false);
      std::vector<int64_t> dims;
      for (int64_t d = 0; d < std::ssize(x.shape()); ++d) dims.push_back(d == n.integer("axis") ? -1 : d);
      return {scatter(full_like(x, 0), g, {from}, {n.integer("axis")}, dims, "add")};
    },
    .cost = 4,
    .samples =
        [] {
          std::vector<Sample> out;
          for (const char* monoid : {"sum", "prod", "max", "min"})
            for (bool exclusive : {false, true}) {
              if (exclusive && (monoid[0] == 'm')) continue;
              const std::vector<Sample> more = line_samples({{"monoid", monoid}, {"exclusive", exclusive}});
              out.insert(out.end(), more.begin(), more.end());
            }
          return out;
        },
    .bad_samples =
        [] {
          const int64_t first = 0;
          return std::vector<BadSample>{
              {{{f32, {4}}}, {{"axis", int64_t{1}}, {"monoid", "sum"}}, "axis 1 is out of range for 1 dimensions"},
              {{{f32, {4}}}, {{"axis", first}, {"monoid", "mean"}}, "unknown monoid 'mean'"},
              {{{f32, {4}}},
               {{"axis", first}, {"monoid", "max"}, {"exclusive", true}},
               "an exclusive max has no first element"},
              {{{boolean, {4}}}, {{"axis", first}, {"monoid", "sum"}}, "got bool"}};
        }};

// h[k] = a[k] h[k - 1] + b[k] along `axis`, h[0] = b[0]: the first a counts for nothing. `reverse`: from the end.
const OpDef linear_scan_op{
    .name = "linear_scan",
    .category = Category::routine,
    .arity = 2,
    .infer = [](Types t, const Attributes& a) -> Results {
      if (t[0] != t[1]) fail("operands differ: {} and {}", to_string(t[0]), to_string(t[1]));
      get_axis(a, t[0].shape.size());
      return {t[0]};
    },
    .dtypes = numeric,
    .reference =
        [](const ReferenceArguments& a) {
          Reference out = *a.inputs[1];
          for_each_step(a.node, out.shape, [&](int64_t before, size_t at) {
            if (before >= 0) out.values[at] += a.inputs[0]->values[at] * out.values[static_cast<size_t>(before)];
          });
          return out;
        },
    .routine =
        [](const Node& n, Types operands) {
          return lines_call("gmc_linear_scan", {number_of(operands[0])}, n, operands[0].shape);
        },
    .vjp = [](Args a) -> Vars {
      // What reaches h[k]: s[k] = g[k] + a[k + 1] s[k + 1].
      const Var s = scan_back(a.node, shifted(a.inputs[0], a.node, -1, 0), a.gradients[0]);
      return {s * shifted(a.results[0], a.node, 1, 0), s};
    },
    .cost = 6,
    .samples =
        [] {
          std::vector<Sample> out = line_samples({});
          for (Sample& s : out) s.inputs.push_back(s.inputs[0]);
          return out;
        },
    .bad_samples =
        [] {
          const Attributes first{{"axis", int64_t{0}}};
          return std::vector<BadSample>{{{{f32, {4}}, {f32, {5}}}, first, "operands differ: f32[4] and f32[5]"},
                                        {{{f32, {4}}, {f64, {4}}}, first, "operands differ: f32[4] and f64[4]"},
                                        {{{f32, {}}, {f32, {}}}, first, "axis 0 is out of range for 0 dimensions"}};
        }};

// log sum of e^x over elements 0..k: m[k] + log s[k] with the running maximum m and s[k] = s[k - 1] e^(m[k - 1] - m[k])
// + e^(x[k] - m[k]), so that nothing overflows and no prefix is lost beside a larger rest.
const OpDef logcumsumexp_op{.name = "logcumsumexp",
                            .category = Category::composite,
                            .arity = 1,
                            .infer = [](Types t, const Attributes& a) -> Results {
                              get_axis(a, t[0].shape.size());
                              return {t[0]};
                            },
                            .vjp =
                                [](Args a) {
                                  // What reaches y[k], times e^y[k]: h[k] = g[k] + e^(y[k] - y[k + 1]) h[k + 1].
                                  const Var y = finite(a.results[0]), next = shifted(y, a.node, -1, 0);
                                  const Var decay = exp(min(y - next, number(y, 0)));
                                  return Vars{scan_back(a.node, decay, a.gradients[0]) * exp(a.inputs[0] - y)};
                                },
                            .expand = [](Graph&, const Node& n, Operands x) -> Vars {
                              const Var high = finite(cumulated(n, x[0], "max", false, false));
                              const Var m = stop_gradient(high);
                              const Var s = apply(linear_scan_op, {exp(shifted(m, n, 1, 0) - m), exp(x[0] - m)},
                                                  scan_attributes(n, false));
                              return {m + apply(log_op, {s})};
                            },
                            .samples = [] { return line_samples({}); },
                            .bad_samples =
                                [] {
                                  return std::vector<BadSample>{
                                      {{{f32, {4}}}, {{"axis", int64_t{1}}}, "axis 1 is out of range for 1 dimensions"},
                                      {{{f32, {4}}}, {}, "attribute 'axis' is missing"},
                                      {{{i32, {4}}}, {{"axis", int64_t{0}}}, "got i32"}};
                                }};

}  // namespace gmc::ops
