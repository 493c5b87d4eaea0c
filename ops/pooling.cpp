// Pooling: reductions over sliding windows. x [n, c, spatial..]; attributes per spatial dimension: `kernel`, `step`,
// padding `low` and `high`, `dilation`.
#include "ops/convolution.h"

namespace gmc::ops {
namespace {

Results infer_pool(Types t, const Attributes& a) {
  if (t[0].shape.size() < 3) fail("expected [n, channels, spatial..], got {}", to_string(t[0].shape));
  const size_t spatial = t[0].shape.size() - 2;
  const List& kernel = get_list(a, "kernel", spatial);
  const Sliding s = get_sliding(a, spatial);
  Attributes windows{
      {"axes", spatial_axes(spatial)}, {"size", kernel}, {"step", s.step}, {"low", s.low}, {"high", s.high},
      {"dilation", s.dilation}};
  TensorType out = windows_op.infer(t, windows)[0];
  out.shape.resize(2 + spatial);
  return {out};
}

List kernel_axes(const Node& n) {
  const auto spatial = std::ssize(n.integers("kernel"));
  List axes;
  for (int64_t j = 0; j < spatial; ++j) axes.push_back(2 + spatial + j);
  return axes;
}

// Elements of a window that lie inside, per place: [places..].
Var counts(Graph& g, const Node& n, const TensorType& x) {
  const Shape &to = n.types[0].shape, places(to.begin() + 2, to.end());
  const Sliding s = sliding_of(n);
  std::vector<double> values{1};
  for (size_t j = 0; j < places.size(); ++j) {
    std::vector<double> next;
    for (double outer : values)
      for (int64_t i = 0; i < places[j]; ++i) {
        int64_t inside = 0;
        for (int64_t k = 0; k < n.integers("kernel")[j]; ++k) {
          const int64_t at = i * s.step[j] + k * s.dilation[j] - s.low[j];
          inside += at >= 0 && at < x.shape[2 + j];
        }
        next.push_back(outer * static_cast<double>(inside));
      }
    values = std::move(next);
  }
  return literal(g, values, {x.dtype, places});
}

Attributes pool(List kernel, List step, List low, List high, List dilation) {
  return {{"kernel", std::move(kernel)},
          {"step", std::move(step)},
          {"low", std::move(low)},
          {"high", std::move(high)},
          {"dilation", std::move(dilation)}};
}
std::vector<Sample> pool_samples() {
  return {{{{f32, {2, 3, 7}}}, pool({3}, {2}, {1}, {1}, {1})},
          {{{f32, {1, 2, 5, 4}}}, pool({2, 3}, {2, 1}, {0, 1}, {1, 1}, {1, 1})},
          {{{f32, {1, 1, 7}}}, pool({2}, {1}, {0}, {0}, {3})},
          {{{f32, {1, 1, 3, 2, 3}}}, pool({2, 2, 2}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, {1, 1, 1})},
          {{{f32, {1, 1, 1}}}, pool({1}, {1}, {0}, {0}, {1})},
          {{{f32, {0, 2, 5}}}, pool({2}, {2}, {0}, {0}, {1})}};
}
std::vector<BadSample> pool_bad_samples() {
  return {{{{f32, {2, 5}}}, pool({2}, {1}, {0}, {0}, {1}), "expected [n, channels, spatial..], got [2, 5]"},
          {{{f32, {1, 2, 5}}}, pool({6}, {1}, {0}, {0}, {1}), "a window of 6 does not fit into axis 2 of [1, 2, 5]"},
          {{{f32, {1, 2, 5}}}, pool({2, 2}, {1}, {0}, {0}, {1}), "expected 1 numbers in 'kernel', got 2"},
          {{{f32, {1, 2, 5}}}, pool({2}, {0}, {0}, {0}, {1}), "step [0] and dilation [1] must be at least 1"}};
}
std::vector<Sample> averaged_samples() {
  std::vector<Sample> samples;
  for (Sample s : pool_samples())
    for (bool whole : {false, true}) {
      s.attributes["count_padding"] = whole;
      samples.push_back(s);
    }
  return samples;
}

// ---- adaptive: window i of `size` over n elements is [floor(i n / size), ceil((i + 1) n / size)) ----

Results infer_adaptive(Types t, const Attributes& a) {
  if (t[0].shape.size() < 3) fail("expected [n, channels, spatial..], got {}", to_string(t[0].shape));
  const List& size = get_list(a, "size", t[0].shape.size() - 2);
  TensorType out = t[0];
  for (size_t j = 0; j < size.size(); ++j) {
    if (size[j] < 1 || t[0].shape[2 + j] < 1) fail("size {} does not fit {}", to_string(size), to_string(t[0].shape));
    out.shape[2 + j] = size[j];
  }
  byte_size(out.dtype, out.shape);
  return {out};
}

// Along one axis; elements that a short window repeats count once.
Var adapt(Var x, int64_t axis, int64_t size, bool average) {
  const int64_t n = x.shape()[static_cast<size_t>(axis)], widest = n % size == 0 ? n / size : n / size + 2;
  std::vector<double> places, weights;
  for (int64_t i = 0; i < size; ++i) {
    const int64_t begin = i * n / size, end = ((i + 1) * n + size - 1) / size;
    for (int64_t k = 0; k < widest; ++k) {
      places.push_back(static_cast<double>(std::min(begin + k, end - 1)));
      weights.push_back(begin + k < end ? 1.0 / static_cast<double>(end - begin) : 0);
    }
  }
  Shape windows = with_extent(x.shape(), axis, size);
  windows.insert(windows.begin() + axis + 1, widest);
  Var w =
      n % size == 0
          ? reshape(x, windows)
          : reshape(apply(take_op, {x, literal(*x.graph, places, {i64, {size * widest}})}, {{"axis", axis}}), windows);
  if (average)
    w = w * broadcast(literal(*x.graph, weights, {x.type().dtype, {size, widest}}), windows, {axis, axis + 1});
  return reduce(w, average ? "sum" : "max", {axis + 1});
}
Var adapt_all(const Node& n, Var x, bool average) {
  for (size_t j = 0; j < n.integers("size").size(); ++j)
    x = adapt(x, static_cast<int64_t>(2 + j), n.integers("size")[j], average);
  return x;
}
std::vector<Sample> adaptive_samples() {
  const auto with = [](Shape x, List size) { return Sample{{{f32, std::move(x)}}, {{"size", std::move(size)}}}; };
  return {with({2, 1, 7}, {3}), with({1, 2, 6, 5}, {3, 2}), with({1, 1, 4}, {1}),
          with({1, 2, 2}, {5}), with({0, 1, 4}, {2}),       with({1, 1, 1}, {1})};
}
std::vector<BadSample> adaptive_bad_samples() {
  return {{{{f32, {2, 5}}}, {{"size", List{2}}}, "expected [n, channels, spatial..], got [2, 5]"},
          {{{f32, {1, 2, 5}}}, {{"size", List{0}}}, "size [0] does not fit [1, 2, 5]"},
          {{{f32, {1, 2, 5}}}, {{"size", List{1, 1}}}, "expected 1 numbers in 'size', got 2"}};
}

}  // namespace

// The maximum of each window; padding counts as -infinity. The gradient is shared by all that attain it.
const OpDef max_pool_op{.name = "max_pool",
                        .category = Category::composite,
                        .arity = 1,
                        .infer = infer_pool,
                        .expand =
                            [](Graph&, const Node& n, Operands x) {
                              const Var w = sliding_windows(x[0], n.integers("kernel"), sliding_of(n), -infinity);
                              return Vars{reduce(w, "max", kernel_axes(n))};
                            },
                        .samples = pool_samples,
                        .bad_samples = pool_bad_samples};

// The mean of each window: over all its places, padding being 0 (flag `count_padding`), or over those inside.
const OpDef average_pool_op{.name = "average_pool",
                            .category = Category::composite,
                            .arity = 1,
                            .infer = infer_pool,
                            .expand =
                                [](Graph& g, const Node& n, Operands x) {
                                  const List& kernel = n.integers("kernel");
                                  const Var total = sum(sliding_windows(x[0], kernel, sliding_of(n)), kernel_axes(n));
                                  if (n.flag("count_padding"))
                                    return Vars{total / static_cast<double>(element_count(kernel))};
                                  return Vars{total / counts(g, n, x[0].type())};
                                },
                            .samples = averaged_samples,
                            .bad_samples = pool_bad_samples};

const OpDef adaptive_max_pool_op{
    .name = "adaptive_max_pool",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_adaptive,
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{adapt_all(n, x[0], false)}; },
    .samples = adaptive_samples,
    .bad_samples = adaptive_bad_samples};

const OpDef adaptive_average_pool_op{
    .name = "adaptive_average_pool",
    .category = Category::composite,
    .arity = 1,
    .infer = infer_adaptive,
    .expand = [](Graph&, const Node& n, Operands x) { return Vars{adapt_all(n, x[0], true)}; },
    .samples = adaptive_samples,
    .bad_samples = adaptive_bad_samples};

}  // namespace gmc::ops
