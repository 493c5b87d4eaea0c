// Resizing of images.
#include "ops/convolution.h"

#include <cmath>

namespace gmc::ops {
namespace {

// Where along an axis result element i looks: between elements `low` and `high`, `weight` of the second.
struct Look {
  std::vector<double> low, high, weight;
};

Look look_along(int64_t from, int64_t to, const std::string& mode, const std::string& coordinates) {
  Look out;
  const double last = static_cast<double>(from - 1);
  for (int64_t i = 0; i < to; ++i) {
    const auto at = static_cast<double>(i), ratio = static_cast<double>(from) / static_cast<double>(to);
    double x = at * ratio;
    if (coordinates == "half_pixel") x = (at + 0.5) * ratio - 0.5;
    if (coordinates == "align_corners") x = to == 1 ? 0 : at * last / static_cast<double>(to - 1);
    // Nearest: the element whose pixel holds the centre, or the element at or before an edge; in whole numbers, for a
    // rounded ratio falls short of an edge that is met exactly.
    if (mode == "nearest")
      x = coordinates == "asymmetric"   ? static_cast<double>(i * from / to)
          : coordinates == "half_pixel" ? static_cast<double>((2 * i + 1) * from / (2 * to))
                                        : std::nearbyint(x);
    x = std::fmin(std::fmax(x, 0), last);
    out.low.push_back(std::floor(x));
    out.high.push_back(std::fmin(std::floor(x) + 1, last));
    out.weight.push_back(x - std::floor(x));
  }
  return out;
}

const std::string& mode_of(const Node& n) { return n.text("mode"); }

Var taken(Var x, int64_t axis, const std::vector<double>& places) {
  return apply(take_op, {x, literal(*x.graph, places, {i64, {std::ssize(places)}})}, {{"axis", axis}});
}

// Each element times[d] times along dimension d.
Var repeated(Var x, const Shape& times) {
  Shape apart, whole;
  List dims;
  for (size_t d = 0; d < times.size(); ++d) {
    dims.push_back(std::ssize(apart));
    apart.push_back(x.shape()[d]);
    if (times[d] != 1) apart.push_back(times[d]);
    whole.push_back(x.shape()[d] * times[d]);
  }
  return apart == whole ? x : reshape(broadcast(x, apart, dims), whole);
}
// Whether every element is repeated as often as every other.
bool is_repetition(int64_t from, int64_t to, const Node& n) {
  return mode_of(n) == "nearest" && n.text("coordinates") != "align_corners" && from > 0 && to % from == 0;
}

// The transpose of resizing along one axis, as a product with the matrix [to, from] of weights.
Var gathered_back(Var g, int64_t axis, int64_t from, const Node& n) {
  const int64_t to = g.shape()[static_cast<size_t>(axis)];
  if (is_repetition(from, to, n)) {
    Shape apart = with_extent(g.shape(), axis, from);
    apart.insert(apart.begin() + axis + 1, to / from);
    return sum(reshape(g, apart), {axis + 1});
  }
  const Look look = look_along(from, to, mode_of(n), n.text("coordinates"));
  std::vector<double> matrix(static_cast<size_t>(to * from), 0.0);
  for (size_t i = 0; i < look.low.size(); ++i) {
    const size_t row = i * static_cast<size_t>(from);
    matrix[row + static_cast<size_t>(look.low[i])] += 1 - look.weight[i];
    matrix[row + static_cast<size_t>(look.high[i])] += look.weight[i];
  }
  List perm = all_axes(g.shape());
  std::swap(perm[static_cast<size_t>(axis)], perm.back());
  const Var last = transpose(g, perm);
  const Var rows = reshape(last, {to == 0 ? 0 : element_count(g.shape()) / to, to});
  const Var product = matmul(rows, literal(*g.graph, matrix, {g.type().dtype, {to, from}}));
  return transpose(reshape(product, with_extent(last.shape(), std::ssize(perm) - 1, from)), perm);
}

Attributes resizing(List size, const char* mode, const char* coordinates) {
  return {{"size", std::move(size)}, {"mode", mode}, {"coordinates", coordinates}};
}

}  // namespace

List repetition_of(Var resized) {
  const Node& n = resized.graph->node(resized.value);
  if (n.op != &resize_op) return {};
  List times;
  const Shape from = resized.graph->type(n.inputs[0]).shape, to = resized.shape();
  for (size_t d = 2; d < from.size(); ++d) {
    if (from[d] != to[d] && !is_repetition(from[d], to[d], n)) return {};
    times.push_back(from[d] == 0 ? 1 : to[d] / from[d]);
  }
  return times;
}

// x [n, c, spatial..] to [n, c, size..]. `mode`: nearest or linear (bilinear of two spatial dimensions). `coordinates`:
// half_pixel (centres of pixels correspond), align_corners (first and last elements do) or asymmetric (edges do;
// nearest takes the element at or before).
const OpDef resize_op{
    .name = "resize",
    .category = Category::composite,
    .arity = 1,
    .infer = [](Types t, const Attributes& a) -> Results {
      if (t[0].shape.size() < 3) fail("expected [n, channels, spatial..], got {}", to_string(t[0].shape));
      const List& size = get_list(a, "size", t[0].shape.size() - 2);
      const std::string &mode = get<std::string>(a, "mode"), &coordinates = get<std::string>(a, "coordinates");
      if (mode != "nearest" && mode != "linear") fail("unknown mode '{}': expected nearest or linear", mode);
      if (coordinates != "half_pixel" && coordinates != "align_corners" && coordinates != "asymmetric")
        fail("unknown coordinates '{}': expected half_pixel, align_corners or asymmetric", coordinates);
      TensorType out = t[0];
      for (size_t j = 0; j < size.size(); ++j) {
        if (size[j] < 1 || t[0].shape[2 + j] < 1)
          fail("size {} does not fit {}", to_string(size), to_string(t[0].shape));
        out.shape[2 + j] = size[j];
      }
      byte_size(out.dtype, out.shape);
      return {out};
    },
    .vjp =
        [](Args a) {
          Var g = a.gradients[0];
          const Shape from = a.inputs[0].shape();
          for (size_t d = 2; d < from.size(); ++d)
            if (from[d] != g.shape()[d] || mode_of(a.node) != "nearest")
              g = gathered_back(g, static_cast<int64_t>(d), from[d], a.node);
          return Vars{g};
        },
    .expand =
        [](Graph& graph, const Node& n, Operands x) {
          Var out = x[0];
          Shape times(out.shape().size(), 1);
          for (size_t j = 0; j < n.integers("size").size(); ++j) {
            const auto axis = static_cast<int64_t>(2 + j);
            const int64_t from = out.shape()[2 + j], to = n.integers("size")[j];
            if (from == to) continue;
            if (is_repetition(from, to, n)) {
              times[2 + j] = to / from;
              continue;
            }
            const Look look = look_along(from, to, mode_of(n), n.text("coordinates"));
            const Var low = taken(out, axis, look.low);
            if (mode_of(n) == "nearest") {
              out = low;
              continue;
            }
            const Var weight = broadcast(literal(graph, look.weight, {low.type().dtype, {to}}), low.shape(), {axis});
            out = low * (1.0 - weight) + taken(out, axis, look.high) * weight;
          }
          return Vars{repeated(out, times)};
        },
    .samples =
        [] {
          return std::vector<Sample>{{{{f32, {1, 2, 3, 4}}}, resizing({6, 8}, "nearest", "half_pixel")},
                                     {{{f32, {2, 1, 5}}}, resizing({7}, "nearest", "asymmetric")},
                                     {{{f32, {1, 1, 3, 5}}}, resizing({7, 3}, "linear", "half_pixel")},
                                     {{{f32, {1, 2, 4, 3}}}, resizing({7, 5}, "linear", "align_corners")},
                                     {{{f32, {1, 1, 4}}}, resizing({1}, "linear", "asymmetric")},
                                     {{{f32, {1, 1, 1}}}, resizing({3}, "linear", "half_pixel")},
                                     {{{f32, {0, 1, 2}}}, resizing({3}, "linear", "half_pixel")},
                                     {{{f32, {1, 1, 5}}}, resizing({3}, "nearest", "align_corners")}};
        },
    .bad_samples =
        [] {
          return std::vector<BadSample>{
              {{{f32, {2, 5}}},
               resizing({2}, "nearest", "half_pixel"),
               "expected [n, channels, spatial..], got [2, 5]"},
              {{{f32, {1, 2, 5}}}, resizing({0}, "nearest", "half_pixel"), "size [0] does not fit [1, 2, 5]"},
              {{{f32, {1, 2, 5}}},
               resizing({2}, "cubic", "half_pixel"),
               "unknown mode 'cubic': expected nearest or linear"},
              {{{f32, {1, 2, 5}}}, resizing({2}, "linear", "corners"), "unknown coordinates 'corners'"}};
        }};

}  // namespace gmc::ops
