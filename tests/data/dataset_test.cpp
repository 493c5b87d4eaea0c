// What every kind has in common: the list, splits, the orders of samples, refusals.
#include "runtime/data/permutation.h"
#include "runtime/data/samples.h"
#include "runtime/execute/random.h"
#include "runtime/files/npy.h"
#include "tests/data/testing.h"

#include <cmath>
#include <limits>
#include <set>

namespace gmc::data::testing {
namespace {

using ::testing::HasSubstr;

// Sample i of [count, 2] is (i, i + 0.5).
std::unique_ptr<Dataset> numbered(int64_t count) {
  Array array{HostTensor(DType::f32, {count, 2}), {}, {}};
  for (int64_t i = 0; i < count; ++i) {
    array.values.as<float>()[2 * i] = static_cast<float>(i);
    array.values.as<float>()[2 * i + 1] = static_cast<float>(i) + 0.5f;
  }
  return samples_of(std::move(array), {}, "numbers");
}

std::vector<float> batch(const Dataset& data, const Draw& d, int64_t size) {
  return floats(drawn(data, d, {{"x", DType::f32, {size, 2}}})[0]);
}

TEST(Dataset, KindsAreListed) {
  std::set<std::string> names;
  for (const DatasetKind& kind : dataset_kinds()) {
    EXPECT_TRUE(names.insert(kind.name).second);
    EXPECT_EQ(kind.help.rfind(kind.name, 0), 0u);
    EXPECT_EQ(kind.help.find('\n'), std::string::npos);
  }
  EXPECT_EQ(names.size(), 19u);
}

TEST(Dataset, SplitsNineToOne) {
  EXPECT_EQ(load_dataset("glyphs:2")->describe(), "1 train, 1 validate");
  EXPECT_EQ(load_dataset("glyphs:9")->describe(), "8 train, 1 validate");
  EXPECT_EQ(load_dataset("glyphs:10")->describe(), "9 train, 1 validate");
  EXPECT_EQ(load_dataset("glyphs:1000")->describe(), "900 train, 100 validate");
}

TEST(Dataset, GoldenErrorsOfUsage) {
  std::string known;
  for (const DatasetKind& kind : dataset_kinds()) known += (known.empty() ? "" : ", ") + kind.name;
  EXPECT_EQ(spec_error("cifar:/x"),
            "data 'cifar:/x': expected KIND:PATH with one of the kinds " + known + ", got kind 'cifar'");
  EXPECT_EQ(spec_error("mnist"), "data 'mnist': expected a path: mnist:DIR   the MNIST images of DIR (t10k- or "
                                 "train-images-idx3-ubyte, plain or .gz)");
  for (const char* count : {"1", "0", "-3", "1000001", "12x", " 5", "99999999999999999999"})
    EXPECT_EQ(spec_error(std::string("glyphs:") + count),
              fmt::format("data glyphs:{}: expected a number from 2 to 1000000", count));
  EXPECT_EQ(spec_error("text:x", "pad=3"), "data 'text:x': nothing can be prepared of text, got 'pad=3'");
  for (const char* spec : {"cifar:/x", "", "mnist", "npy:", "glyphs:x", "reverse:1"}) {
    bool usage = false;
    try {
      load_dataset(spec);
    } catch (const Error& e) {
      usage = e.usage();
    }
    EXPECT_TRUE(usage) << spec;
  }
}

TEST(Permutation, IsOneForEveryKeyAndSize) {
  for (const int64_t count : {1, 2, 3, 5, 16, 17, 100, 1023, 4099}) {
    std::set<int64_t> seen;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t place = permuted(7, count, i);
      ASSERT_TRUE(place >= 0 && place < count);
      seen.insert(place);
    }
    EXPECT_EQ(static_cast<int64_t>(seen.size()), count);
  }
}

// Over many keys each number comes to each place equally often: chi-squared with 24 degrees of freedom, whose
// 0.9999 quantile is 59.
TEST(Permutation, IsEven) {
  constexpr int64_t count = 25, keys = 20000;
  for (const int64_t i : {0, 13, 24}) {
    std::vector<double> seen(count, 0);
    for (uint64_t key = 0; key < keys; ++key) ++seen[static_cast<size_t>(permuted(key * 977, count, i))];
    double chi = 0;
    for (const double n : seen) chi += (n - keys / count) * (n - keys / count) / (keys / count);
    EXPECT_LT(chi, 59) << i;
  }
}

TEST(Order, ShuffledTakesEachSampleOnceAnEpoch) {
  const auto data = numbered(20);  // 18 train
  std::vector<std::vector<float>> epochs(3);
  for (uint64_t step = 0; step < 9; ++step) {  // batches of 6
    const auto values = batch(*data, {Part::train, Order::shuffled, 5, step}, 6);
    for (size_t b = 0; b < 6; ++b) {
      EXPECT_EQ(values[2 * b + 1], values[2 * b] + 0.5f);
      epochs[step / 3].push_back(values[2 * b]);
    }
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  for (auto& epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    for (size_t i = 0; i < 18; ++i) EXPECT_EQ(epoch[i], static_cast<float>(i));
  }
  EXPECT_EQ(batch(*data, {Part::train, Order::shuffled, 5, 2}, 6),
            batch(*data, {Part::train, Order::shuffled, 5, 2}, 6));
  EXPECT_NE(batch(*data, {Part::train, Order::shuffled, 6, 2}, 6),
            batch(*data, {Part::train, Order::shuffled, 5, 2}, 6));
}

TEST(Order, UniformUsesThePublishedStream) {
  const auto data = numbered(1000);
  const uint64_t key = execute::stream_key(7, execute::stream_of("data/validate"), 3);
  const auto values = batch(*data, {Part::validate, Order::uniform, 7, 3}, 5);
  for (uint64_t b = 0; b < 5; ++b) {
    const uint64_t index = 900 + (uint64_t{execute::random_word(key, b)} * 100 >> 32);
    EXPECT_EQ(values[2 * b], static_cast<float>(index));
  }
}

TEST(Order, SequentialCoversItsPartAndNothingElse) {
  const auto data = numbered(20);
  EXPECT_EQ(batch(*data, {Part::validate, Order::sequential, 0, 0}, 2), (std::vector<float>{18, 18.5, 19, 19.5}));
  EXPECT_EQ(batch(*data, {Part::train, Order::sequential, 0, 4}, 4),
            (std::vector<float>{16, 16.5, 17, 17.5, 0, .5, 1, 1.5}));
}

TEST(Samples, TakeTheShapeOfTheInput) {
  const auto data = load_dataset("glyphs:20");
  const Draw d{Part::train, Order::shuffled, 0, 0};
  EXPECT_EQ(drawn(*data, d, {{"x", DType::f32, {3, 784}}})[0].bytes,
            drawn(*data, d, {{"x", DType::f32, {3, 1, 28, 28}}})[0].bytes);
  const auto error = [&](const std::vector<Slot>& slots) { return error_of([&] { data->epoch(Part::train, slots); }); };
  EXPECT_EQ(error({{"x", DType::f32, {1, 3, 16, 16}}}),
            "data glyphs: samples of [28, 28] (784 elements) do not fit into a batch of [1, 3, 16, 16]");
  EXPECT_EQ(error({{"x", DType::f32, {}}}),
            "data glyphs: samples of [28, 28] (784 elements) do not fit into a batch of []");
  EXPECT_EQ(error({{"x", DType::f32, {19, 784}}}),
            "data glyphs: a batch of 19 is larger than the training part, which has 18 samples");
  EXPECT_EQ(error({{"ids", DType::i64, {2, 5}}}),
            "data glyphs: samples are for one f32 input and an input 'labels' of i64[B], got 'ids' of i64[2, 5]");
  EXPECT_EQ(error({{"labels", DType::i64, {2}}}), "data glyphs: expected an f32 input for the samples");
  EXPECT_EQ(error({{"x", DType::f32, {3, 784}}, {"labels", DType::i64, {2}}}),
            "data glyphs: inputs have batches of 3 and 2");
  EXPECT_EQ(data->epoch(Part::train, {{"x", DType::f32, {18, 784}}}), 18);
  EXPECT_EQ(data->epoch(Part::validate, {{"x", DType::f32, {18, 784}}}), 2);
}

TEST(Samples, ComeWithTheirLabels) {
  Array array{HostTensor(DType::f32, {10, 1}), {}, {}};
  for (int64_t i = 0; i < 10; ++i) {
    array.values.as<float>()[i] = static_cast<float>(i);
    array.labels.push_back(100 + i);
  }
  const auto data = samples_of(std::move(array), {}, "a");
  const auto got =
      drawn(*data, {Part::train, Order::shuffled, 1, 1}, {{"labels", DType::i64, {4}}, {"x", DType::f32, {4, 1}}});
  for (int64_t b = 0; b < 4; ++b) EXPECT_EQ(got[0].as<int64_t>()[b], 100 + static_cast<int64_t>(got[1].as<float>()[b]));
  EXPECT_THAT(
      error_of([&] { numbered(10)->epoch(Part::train, {{"x", DType::f32, {4, 2}}, {"labels", DType::i64, {4}}}); }),
      HasSubstr("there are no labels"));
}

TEST(Samples, RefuseFewAndEmptyOnes) {
  for (const int64_t count : {0, 1})
    EXPECT_EQ(error_of([&] { samples_of({HostTensor(DType::u8, {count, 2, 2}), {}, {}}, {}, "a"); }),
              fmt::format("data a: expected at least 2 samples, to train and to validate, got {}", count));
  EXPECT_EQ(error_of([&] { samples_of({HostTensor(DType::f32, {5, 0}), {}, {}}, {}, "a"); }),
            "data a: expected samples with elements, got [5, 0]");
  EXPECT_EQ(error_of([&] { samples_of({HostTensor(DType::f32, {5, 1}), {1, 2}, {}}, {}, "a"); }),
            "data a: expected 5 labels, one a sample, got 2");
  for (const int64_t label : {int64_t{-1}, int64_t{1} << 40, std::numeric_limits<int64_t>::max()})
    EXPECT_EQ(error_of([&] { samples_of({HostTensor(DType::f32, {2, 1}), {0, label}, {}}, {}, "a"); }),
              fmt::format("data a: label 1: expected the number of a class, from 0, got {}", label));
}

}  // namespace
}  // namespace gmc::data::testing
