#include "runtime/files/dataset.h"

#include "runtime/execute/random.h"
#include "runtime/files/glyphs.h"
#include "runtime/files/npy.h"
#include "tests/files/testing.h"

#include <cmath>
#include <limits>
#include <set>

namespace gmc::files::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of_spec(const std::string& spec) {
  return error_of([&] { load_dataset(spec); });
}

bool is_usage(const std::string& spec) {
  try {
    load_dataset(spec);
  } catch (const Error& error) {
    return error.usage();
  }
  return false;
}

// `count` images of 1 x 2 pixels, (i, 255 - i).
std::string idx_images(int count) {
  std::string text("\0\0\x08\x03\0\0\0", 7);
  text += static_cast<char>(count);
  text += std::string("\0\0\0\x01\0\0\0\x02", 8);
  for (int i = 0; i < count; ++i) {
    text += static_cast<char>(i);
    text += static_cast<char>(255 - i);
  }
  return text;
}

// Sample i of [count, 2] is (i, i + 0.5).
Dataset numbered(int64_t count) {
  Dataset data{"numbers", HostTensor(f32, {count, 2}), count * 9 / 10};
  for (int64_t i = 0; i < 2 * count; ++i) data.images.as<float>()[i] = static_cast<float>(i) / 2;
  return data;
}

std::vector<float> drawn(const Dataset& data, bool validate, uint64_t seed, uint64_t step, int64_t batch) {
  std::vector<float> out(static_cast<size_t>(2 * batch), -1.0f);
  draw_batch(data, validate, seed, step, {batch, 2}, out.data());
  return out;
}

TEST(Dataset, KindsAreListed) {
  std::vector<std::string> names;
  for (const DatasetKind& kind : dataset_kinds()) {
    names.push_back(kind.name);
    EXPECT_EQ(kind.help.rfind(kind.name, 0), 0u);
    EXPECT_EQ(kind.help.find('\n'), std::string::npos);
  }
  EXPECT_THAT(names, ElementsAre("mnist", "npy", "glyphs"));
}

TEST(Dataset, MnistPrefersTheTestImages) {
  const TemporaryFolder folder;
  write_plainly(folder / "train-images-idx3-ubyte", idx_images(100));
  Dataset data = load_dataset("mnist:" + folder.path());
  EXPECT_EQ(data.images.shape, Shape({100, 1, 2}));
  write_plainly(folder / "t10k-images-idx3-ubyte", idx_images(15));
  data = load_dataset("mnist:" + folder.path());
  EXPECT_EQ(data.kind, "mnist");
  EXPECT_EQ(data.images.dtype, DType::f32);
  EXPECT_EQ(data.images.shape, Shape({15, 1, 2}));
  EXPECT_EQ(data.train_count, 13);
  EXPECT_EQ(data.images.as<float>()[6], 3.0f / 255.0f);
  EXPECT_EQ(data.images.as<float>()[1], 1.0f);
  EXPECT_EQ(load_dataset("mnist:" + (folder / "train-images-idx3-ubyte")).images.shape, Shape({100, 1, 2}));
}

TEST(Dataset, NpyTakesBytesAndFloats) {
  const TemporaryFolder folder;
  HostTensor bytes(u8, {4, 2});
  bytes.bytes[3] = std::byte{255};
  save_npy(folder / "bytes.npy", bytes);
  EXPECT_EQ(load_dataset("npy:" + (folder / "bytes.npy")).images.as<float>()[3], 1.0f);
  HostTensor doubles(f64, {20, 3});
  doubles.as<double>()[0] = -2.5;
  save_npy(folder / "doubles.npy", doubles);
  const Dataset data = load_dataset("npy:" + (folder / "doubles.npy"));
  EXPECT_EQ(data.images.as<float>()[0], -2.5f);
  EXPECT_EQ(data.train_count, 18);
}

TEST(Dataset, Splits) {
  EXPECT_EQ(load_dataset("glyphs:2").train_count, 1);
  EXPECT_EQ(load_dataset("glyphs:9").train_count, 8);
  EXPECT_EQ(load_dataset("glyphs:10").train_count, 9);
  EXPECT_EQ(load_dataset("glyphs:1000").train_count, 900);
}

TEST(Dataset, GoldenErrorsOfUsage) {
  EXPECT_EQ(error_of_spec("cifar:/x"),
            "data 'cifar:/x': expected KIND:PATH with one of the kinds mnist, npy, glyphs, got kind 'cifar'");
  EXPECT_EQ(error_of_spec(""), "data '': expected KIND:PATH with one of the kinds mnist, npy, glyphs, got kind ''");
  EXPECT_EQ(error_of_spec("mnist"), "data 'mnist': expected a path: mnist:DIR   the MNIST images of DIR (t10k- or "
                                    "train-images-idx3-ubyte, plain or .gz)");
  for (const char* count : {"1", "0", "-3", "1000001", "12x", " 5", "99999999999999999999"})
    EXPECT_EQ(error_of_spec(std::string("glyphs:") + count),
              fmt::format("data glyphs:{}: expected a number from 2 to 1000000", count));
  for (const char* spec : {"cifar:/x", "", "mnist", "npy:", "glyphs:x"}) EXPECT_TRUE(is_usage(spec)) << spec;
}

TEST(Dataset, GoldenErrorsOfFiles) {
  const TemporaryFolder folder;
  const std::string path = folder.path(), file = folder / "a.npy";
  EXPECT_EQ(error_of_spec("mnist:" + path), "data mnist:" + path +
                                                ": expected one of t10k-images-idx3-ubyte[.gz] or "
                                                "train-images-idx3-ubyte[.gz] there");
  EXPECT_EQ(error_of_spec("mnist:" + path + "/no"), "cannot read " + path + "/no: no such file or directory");
  EXPECT_EQ(error_of_spec("npy:" + path), "cannot read " + path + ": is a directory");

  write_plainly(folder / "labels", std::string("\0\0\x08\x01\0\0\0\x01\x05", 9));
  EXPECT_EQ(error_of_spec("mnist:" + (folder / "labels")), "data mnist:" + (folder / "labels") +
                                                               ": expected images [N, H, W] in " + (folder / "labels") +
                                                               ", got [1]");
  for (const int count : {0, 1}) {
    write_plainly(folder / "few", idx_images(count));
    EXPECT_EQ(error_of_spec("mnist:" + (folder / "few")),
              fmt::format("data mnist:{}: expected at least 2 samples, to train and to validate, got {}",
                          folder / "few", count));
  }

  const auto npy = [&](const HostTensor& tensor) {
    save_npy(file, tensor);
    return error_of_spec("npy:" + file);
  };
  EXPECT_EQ(npy(HostTensor(f32, {5})), "data npy:" + file + ": expected [N, ...], got [5]");
  EXPECT_EQ(npy(HostTensor(i32, {5, 2})), "data npy:" + file + ": expected u8, f32 or f64, got i32");
  EXPECT_EQ(npy(HostTensor(f32, {5, 0})), "data npy:" + file + ": expected samples with elements, got [5, 0]");
  HostTensor bad(f32, {2, 2, 2});
  bad.as<float>()[5] = std::nanf("");
  EXPECT_EQ(npy(bad), "data npy:" + file + ": element 5: expected a finite f32, got nan");
  bad.as<float>()[5] = 1.5f;
  EXPECT_EQ(npy(bad), "data npy:" + file + ": element 5: expected images in [0, 1], got 1.5");
  HostTensor huge(f64, {2, 2});
  huge.as<double>()[1] = 1e300;
  EXPECT_EQ(npy(huge), "data npy:" + file + ": element 1: expected a finite f32, got inf");
}

TEST(DrawBatch, IsAFunctionOfSeedStepAndPart) {
  const Dataset data = numbered(1000);
  EXPECT_EQ(drawn(data, false, 1, 2, 64), drawn(data, false, 1, 2, 64));
  EXPECT_NE(drawn(data, false, 1, 2, 64), drawn(data, false, 1, 3, 64));
  EXPECT_NE(drawn(data, false, 1, 2, 64), drawn(data, false, 2, 2, 64));
  // A longer batch begins with the shorter one.
  const std::vector<float> longer = drawn(data, false, 1, 2, 100), shorter = drawn(data, false, 1, 2, 10);
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longer.begin()));
}

TEST(DrawBatch, UsesThePublishedStream) {
  const Dataset data = numbered(1000);
  const uint64_t key = execute::stream_key(7, execute::stream_of("data/validate"), 3);
  const std::vector<float> batch = drawn(data, true, 7, 3, 5);
  for (uint64_t b = 0; b < 5; ++b) {
    const uint64_t index = 900 + (uint64_t{execute::random_word(key, b)} * 100 >> 32);
    EXPECT_EQ(batch[2 * b], static_cast<float>(index));
    EXPECT_EQ(batch[2 * b + 1], static_cast<float>(index) + 0.5f);
  }
}

TEST(DrawBatch, CoversItsPartAndNothingElse) {
  const Dataset data = numbered(20);
  for (const bool validate : {false, true}) {
    std::set<float> seen;
    for (uint64_t step = 0; step < 50; ++step) {
      const std::vector<float> batch = drawn(data, validate, 0, step, 16);
      for (size_t b = 0; b < 16; ++b) seen.insert(batch[2 * b]);
    }
    EXPECT_EQ(seen.size(), validate ? 2u : 18u);
    EXPECT_EQ(*seen.begin(), validate ? 18.0f : 0.0f);
    EXPECT_EQ(*seen.rbegin(), validate ? 19.0f : 17.0f);
  }
}

TEST(DrawBatch, SamplesTakeTheShapeOfTheBatch) {
  const Dataset data = load_dataset("glyphs:20");
  std::vector<float> a(3 * 784), b(3 * 784);
  draw_batch(data, false, 0, 0, {3, 784}, a.data());
  draw_batch(data, false, 0, 0, {3, 1, 28, 28}, b.data());
  EXPECT_EQ(a, b);
  const auto error = [&](const Shape& batch) {
    return error_of([&] { draw_batch(data, false, 0, 0, batch, a.data()); });
  };
  EXPECT_EQ(error({1, 3, 16, 16}),
            "data glyphs: samples of [28, 28] (784 elements) do not fit into a batch of [1, 3, 16, 16]");
  EXPECT_EQ(error({784}), "data glyphs: samples of [28, 28] (784 elements) do not fit into a batch of [784]");
  EXPECT_EQ(error({}), "data glyphs: samples of [28, 28] (784 elements) do not fit into a batch of []");
}

TEST(DrawBatch, ChecksTheDataset) {
  Dataset data = numbered(10);
  data.train_count = 10;
  EXPECT_EQ(error_of([&] { drawn(data, true, 0, 0, 1); }),
            "data numbers: expected f32 [N, ...] and a split of N, got f32 [10, 2] and 10");
}

TEST(Glyphs, AreTheSameOnEveryMachine) {
  const HostTensor images = draw_glyphs(200);
  ASSERT_EQ(images.shape, Shape({200, 28, 28}));
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a of the grey values
  for (int64_t i = 0; i < images.count(); ++i) {
    const float value = images.as<float>()[i];
    ASSERT_TRUE(value >= 0 && value <= 1);
    const auto grey = static_cast<uint8_t>(std::lround(value * 255.0f));
    ASSERT_EQ(value, static_cast<float>(grey) / 255.0f);
    hash = (hash ^ grey) * 0x100000001b3u;
  }
  EXPECT_EQ(hash, 9808923649662495455u);
}

TEST(Glyphs, ImageDependsOnItsNumberAlone) {
  const HostTensor few = draw_glyphs(3), many = draw_glyphs(30);
  EXPECT_TRUE(std::equal(few.bytes.begin(), few.bytes.end(), many.bytes.begin()));
}

TEST(Glyphs, AreVariedDigitsInTheMiddle) {
  constexpr int64_t n = 1000, size = glyph_side * glyph_side;
  const HostTensor images = draw_glyphs(n);
  std::vector<int> of_digit(10, 0);
  std::set<std::string> distinct;
  for (int64_t i = 0; i < n; ++i) {
    ++of_digit[static_cast<size_t>(glyph_digit(i))];
    const float* image = images.as<float>() + i * size;
    double ink = 0, rim = 0;
    for (int64_t p = 0; p < size; ++p) {
      ink += image[p];
      const bool at_rim = p < glyph_side || p >= size - glyph_side || p % glyph_side == 0 || p % glyph_side == 27;
      if (at_rim) rim += image[p];
    }
    EXPECT_GT(ink, 15) << i;
    EXPECT_LT(ink, 250) << i;
    EXPECT_LT(rim, 6) << i;
    distinct.insert(std::string(reinterpret_cast<const char*>(image), size * sizeof(float)));
  }
  EXPECT_EQ(distinct.size(), static_cast<size_t>(n));
  for (const int count : of_digit) EXPECT_GT(count, 60);
}

}  // namespace
}  // namespace gmc::files::testing
