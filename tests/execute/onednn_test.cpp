#include "runtime/libraries/onednn.h"

#include "tests/execute/package_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc::test {
namespace {

// Small integers: every product and sum is exact, in any order.
std::vector<float> integers(int64_t count, uint32_t seed) {
  std::vector<float> v(static_cast<size_t>(count));
  for (float& x : v) x = static_cast<float>(static_cast<int>((seed = seed * 1664525u + 1013904223u) >> 24) % 7 - 3);
  return v;
}

std::vector<float> reference(const MatmulCall& c, const std::vector<float>& a, const std::vector<float>& b,
                             const std::vector<float>& bias) {
  std::vector<float> out;
  for (int64_t i = 0; i < c.m; ++i)
    for (int64_t j = 0; j < c.n; ++j) {
      float sum = c.flags & matmul_bias ? bias[static_cast<size_t>(j)] : 0;
      for (int64_t k = 0; k < c.k; ++k)
        sum += a[static_cast<size_t>(c.flags & matmul_transpose_a ? k * c.m + i : i * c.k + k)] *
               b[static_cast<size_t>(c.flags & matmul_transpose_b ? j * c.k + k : k * c.n + j)];
      out.push_back(c.flags & matmul_relu && sum < 0 ? 0 : sum);
    }
  return out;
}

TEST(OneDnn, ProductsAreExactOnIntegers) {
  if (!onednn()) GTEST_SKIP() << "built without oneDNN";
  struct Size {
    int64_t m, n, k;
    uint32_t rows;
  };
  for (const Size& s :
       {Size{1, 1, 1, 1}, Size{7, 5, 3, 2}, Size{64, 10, 128, 16}, Size{33, 17, 65, 8}, Size{100, 48, 20, 1000}}) {
    for (uint32_t flags = 0; flags < 16; ++flags) {
      const MatmulCall c{s.m, s.n, s.k, flags, s.rows};
      const auto a = integers(s.m * s.k, 1), b = integers(s.k * s.n, 2), bias = integers(s.n, 3);
      for (int threads : {1, 3}) {
        for (bool guard : {false, true}) {
          PackageBuilder p("product");
          const uint32_t x = p.input(0, a.size() * 4), w = p.input(1, b.size() * 4), v = p.input(2, bias.size() * 4);
          const uint32_t y = p.output(0, static_cast<uint64_t>(s.m * s.n) * 4);
          if (flags & matmul_bias)
            p.matmul("mm", c, {x, w, y, v});
          else
            p.matmul("mm", c, {x, w, y});
          p.entry("main", {{"a", {s.m, s.k}}, {"b", {s.k, s.n}}, {"bias", {s.n}}}, {{"c", {s.m, s.n}}});
          Options options;
          options.threads = threads;
          options.guard = guard;
          options.libraries = onednn();
          Opened model(p.finish(), nullptr, options);
          ASSERT_TRUE(model.context) << model.message.text;
          std::vector<float> out(static_cast<size_t>(s.m * s.n));
          const void* inputs[] = {a.data(), b.data(), bias.data()};
          void* outputs[] = {out.data()};
          ASSERT_EQ(model->run(0, 0, 0, inputs, outputs, &model.message), Status::ok) << model.message.text;
          ASSERT_EQ(out, reference(c, a, b, bias))
              << s.m << "x" << s.n << "x" << s.k << " flags " << flags << " threads " << threads;
        }
      }
    }
  }
}

TEST(OneDnn, IsAskedForByName) {
  PackageBuilder p("product");
  p.matmul("fc1/matmul", {1, 1, 1, 0, 1}, {p.input(0, 4), p.input(1, 4), p.output(0, 4)});
  p.entry("main", {{"a", {1, 1}}, {"b", {1, 1}}}, {{"c", {1, 1}}});
  Opened model(p.finish(), nullptr);
  EXPECT_FALSE(model.context);
  EXPECT_STREQ(model.message.text, "step 'fc1/matmul' calls a library, and this program has none");
}

}  // namespace
}  // namespace gmc::test
