// Convolutions and both their gradients on small whole numbers: every sum is exact in f32, so compiled code has to give
// the numbers of plain loops to the bit, with every number of threads and lanes.
#include "compiler/codegen/target.h"
#include "compiler/graph/indexing.h"
#include "compiler/package/session.h"
#include "compiler/transform/differentiate.h"
#include "ops/convolution.h"
#include "tests/support/trial.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace gmc {
namespace {

using namespace graph;
using List = std::vector<int64_t>;

// Batch, channels in and out (of all groups), and per spatial dimension the rest. `extra` belongs to transposed ones.
struct Layer {
  int64_t n, in, out, groups;
  List size, kernel, step, low, high, dilation, extra;
  bool transposed;
  List times = {};  // how often each element of a smaller image stands in x, which is made of it
};

std::string text_of(const Layer& l) {
  return fmt::format(
      "n {} in {} out {} groups {} size {} kernel {} step {} low {} high {} dilation {} extra {} times {} {}", l.n,
      l.in, l.out, l.groups, l.size, l.kernel, l.step, l.low, l.high, l.dilation, l.extra, l.times,
      l.transposed ? "transposed" : "");
}

using Numbers = std::vector<float>;
Numbers whole_numbers(int64_t count, std::mt19937& bits) {
  Numbers out(static_cast<size_t>(count));
  for (float& x : out) x = static_cast<float>(static_cast<int>(bits() % 7) - 3);
  return out;
}

// visit(wide, weight, narrow) for each product: `wide` is what the windows slide over.
template <class Visit>
void each_product(const Layer& l, const Shape& wide, const Shape& weight, const Shape& narrow, Visit visit) {
  const size_t spatial = l.size.size();
  const Shape ws = dense_strides(wide), ks = dense_strides(weight), ns = dense_strides(narrow);
  const int64_t rows = weight[0] / l.groups;
  for (int64_t w = 0; w < element_count(weight); ++w)
    for (int64_t image = 0; image < l.n; ++image)
      for (int64_t place = 0; place < element_count({narrow.begin() + 2, narrow.end()}); ++place) {
        const int64_t row = w / ks[0], column = w / ks[1] % weight[1];
        int64_t at = image * ws[0] + (row / rows * weight[1] + column) * ws[1], left = place;
        bool inside = true;
        for (size_t d = spatial; d-- > 0;) {
          const int64_t tap = w / ks[2 + d] % l.kernel[d], i = left % narrow[2 + d];
          left /= narrow[2 + d];
          const int64_t x = i * l.step[d] + tap * l.dilation[d] - l.low[d];
          inside = inside && x >= 0 && x < wide[2 + d];
          at += x * ws[2 + d];
        }
        if (inside) visit(at, w, image * ns[0] + row * ns[1] + place);
      }
}

HostTensor tensor_of(const Shape& shape, const Numbers& values) {
  HostTensor out(DType::f32, shape);
  if (!values.empty()) std::memcpy(out.bytes.data(), values.data(), values.size() * sizeof(float));
  return out;
}

// Of which element of the smaller image element `at` of x is a copy.
int64_t original(const Layer& l, const Shape& x, const Shape& small, int64_t at) {
  const Shape from = dense_strides(x), to = dense_strides(small);
  int64_t out = 0;
  for (size_t d = 0; d < x.size(); ++d) out += at / from[d] % x[d] / (d < 2 ? 1 : l.times[d - 2]) * to[d];
  return out;
}

// Of what the windows of the layer slide over (of a transposed one, of x), of its weight and of x, of which an enlarged
// image may be made.
struct Shapes {
  Shape from, weight, small;
};
Shapes shapes_of(const Layer& l) {
  Shapes s{{l.n, l.in}, {l.transposed ? l.in : l.out, (l.transposed ? l.out : l.in) / l.groups}, {}};
  s.from.insert(s.from.end(), l.size.begin(), l.size.end());
  s.weight.insert(s.weight.end(), l.kernel.begin(), l.kernel.end());
  s.small = s.from;
  for (size_t d = 0; d < l.times.size(); ++d) s.small[2 + d] /= l.times[d];
  return s;
}

Var applied(const Layer& l, Var x, Var w) {
  if (!l.times.empty())
    return ops::convolve_image(
        apply(ops::resize_op, {x}, {{"size", l.size}, {"mode", "nearest"}, {"coordinates", "asymmetric"}}), w,
        {l.step, l.low, l.high, l.dilation}, l.groups);
  Attributes a{{"step", l.step}, {"low", l.low}, {"high", l.high}, {"dilation", l.dilation}, {"groups", l.groups}};
  if (l.transposed) a["extra"] = l.extra;
  return apply(l.transposed ? ops::transposed_convolution_op : ops::convolution_op, {x, w}, a);
}

bool takes_fewer_products(const Layer& l) {
  Graph g("trial");
  const Shapes s = shapes_of(l);
  const Var y = applied(l, input(g, "x", "data", {DType::f32, s.small}), input(g, "w", "data", {DType::f32, s.weight}));
  return g.node(y.value).op == &ops::transposed_convolution_op;
}

void check(const Layer& l, uint32_t seed) {
  SCOPED_TRACE(text_of(l));
  Graph g("trial");
  const auto [from, weight, small] = shapes_of(l);
  const Var x = input(g, "x", "data", {DType::f32, small}), w = input(g, "w", "data", {DType::f32, weight});
  const Var y = applied(l, x, w);
  const Var r = input(g, "r", "data", y.type());
  const std::vector<Var> gradients = transform::differentiate(sum(y * r), {x, w});
  g.add_output({"y", y.value});
  g.add_output({"dx", gradients[0].value});
  g.add_output({"dw", gradients[1].value});

  std::mt19937 bits(seed);
  const Shape to = y.shape();
  std::map<std::string, Shape> shapes{{"x", small}, {"w", weight}, {"r", to}, {"y", to}, {"dx", small}, {"dw", weight}};
  std::map<std::string, Numbers> numbers;
  for (const char* name : {"x", "w", "r"}) numbers[name] = whole_numbers(element_count(shapes.at(name)), bits);
  for (const char* name : {"y", "dx", "dw"})
    numbers[name].assign(static_cast<size_t>(element_count(shapes.at(name))), 0);
  const auto add = [&](const char* into, int64_t at, const char* p, int64_t i, const char* q, int64_t j) {
    numbers[into][static_cast<size_t>(at)] += numbers[p][static_cast<size_t>(i)] * numbers[q][static_cast<size_t>(j)];
  };
  each_product(l, l.transposed ? to : from, weight, l.transposed ? from : to,
               [&](int64_t wide, int64_t tap, int64_t narrow) {
                 const int64_t at_y = l.transposed ? wide : narrow;
                 const int64_t at_x = l.transposed ? narrow : l.times.empty() ? wide : original(l, from, small, wide);
                 add("y", at_y, "x", at_x, "w", tap);
                 add("dx", at_x, "r", at_y, "w", tap);
                 add("dw", tap, "x", at_x, "r", at_y);
               });

  TensorMap inputs;
  for (const char* name : {"x", "w", "r"}) inputs[name] = tensor_of(shapes.at(name), numbers.at(name));
  // Vectors of 4 and 8 lanes see other pieces of the windows than those of 16.
  const std::vector<codegen::Target> targets{codegen::host_target(), codegen::target_named("x86-64-v3"),
                                             codegen::target_named("x86-64")};
  const int narrow = seed % 2 ? 1 : 2;
  for (const auto& [target, policy] : {std::pair{0, "greedy"}, {0, "none"}, {narrow, "greedy"}}) {
    const codegen::Target& t = targets[static_cast<size_t>(target)];
    if (t.lanes > targets[0].lanes) continue;
    const package::Compiled compiled = package::compile({"trial", "{}", {}, {g}}, {t, policy, {}, "", 1, false});
    for (int threads : target == 0 ? std::vector{1, 2, 5} : std::vector{2}) {
      package::Session session(compiled, {threads, true});
      for (const auto& [name, got] : session.run("trial", inputs))
        for (size_t e = 0; e < numbers.at(name).size(); ++e)
          ASSERT_EQ(got.as<float>()[e], numbers.at(name)[e])
              << t.name << ", " << policy << ", " << threads << " threads, " << name << " element " << e;
    }
  }
}

Layer plain(int64_t n, int64_t in, int64_t out, List size, List kernel, int64_t step, int64_t padding,
            bool transposed = false) {
  const size_t d = size.size();
  return {n,
          in,
          out,
          1,
          std::move(size),
          std::move(kernel),
          List(d, step),
          List(d, padding),
          List(d, padding),
          List(d, 1),
          List(d, 0),
          transposed};
}

// Sizes of which vectors hold one line, several, part of one; kernels of which vectors hold several rows, or not.
TEST(IntegerConvolution, shapes_of_the_workloads) {
  uint32_t seed = 1;
  for (const Layer& l : {plain(2, 3, 5, {32, 32}, {4, 4}, 2, 1), plain(3, 8, 16, {16, 16}, {4, 4}, 2, 1),
                         plain(2, 16, 20, {8, 8}, {4, 4}, 2, 1), plain(2, 20, 12, {4, 4}, {4, 4}, 2, 1, true),
                         plain(2, 12, 7, {8, 8}, {4, 4}, 2, 1, true), plain(2, 7, 1, {16, 16}, {4, 4}, 2, 1, true),
                         plain(3, 6, 9, {1, 1}, {4, 4}, 1, 0, true), plain(3, 9, 1, {4, 4}, {4, 4}, 1, 0),
                         plain(2, 2, 18, {8, 8}, {3, 3}, 1, 1), plain(2, 18, 4, {4, 4}, {3, 3}, 1, 1),
                         plain(3, 18, 20, {8, 8}, {1, 1}, 1, 0), plain(2, 5, 6, {32, 32}, {3, 3}, 1, 1),
                         plain(2, 5, 17, {32, 32}, {3, 3}, 2, 1), plain(2, 17, 33, {16, 16}, {3, 3}, 1, 1)})
    check(l, seed++);
}

// Of an image that nearest resizing has made: by fewer products where it repeats every element twice or not at all and
// the windows move by one, else as any other.
TEST(IntegerConvolution, of_enlarged_images) {
  const auto enlarged = [](Layer l, List times) {
    for (size_t d = 0; d < times.size(); ++d) l.size[d] *= times[d];
    l.times = std::move(times);
    return l;
  };
  Layer grouped = plain(2, 6, 4, {5, 4}, {3, 3}, 1, 1), uneven = plain(2, 3, 5, {6, 5}, {5, 3}, 1, 0);
  grouped.groups = 2;
  uneven.low = {4, 0}, uneven.high = {1, 2};
  Layer wide = plain(1, 2, 3, {4, 4}, {3, 3}, 1, 3), apart = plain(1, 2, 3, {6, 6}, {3, 3}, 1, 1);
  apart.dilation = {1, 2};
  uint32_t seed = 50;
  for (const auto& [layer, fewer] : {std::pair{enlarged(plain(2, 5, 7, {16, 16}, {3, 3}, 1, 1), {2, 2}), true},
                                     {enlarged(plain(3, 18, 9, {4, 4}, {3, 3}, 1, 1), {2, 2}), true},
                                     {enlarged(plain(1, 3, 4, {8, 6}, {3, 3}, 1, 0), {1, 2}), true},
                                     {enlarged(grouped, {2, 2}), true},
                                     {enlarged(uneven, {2, 2}), true},
                                     {enlarged(plain(2, 3, 4, {9}, {4}, 1, 2), {2}), true},
                                     {enlarged(plain(1, 2, 3, {3, 3, 2}, {3, 3, 3}, 1, 1), {2, 2, 2}), true},
                                     {enlarged(plain(2, 3, 4, {1, 1}, {3, 3}, 1, 1), {2, 2}), true},
                                     {enlarged(plain(2, 3, 4, {5, 5}, {3, 3}, 2, 1), {2, 2}), false},
                                     {enlarged(plain(2, 3, 4, {5, 5}, {3, 3}, 1, 1), {3, 3}), false},
                                     {enlarged(plain(2, 3, 4, {5, 5}, {1, 1}, 1, 0), {2, 2}), false},
                                     {enlarged(plain(2, 3, 4, {5, 5}, {2, 2}, 1, 1), {2, 2}), false},
                                     {enlarged(wide, {2, 2}), false},
                                     {enlarged(apart, {2, 2}), false}}) {
    check(layer, seed++);
    EXPECT_EQ(takes_fewer_products(layer), fewer) << text_of(layer);
  }
}

TEST(IntegerConvolution, drawn) {
  std::mt19937 bits(7);
  const auto draw = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
  };
  for (uint32_t i = 0; i < 27; ++i) {
    Layer l{};
    const auto spatial = static_cast<size_t>(1 + i % 3);
    const int64_t most = spatial == 1 ? 40 : spatial == 2 ? 18 : 7;
    l.transposed = draw(0, 1) == 1;
    l.groups = draw(0, 2) == 0 ? draw(2, 3) : 1;
    l.n = draw(1, 3), l.in = l.groups * draw(1, 9), l.out = l.groups * draw(1, 9);
    for (size_t d = 0; d < spatial; ++d) {
      l.kernel.push_back(draw(1, 4)), l.step.push_back(draw(1, 3)), l.dilation.push_back(draw(0, 2) ? 1 : 2);
      const int64_t reach = (l.kernel[d] - 1) * l.dilation[d] + 1;
      l.low.push_back(draw(0, reach - 1)), l.high.push_back(draw(0, reach - 1));
      l.extra.push_back(l.transposed ? draw(0, l.step[d] - 1) : 0);
      l.size.push_back(std::max(draw(1, most), reach));
    }
    check(l, 100 + i);
  }
}

}  // namespace
}  // namespace gmc
