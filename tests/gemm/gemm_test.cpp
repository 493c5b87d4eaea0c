#include "tests/gemm/product.h"

namespace gmc::codegen {
namespace {

class GemmOnTarget : public testing::TestWithParam<const char*> {
protected:
  void SetUp() override {
    target_ = target_named(GetParam());
    if (target_.lanes > host_target().lanes) GTEST_SKIP() << "this machine cannot run " << GetParam();
  }
  // All transposes of one size, as the cost model cuts it.
  void expect_all(int64_t m, int64_t n, int64_t k) {
    for (bool ta : {false, true})
      for (bool tb : {false, true}) {
        const GemmShape s = dense_gemm(m, n, k, ta, tb);
        const bool odd = (m + n + k + ta) % 2;
        expect_product(s, choose_gemm_tiling(s, target_), target_, !odd, odd ? Order::backwards : Order::chunks,
                       odd || tb);
      }
  }
  Target target_;
};

TEST_P(GemmOnTarget, ones_and_primes) {
  for (int64_t m : {1, 7, 31})
    for (int64_t n : {1, 5, 37})
      for (int64_t k : {1, 13}) expect_all(m, n, k);
}

TEST_P(GemmOnTarget, around_one_vector) {
  const int64_t lanes = target_.lanes;
  for (int64_t n : {lanes - 1, lanes, lanes + 1}) {
    expect_all(lanes + 2, n, lanes - 1);
    expect_all(n, 3 * lanes + 1, lanes + 1);
  }
}

TEST_P(GemmOnTarget, around_one_tile) {
  const GemmTiling t = choose_gemm_tiling(dense_gemm(128, 192, 64, false, false), target_);
  const int64_t rows = t.row_block, columns = t.panel_vectors * target_.lanes;
  for (int64_t d : {-1, 0, 1}) {
    expect_all(2 * rows + d, columns - d, 19);
    expect_all(rows - d, 2 * columns + d, 4);
  }
}

TEST_P(GemmOnTarget, model_sizes) {
  expect_all(128, 20, 40);
  expect_all(64, 10, 128);
  expect_all(20, 400, 64);
  expect_all(128, 400, 20);
  expect_all(1, 784, 33);
  expect_all(97, 1, 50);
}

TEST_P(GemmOnTarget, rows_may_be_apart) {
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      GemmShape s = dense_gemm(23, 41, 18, ta, tb);
      s.lda += 3;
      s.ldb += 7;
      expect_product(s, choose_gemm_tiling(s, target_), target_, false, Order::forwards, true);
    }
}

// The choices change speed, never a bit.
TEST_P(GemmOnTarget, every_tiling_gives_the_same_bits) {
  const int64_t lanes = target_.lanes, m = 2 * lanes + 5, n = 3 * lanes + 2, k = 37;
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      const GemmShape s = dense_gemm(m, n, k, ta, tb);
      Inputs in(s, false, true);
      const auto expected = reference_product(s, in.a, in.b, in.bias, lanes >= 8);
      int cases = 0;
      for (bool swapped : {false, true})
        for (bool packed : {false, true})
          for (int64_t k_block : {37, 16, 5})
            for (int64_t grid : {1, 3}) {
              const int rows = 2 + cases % 3, vectors = 1 + cases % 2;
              const GemmTiling t =
                  tile_gemm(s, target_, {swapped, packed, rows, vectors, k_block, grid, grid, cases % 4 < 2});
              const Order order = cases % 3 == 0 ? Order::forwards : cases % 3 == 1 ? Order::backwards : Order::chunks;
              const auto got = run_product(s, t, target_, in.a, in.b, in.bias, order, cases % 2);
              EXPECT_TRUE(same_bits(expected, got)) << text_of(s, t, target_);
              ++cases;
            }
    }
}

// The run's parameters and the place of every output reach the epilogue, which may branch.
TEST_P(GemmOnTarget, epilogue_sees_run_row_and_column) {
  const int64_t m = 19, n = 21, k = 3, lanes = target_.lanes;
  const GemmShape s = dense_gemm(m, n, k, false, false);
  for (bool swapped : {false, true}) {
    const GemmTiling t = tile_gemm(s, target_, {swapped, false, 4, 1, k, 2, 2});
    // c[row][column + lane] = acc + seed + 100 row + column in even rows, acc in odd ones
    RunnableProduct product = compile_product(s, t, target_, [&](const GemmEpilogueArgs& e) {
      auto& b = e.builder;
      llvm::LLVMContext& context = b.getContext();
      auto* seed = e.entry.CreateLoad(b.getInt64Ty(), e.run);
      auto* c = e.entry.CreateLoad(b.getPtrTy(), e.entry.CreateConstInBoundsGEP1_64(b.getPtrTy(), e.buffers, 3));
      auto* f = b.GetInsertBlock()->getParent();
      auto* before = b.GetInsertBlock();
      auto* even = llvm::BasicBlock::Create(context, "even", f);
      auto* join = llvm::BasicBlock::Create(context, "join", f);
      b.CreateCondBr(b.CreateIsNull(b.CreateAnd(e.row, b.getInt64(1))), even, join);
      b.SetInsertPoint(even);
      auto* place = b.CreateAdd(b.CreateAdd(seed, b.CreateMul(e.row, b.getInt64(100))), e.column);
      auto* shift = b.CreateVectorSplat(static_cast<unsigned>(lanes), b.CreateSIToFP(place, b.getFloatTy()));
      auto* moved = b.CreateFAdd(e.acc, shift);
      b.CreateBr(join);
      b.SetInsertPoint(join);
      auto* value = b.CreatePHI(e.acc->getType(), 2);
      value->addIncoming(e.acc, before);
      value->addIncoming(moved, even);
      auto* at = b.CreateAdd(b.CreateMul(e.row, b.getInt64(static_cast<uint64_t>(n))), e.column);
      auto* p = b.CreateInBoundsGEP(b.getFloatTy(), c, at);
      if (e.mask)
        b.CreateMaskedStore(value, p, llvm::Align(4), e.mask);
      else
        b.CreateAlignedStore(value, p, llvm::Align(4));
    });
    Inputs in(s, true, true);
    GuardedFloats packed(std::max<int64_t>(16, t.packed_bytes / 4), true), scratch(t.scratch_bytes / 4, true);
    GuardedFloats c(m * n, true);
    product.give({in.a.data(), in.b.data(), packed.data(), c.data()});
    if (t.pack_tiles) product.pack(0, t.pack_tiles, scratch.data());
    product.compute(0, t.compute_tiles, scratch.data(), 5000);
    GuardedFloats none(n, true);
    const auto expected = reference_product(s, in.a, in.b, none, lanes >= 8, false);
    // `column` is that of the vector's first lane.
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const float got = c.data()[i * n + j] - expected[static_cast<size_t>(i * n + j)];
        if (i % 2)
          EXPECT_EQ(got, 0) << i << ' ' << j;
        else
          EXPECT_TRUE(got <= static_cast<float>(5000 + 100 * i + j) &&
                      got > static_cast<float>(5000 + 100 * i + j - lanes))
              << got;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, GemmOnTarget, testing::Values("native", "x86-64-v4", "x86-64-v3", "x86-64"),
                         [](const auto& which) {
                           std::string name = which.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Gemm, sizes_below_one_are_refused) {
  try {
    dense_gemm(3, 0, 5, false, false);
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "product of size 3 x 0 x 5: every size has to be at least 1");
  }
}

TEST(Gemm, an_unpacked_product_has_no_packing) {
  const Target target = host_target();
  const GemmShape s = dense_gemm(4, 32, 4, false, false);
  const GemmTiling t = tile_gemm(s, target, {false, false, 4, 1, 4, 1, 1});
  EXPECT_THROW(gemm_packing(s, t, target, {1, 2, 3, 1}), Error);
}

}  // namespace
}  // namespace gmc::codegen
