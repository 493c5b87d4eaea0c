// What is done to samples, against the same on small images by hand.
#include "runtime/data/prepare.h"

#include "runtime/data/samples.h"
#include "runtime/execute/random.h"
#include "tests/data/testing.h"

#include <cmath>

namespace gmc::data::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// u8 [2, h, w] whose pixels count from 0.
HostTensor counting(int64_t h, int64_t w) {
  HostTensor t(DType::u8, {2, h, w});
  for (int64_t i = 0; i < t.count(); ++i) t.as<uint8_t>()[i] = static_cast<uint8_t>(i);
  return t;
}

HostTensor prepared(HostTensor t, const std::string& text) {
  return prepare_images(std::move(t), Prepare::parse(text), "a");
}

std::vector<int> first_image(const HostTensor& t) {
  std::vector<int> out;
  for (int64_t i = 0; i < t.count() / t.shape[0]; ++i) out.push_back(t.as<uint8_t>()[i]);
  return out;
}

TEST(Prepare, PadsAndCropsAroundTheMiddle) {
  EXPECT_THAT(first_image(prepared(counting(2, 2), "pad=4")),
              ElementsAre(0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 3, 0, 0, 0, 0, 0));
  EXPECT_THAT(first_image(prepared(counting(2, 2), "pad=3")), ElementsAre(0, 1, 0, 2, 3, 0, 0, 0, 0));
  EXPECT_THAT(first_image(prepared(counting(4, 4), "crop=2")), ElementsAre(5, 6, 9, 10));
  EXPECT_THAT(first_image(prepared(counting(3, 3), "crop=2")), ElementsAre(0, 1, 3, 4));
  EXPECT_EQ(prepared(counting(28, 28), "pad=32").shape, Shape({2, 32, 32}));
}

TEST(Prepare, PoolsAndResizesByArea) {
  const auto pooled = prepared(counting(2, 4), "pool=2");
  EXPECT_EQ(pooled.shape, Shape({2, 1, 2}));
  EXPECT_NEAR(pooled.as<float>()[0], (0 + 1 + 4 + 5) / 4.0 / 255, 1e-7);
  EXPECT_NEAR(pooled.as<float>()[1], (2 + 3 + 6 + 7) / 4.0 / 255, 1e-7);
  const auto same = prepared(counting(4, 4), "resize=2"), pool = prepared(counting(4, 4), "pool=2");
  for (int64_t i = 0; i < same.count(); ++i) EXPECT_NEAR(same.as<float>()[i], pool.as<float>()[i], 1e-7);
  // 3 -> 2: each pixel covers one and a half.
  HostTensor line(DType::f32, {2, 3, 3});
  for (int64_t i = 0; i < 18; ++i) line.as<float>()[i] = static_cast<float>(i % 3);
  const auto two = prepared(line, "resize=2");
  EXPECT_NEAR(two.as<float>()[0], 0.5 / 1.5, 1e-6);
  EXPECT_NEAR(two.as<float>()[1], 2.5 / 1.5, 1e-6);
  // Larger: every pixel twice.
  EXPECT_EQ(floats(prepared(line, "resize=6"))[2], 1.0f);
}

TEST(Prepare, MakesGreyOfColours) {
  HostTensor t(DType::u8, {2, 3, 1, 1});
  t.as<uint8_t>()[0] = 255;
  const auto grey = prepared(t, "grey");
  EXPECT_EQ(grey.shape, Shape({2, 1, 1, 1}));
  EXPECT_NEAR(grey.as<float>()[0], 0.299, 1e-6);
}

std::unique_ptr<Dataset> half_grey(const std::string& prepare) {
  HostTensor t(DType::u8, {1000, 2, 2});
  for (int64_t i = 0; i < t.count(); ++i) t.as<uint8_t>()[i] = static_cast<uint8_t>(i % 4 * 85);
  return samples_of({t, {}, {}}, Prepare::parse(prepare), "a");
}

TEST(Prepare, DequantisesWithTheStepsNoise) {
  const auto data = half_grey("dequantise,range=-2:2");
  const std::vector<Slot> slots{{"x", DType::f32, {64, 4}}};
  const auto a = floats(drawn(*data, {Part::train, Order::shuffled, 3, 9}, slots)[0]);
  const uint64_t key = execute::stream_key(3, execute::stream_of("data/dequantise"), 9);
  for (size_t i = 0; i < a.size(); ++i) {
    const double u = execute::uniform_of(execute::random_word(key, i));
    EXPECT_NEAR(a[i], (85.0 * static_cast<double>(i % 4) + u) / 256 * 4 - 2, 1e-6);
  }
  EXPECT_NE(a, floats(drawn(*data, {Part::train, Order::shuffled, 3, 10}, slots)[0]));
  EXPECT_EQ(data->range(), std::make_pair(-2.0, 2.0));
  EXPECT_EQ(*data->bits_of_a_level(), 6.0);
  EXPECT_FALSE(half_grey("range=-1:1")->bits_of_a_level());
}

TEST(Prepare, BinarisesValidationAlwaysAlike) {
  const auto data = half_grey("binarise");
  const std::vector<Slot> slots{{"x", DType::f32, {100, 4}}};
  const auto all = [&](const Draw& d) { return floats(drawn(*data, d, slots)[0]); };
  EXPECT_EQ(all({Part::validate, Order::sequential, 0, 0}), all({Part::validate, Order::sequential, 8, 1}));
  EXPECT_NE(all({Part::train, Order::sequential, 0, 0}), all({Part::train, Order::sequential, 0, 9}));
  double sums[4] = {};
  for (uint64_t step = 0; step < 9; ++step) {
    const auto values = all({Part::train, Order::sequential, 0, step});
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_TRUE(values[i] == 0 || values[i] == 1);
      sums[i % 4] += values[i];
    }
  }
  EXPECT_EQ(sums[0], 0);
  EXPECT_NEAR(sums[1], 300, 70);
  EXPECT_NEAR(sums[2], 600, 70);
  EXPECT_EQ(sums[3], 900);
}

TEST(Prepare, FlipsHalfOfTheTrainingImages) {
  const auto data = half_grey("flip");
  const std::vector<Slot> slots{{"x", DType::f32, {100, 2, 2}}};
  int flipped = 0;
  const auto train = floats(drawn(*data, {Part::train, Order::sequential, 0, 0}, slots)[0]);
  for (size_t b = 0; b < 100; ++b) {
    EXPECT_NE(train[4 * b] > train[4 * b + 1], train[4 * b] < train[4 * b + 1]);
    flipped += train[4 * b] > train[4 * b + 1];
  }
  EXPECT_TRUE(flipped > 25 && flipped < 75) << flipped;
  const auto validate = floats(drawn(*data, {Part::validate, Order::sequential, 0, 0}, slots)[0]);
  for (size_t b = 0; b < 100; ++b) EXPECT_LT(validate[4 * b], validate[4 * b + 1]);
}

TEST(Prepare, GoldenErrors) {
  const auto parse = [](const std::string& text) { return error_of([&] { Prepare::parse(text); }); };
  EXPECT_EQ(parse("pad=0"), "prepare pad=0: expected a number from 1 to 4096");
  EXPECT_EQ(parse("pool=x"), "prepare pool=x: expected a number from 1 to 4096");
  EXPECT_EQ(parse("range=1:1"), "prepare range=1:1: expected range=LOW:HIGH with LOW below HIGH");
  EXPECT_EQ(parse("range=nan:1"), "prepare range=nan:1: expected range=LOW:HIGH with LOW below HIGH");
  EXPECT_EQ(parse("blur"), "prepare 'blur': expected pad=S, crop=S, pool=K, resize=S, grey, flip, binarise, dequantise "
                           "or range=LOW:HIGH");
  EXPECT_EQ(parse("binarise,dequantise"), "prepare 'binarise,dequantise': binarise and dequantise exclude each other");
  const auto on = [](HostTensor t, const std::string& text) { return error_of([&] { prepared(t, text); }); };
  EXPECT_EQ(on(counting(4, 4), "pad=3"), "data a: images of 4 x 4 are larger than pad=3");
  EXPECT_EQ(on(counting(4, 4), "crop=5"), "data a: images of 4 x 4 are smaller than crop=5");
  EXPECT_EQ(on(counting(4, 4), "pool=3"), "data a: images of 4 x 4 cannot be pooled by 3: it does not divide them");
  EXPECT_EQ(on(HostTensor(DType::f32, {4, 4}), "pad=8"), "data a: samples of [4] are no images [H, W] or [C, H, W]");
  EXPECT_EQ(on(HostTensor(DType::u8, {4, 2, 4, 4}), "grey"), "data a: expected 3 channels to make grey of, got 2");
  HostTensor far(DType::f32, {4, 1});
  far.as<float>()[2] = 1.5f;
  EXPECT_EQ(error_of([&] { samples_of({far, {}, {}}, Prepare::parse("binarise"), "a"); }),
            "data a: element 2: expected a value in [0, 1] to binarise, got 1.5");
}

}  // namespace
}  // namespace gmc::data::testing
