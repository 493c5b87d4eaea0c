// Batches of products: strides of their own per batch axis, shared operands, every way to cut and pack.
#include "tests/gemm/product.h"

namespace gmc::codegen {
namespace {

class GemmBatchOnTarget : public testing::TestWithParam<const char*> {
protected:
  void SetUp() override {
    target_ = target_named(GetParam());
    if (target_.lanes > host_target().lanes) GTEST_SKIP() << "this machine cannot run " << GetParam();
  }
  void expect_chosen(const GemmShape& s, bool integers, Order order, bool at_end) {
    expect_product(s, choose_gemm_tiling(s, target_), target_, integers, order, at_end);
  }
  Target target_;
};

// Matrices that lie one behind the other.
GemmShape dense_batch(int64_t batch, int64_t m, int64_t n, int64_t k, bool ta, bool tb) {
  GemmShape s = dense_gemm(m, n, k, ta, tb);
  s.batch = {{batch, m * k, k * n}};
  return s;
}

// Heads [B, T, H, D] read as [B, H, T, D]: scores of queries [T, D] by keys [T, D], and their product with values.
GemmShape scores(int64_t b, int64_t t, int64_t h, int64_t d) {
  GemmShape s{t, t, d, false, true, h * d, h * d};
  s.batch = {{b, t * h * d, t * h * d}, {h, d, d}};
  return s;
}
GemmShape weighted(int64_t b, int64_t t, int64_t h, int64_t d) {
  GemmShape s{t, d, t, false, false, t, h * d};
  s.batch = {{b, h * t * t, t * h * d}, {h, t * t, d}};
  return s;
}

TEST_P(GemmBatchOnTarget, dense_matrices) {
  const int64_t lanes = target_.lanes;
  int cases = 0;
  for (int64_t batch : {1, 2, 7})
    for (int64_t m : {int64_t{1}, lanes - 1, lanes + 1})
      for (int64_t n : {int64_t{1}, int64_t{5}, lanes + 1})
        for (int64_t k : {1, 13}) {
          const bool ta = cases % 2, tb = cases / 2 % 2;
          const auto order = static_cast<Order>(cases % 3);
          expect_chosen(dense_batch(batch, m, n, k, ta, tb), cases % 5 > 0, order, cases % 3);
          ++cases;
        }
}

TEST_P(GemmBatchOnTarget, heads_between_rows) {
  for (const auto& [b, t, h, d] : {std::array<int64_t, 4>{2, 17, 3, 8}, {3, 5, 2, 19}, {1, 32, 4, 32}, {2, 1, 5, 7}}) {
    expect_chosen(scores(b, t, h, d), false, Order::backwards, true);
    expect_chosen(weighted(b, t, h, d), false, Order::chunks, true);
  }
}

// The choices change speed, never a bit.
TEST_P(GemmBatchOnTarget, every_tiling_gives_the_same_bits) {
  const int64_t lanes = target_.lanes, m = lanes + 3, n = 2 * lanes + 1, k = 21;
  int cases = 0;
  for (bool ta : {false, true})
    for (int sharing = 0; sharing < 4; ++sharing) {
      const bool tb = ta != (sharing == 1 || sharing == 2);
      GemmShape s = dense_gemm(m, n, k, ta, tb);
      s.lda += 2;
      s.base_a = 5;
      s.base_b = 1;
      const int64_t a = s.lda * (ta ? k : m), b = s.ldb * (tb ? n : k);
      s.batch = {{2, sharing & 1 ? 0 : 3 * a, sharing & 2 ? 0 : b}, {3, a, sharing == 3 ? 2 * b : 0}};
      Inputs in(s, false, true);
      const auto expected = reference_product(s, in.a, in.b, in.bias, lanes >= 8);
      for (bool swapped : {false, true})
        for (int packing = 0; packing < 3; ++packing) {
          const int mix = cases + cases / 6;  // with packing and sharing in all combinations
          const int64_t runs = mix % 3 == 0 ? 1 : mix % 3 == 1 ? 4 : 6;
          const GemmChoice choice{swapped,     packing > 0, 2 + mix % 3,  1 + mix % 2,  mix % 2 ? k : 8,
                                  1 + mix % 3, 1 + mix % 2, mix % 4 == 0, packing == 2, runs};
          const GemmTiling t = tile_gemm(s, target_, choice);
          const auto got = run_product(s, t, target_, in.a, in.b, in.bias, static_cast<Order>(mix % 3), mix % 2);
          EXPECT_TRUE(same_bits(expected, got)) << text_of(s, t, target_);
          ++cases;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Targets, GemmBatchOnTarget, testing::Values("native", "x86-64-v4", "x86-64-v3", "x86-64"),
                         [](const auto& which) {
                           std::string name = which.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(GemmBatch, what_is_shared_is_packed_once) {
  const Target target = host_target();
  GemmShape s = dense_batch(6, 8, 40, 12, false, true);
  const GemmChoice choice{false, true, 4, 2, 12, 1, 1};
  const int64_t each = tile_gemm(dense_gemm(8, 40, 12, false, true), target, choice).packed_bytes;
  EXPECT_EQ(tile_gemm(s, target, choice).packed_bytes, 6 * each);
  s.batch = {{2, 3 * 96, 480}, {3, 96, 0}};
  EXPECT_EQ(tile_gemm(s, target, choice).packed_bytes, 2 * each);
  s.batch = {{6, 96, 0}};
  EXPECT_EQ(tile_gemm(s, target, choice).packed_bytes, each);
}

TEST(GemmBatch, many_small_products_are_cut_between_products) {
  const Target target = host_target();
  const GemmTiling t = choose_gemm_tiling(dense_batch(48, 64, 64, 64, false, false), target);
  EXPECT_GE(t.grid_batches, 8);
  EXPECT_EQ(t.grid_rows * t.grid_columns, 1);
  EXPECT_EQ(t.pack_tiles, 0);
}

TEST(GemmBatch, merging_keeps_the_outputs) {
  const auto expect = [](GemmShape s, size_t axes, int64_t rows) {
    const GemmShape merged = merge_batches(s);
    EXPECT_EQ(merged.batch.size(), axes);
    EXPECT_EQ(merged.m, rows);
    Inputs in(s, true, true);
    EXPECT_EQ(reference_product(s, in.a, in.b, in.bias, true), reference_product(merged, in.a, in.b, in.bias, true));
  };
  GemmShape linear = dense_batch(6, 4, 5, 3, false, false);
  linear.batch = {{2, 3 * 12, 0}, {1, 77, 99}, {3, 12, 0}};
  expect(linear, 0, 24);
  expect(dense_batch(6, 4, 5, 3, false, false), 1, 4);
  expect(dense_batch(6, 1, 5, 3, false, false), 1, 1);
  GemmShape vectors = dense_batch(6, 1, 5, 3, false, false);  // rows of A, which follow each other with a gap
  vectors.batch = {{6, 7, 0}};
  expect(vectors, 0, 6);
  vectors.batch = {{6, 1, 0}};  // rows that overlap
  expect(vectors, 1, 1);
  GemmShape gap = linear;
  gap.batch = {{2, 40, 0}, {3, 12, 0}};
  expect(gap, 1, 12);
  GemmShape columns = dense_gemm(4, 5, 3, true, false);  // [k, batch, m]
  columns.lda = 24;
  columns.batch = {{6, 4, 0}};
  expect(columns, 0, 24);
  GemmShape transposed = dense_batch(6, 4, 5, 3, true, false);
  transposed.batch = {{6, 12, 0}};
  expect(transposed, 1, 4);
  expect(scores(2, 5, 3, 8), 2, 5);
  GemmShape one = dense_batch(1, 1, 1, 1, false, true);
  expect(one, 0, 1);
}

}  // namespace
}  // namespace gmc::codegen
