// Distances between sets of samples: cases that are known, and the floor of equal distributions.
#include "runtime/data/metrics.h"

#include "runtime/data/made.h"
#include "runtime/execute/random.h"
#include "tests/data/testing.h"

#include <cmath>

namespace gmc::data::testing {
namespace {

// [n, d] standard normal numbers of a stream, moved and scaled.
HostTensor cloud(uint64_t key, int64_t n, int64_t d, double shift = 0, double scale = 1) {
  HostTensor t(DType::f32, {n, d});
  for (int64_t i = 0; i < t.count(); ++i)
    t.as<float>()[i] =
        static_cast<float>(shift + scale * execute::normal_of(execute::random_word(key, static_cast<uint64_t>(i))));
  return t;
}

TEST(Mmd, IsNearZeroForOneDistributionAndGrowsWithTheDistance) {
  double before = 0;
  EXPECT_NEAR(mmd(cloud(1, 400, 3), cloud(2, 500, 3)), 0, 4e-3);
  for (const double shift : {0.3, 0.6, 1.2}) {
    const double now = mmd(cloud(1, 400, 3), cloud(2, 500, 3, shift));
    EXPECT_GT(now, before + 5e-3) << shift;
    before = now;
  }
}

// Two points each: k(0) = 1 at distance 0; by hand for a = {0, 1}, b = {0, 1}: within = across off the diagonal.
TEST(Mmd, IsTheUnbiasedSum) {
  HostTensor a(DType::f32, {2, 1});
  a.as<float>()[1] = 1;
  double k = 0;
  for (const double width : {0.25, 0.5, 1.0, 2.0, 4.0}) k += std::exp(-1 / (2 * width)) / 5;
  EXPECT_NEAR(mmd(a, a), k + k - 2 * (2 + 2 * k) / 4, 1e-12);
  EXPECT_THAT(error_of([&] { mmd(a, cloud(1, 5, 2)); }), ::testing::HasSubstr("samples of 1 and 2 elements"));
  EXPECT_THAT(error_of([&] { mmd(cloud(1, 1, 2), cloud(1, 5, 2)); }), ::testing::HasSubstr("at least 2 samples"));
}

TEST(Neighbours, TellFidelityFromDiversity) {
  const HostTensor real = cloud(1, 600, 2);
  const Neighbours same = neighbours(real, cloud(2, 600, 2));
  EXPECT_GT(same.precision, 0.9);
  EXPECT_GT(same.recall, 0.9);
  EXPECT_NEAR(same.density, 1, 0.1);
  EXPECT_GT(same.coverage, 0.9);
  const Neighbours narrow = neighbours(real, cloud(2, 600, 2, 0, 0.1));
  EXPECT_GT(narrow.precision, 0.99);
  EXPECT_LT(narrow.recall, 0.2);
  const Neighbours wide = neighbours(real, cloud(2, 600, 2, 0, 10));
  EXPECT_LT(wide.precision, 0.15);
  EXPECT_GT(wide.recall, 0.99);
  const Neighbours away = neighbours(real, cloud(2, 600, 2, 50));
  EXPECT_EQ(away.precision, 0);
  EXPECT_EQ(away.recall, 0);
  EXPECT_EQ(away.coverage, 0);
}

// On a line with k = 1 by hand: real 0, 1, 3 reach 1, 1, 2; generated 0.5, 9 reach 8.5.
TEST(Neighbours, AreCountedAsDefined) {
  HostTensor real(DType::f32, {3, 1}), generated(DType::f32, {2, 1});
  real.as<float>()[1] = 1, real.as<float>()[2] = 3;
  generated.as<float>()[0] = 0.5f, generated.as<float>()[1] = 9;
  const Neighbours n = neighbours(real, generated, 1);
  EXPECT_DOUBLE_EQ(n.precision, 0.5);
  EXPECT_DOUBLE_EQ(n.recall, 1);
  EXPECT_DOUBLE_EQ(n.density, (2 + 0) / 2.0);
  EXPECT_DOUBLE_EQ(n.coverage, 2 / 3.0);
}

TEST(Modes, AreFoundByTheDataThemselves) {
  const Array a = made_points("gaussians25", 10000);
  const Modes m = modes(a.values, a.truth);
  EXPECT_EQ(m.found, 25);
  EXPECT_EQ(m.all, 25);
  EXPECT_NEAR(m.near, 1 - std::exp(-4.5), 5e-3);  // of a normal distribution in the plane, within three deviations
  EXPECT_LT(m.divergence, 5e-3);
  // All on one mode.
  HostTensor one(DType::f32, {10, 2});
  const Modes n = modes(one, a.truth);
  EXPECT_EQ(n.found, 1);
  EXPECT_EQ(n.near, 1);
  EXPECT_NEAR(n.divergence, std::log(25), 1e-12);
  EXPECT_EQ(modes(cloud(1, 4, 2, 90), a.truth).found, 0);
  EXPECT_THAT(error_of([&] { modes(one, Truth{}); }), ::testing::HasSubstr("of a known mixture"));
}

}  // namespace
}  // namespace gmc::data::testing
