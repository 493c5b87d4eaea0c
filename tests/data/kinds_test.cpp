// The kinds that read files of images and arrays, and those that make samples.
#include "runtime/data/made.h"
#include "runtime/files/npy.h"
#include "runtime/files/png.h"
#include "tests/data/testing.h"

#include <cmath>
#include <filesystem>
#include <limits>

namespace gmc::data::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
std::string idx_labels(int count) {
  std::string text("\0\0\x08\x01\0\0\0", 7);
  text += static_cast<char>(count);
  for (int i = 0; i < count; ++i) text += static_cast<char>(i % 10);
  return text;
}

TEST(Mnist, PrefersTheTestImagesAndFindsLabels) {
  const TemporaryFolder folder;
  const std::string spec = "mnist:" + folder.path();
  write_plainly(folder / "train-images-idx3-ubyte", idx_images(100));
  EXPECT_EQ(load_dataset(spec)->describe(), "90 train, 10 validate");
  write_plainly(folder / "t10k-images-idx3-ubyte", idx_images(15));
  const auto data = load_dataset(spec);
  EXPECT_EQ(data->kind(), "mnist");
  EXPECT_EQ(data->describe(), "13 train, 2 validate");
  const auto values = floats(whole(*data, Part::train, {13, 2}));
  EXPECT_EQ(values[6], 3.0f / 255.0f);
  EXPECT_EQ(values[1], 1.0f);
  const std::vector<Slot> slots{{"x", DType::f32, {2, 2}}, {"labels", DType::i64, {2}}};
  EXPECT_THAT(error_of([&] { data->epoch(Part::train, slots); }), HasSubstr("there are no labels"));
  write_plainly(folder / "t10k-labels-idx1-ubyte", idx_labels(15));
  EXPECT_THAT(numbers(drawn(*load_dataset(spec), {Part::validate, Order::sequential, 0, 0}, slots)[1]),
              ElementsAre(3, 4));
  write_plainly(folder / "t10k-labels-idx1-ubyte", idx_labels(14));
  EXPECT_EQ(spec_error(spec),
            "data " + spec + ": expected 15 labels in " + (folder / "t10k-labels-idx1-ubyte") + ", got [14]");
}

TEST(Mnist, GoldenErrors) {
  const TemporaryFolder folder;
  const std::string path = folder.path();
  EXPECT_EQ(spec_error("mnist:" + path), "data mnist:" + path +
                                             ": expected one of t10k-images-idx3-ubyte[.gz] or "
                                             "train-images-idx3-ubyte[.gz] there");
  EXPECT_EQ(spec_error("mnist:" + path + "/no"), "cannot read " + path + "/no: no such file or directory");
  write_plainly(folder / "labels", idx_labels(1));
  EXPECT_EQ(spec_error("mnist:" + (folder / "labels")), "data mnist:" + (folder / "labels") +
                                                            ": expected images [N, H, W] in " + (folder / "labels") +
                                                            ", got [1]");
  for (const int count : {0, 1}) {
    write_plainly(folder / "few", idx_images(count));
    EXPECT_EQ(spec_error("mnist:" + (folder / "few")),
              fmt::format("data mnist:{}: expected at least 2 samples, to train and to validate, got {}",
                          folder / "few", count));
  }
  write_plainly(folder / "cut", idx_images(9).substr(0, 30));
  EXPECT_THAT(spec_error("mnist:" + (folder / "cut")),
              HasSubstr("cut: byte 16, data: expected 18 bytes for [9, 1, 2], got 14"));
}

std::string cifar_records(int count, int label = 3) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += static_cast<char>(label) + std::string(1024, 'r') + std::string(1024, 'g') + std::string(1024, 'b');
  return text;
}

TEST(Cifar, ReadsTheBatchesOfAFolder) {
  const TemporaryFolder folder;
  write_plainly(folder / "data_batch_1.bin", cifar_records(6, 1));
  write_plainly(folder / "data_batch_2.bin", cifar_records(4, 2));
  const auto data = load_dataset("cifar10:" + folder.path());
  EXPECT_EQ(data->describe(), "9 train, 1 validate");
  const auto got = drawn(*data, {Part::train, Order::sequential, 0, 0},
                         {{"x", DType::f32, {9, 3, 32, 32}}, {"labels", DType::i64, {9}}});
  EXPECT_EQ(got[0].as<float>()[0], 'r' / 255.0f);
  EXPECT_EQ(got[0].as<float>()[1024], 'g' / 255.0f);
  EXPECT_THAT(numbers(got[1]), ElementsAre(1, 1, 1, 1, 1, 1, 2, 2, 2));
  const std::string file = folder / "data_batch_1.bin";
  write_plainly(file, cifar_records(2) + "x");
  EXPECT_EQ(spec_error("cifar10:" + file), file + ": byte 6146, record: expected 3073 bytes, got 1");
  write_plainly(file, cifar_records(2, 10));
  EXPECT_EQ(spec_error("cifar10:" + file), file + ": byte 0, label: expected 0 to 9, got 10");
  write_plainly(file, "");
  EXPECT_THAT(spec_error("cifar10:" + file), HasSubstr("at least 2 samples"));
  EXPECT_THAT(spec_error("cifar10:/"), HasSubstr("expected data_batch_1.bin to data_batch_5.bin there"));
}

void write_png(const std::string& path, int64_t channels, int64_t side, uint8_t value) {
  HostTensor t(DType::u8, {1, channels, side, side});
  for (int64_t i = 0; i < t.count(); ++i) t.as<uint8_t>()[i] = value;
  files::save_png_grid(path, t);
}

TEST(PngFolder, ReadsImagesAndTheirFolders) {
  const TemporaryFolder folder;
  const std::string spec = "png:" + folder.path();
  EXPECT_THAT(spec_error(spec), HasSubstr("expected .png files there or in its folders, got none"));
  for (const char* name : {"cats", "dogs"}) std::filesystem::create_directory(folder / name);
  for (int i = 0; i < 5; ++i) {
    write_png(folder / fmt::format("dogs/{}.png", i), 1, 4, static_cast<uint8_t>(100 + i));
    write_png(folder / fmt::format("cats/{}.png", i), 3, 4, static_cast<uint8_t>(i));
  }
  const auto data = load_dataset(spec);
  const auto got = drawn(*data, {Part::train, Order::sequential, 0, 0},
                         {{"x", DType::f32, {9, 3, 4, 4}}, {"labels", DType::i64, {9}}});
  // Each with the label of its folder, and in an order that holds out more than the last folder.
  const std::vector<int64_t> labels = numbers(got[1]);
  int dogs = 0, mixed = 0;
  for (size_t i = 0; i < 9; ++i) {
    const float level = got[0].as<float>()[i * 48 + 5] * 255;
    EXPECT_EQ(labels[i], level > 50 ? 1 : 0);
    dogs += labels[i] == 1;
    mixed += i > 0 && labels[i] != labels[i - 1];
  }
  EXPECT_TRUE(dogs == 4 || dogs == 5);
  EXPECT_GT(mixed, 1);
  write_png(folder / "dogs/z.png", 1, 5, 0);
  EXPECT_EQ(spec_error(spec), "data " + spec + ": expected images of one size: " + (folder / "cats/0.png") +
                                  " has 4 x 4 pixels, " + (folder / "dogs/z.png") + " has 5 x 5");
  write_plainly(folder / "dogs/z.png", "no picture");
  EXPECT_EQ(spec_error(spec), (folder / "dogs/z.png") + ": byte 0, signature: expected '\\x89PNG', got 'no pictu'");
  EXPECT_THAT(spec_error("png:" + (folder / "none")), HasSubstr("cannot read " + (folder / "none") + ": "));
}

TEST(Npy, TakesBytesAndFloats) {
  const TemporaryFolder folder;
  HostTensor bytes(DType::u8, {20, 2});
  bytes.bytes[3] = std::byte{255};
  files::save_npy(folder / "bytes.npy", bytes);
  EXPECT_EQ(floats(whole(*load_dataset("npy:" + (folder / "bytes.npy")), Part::train, {18, 2}))[3], 1.0f);
  HostTensor doubles(DType::f64, {20, 3});
  doubles.as<double>()[0] = -2.5;
  files::save_npy(folder / "doubles.npy", doubles);
  const auto data = load_dataset("npy:" + (folder / "doubles.npy"));
  EXPECT_EQ(floats(whole(*data, Part::train, {18, 3}))[0], -2.5f);
}

TEST(Npy, GoldenErrors) {
  const TemporaryFolder folder;
  const std::string file = folder / "a.npy";
  const auto npy = [&](const HostTensor& tensor) {
    files::save_npy(file, tensor);
    return spec_error("npy:" + file);
  };
  EXPECT_EQ(spec_error("npy:" + folder.path()), "cannot read " + folder.path() + ": is a directory");
  EXPECT_EQ(npy(HostTensor(DType::f32, {5})), "data npy:" + file + ": expected [N, ...], got [5]");
  EXPECT_EQ(npy(HostTensor(DType::i32, {5, 2})), "data npy:" + file + ": expected u8, f32 or f64, got i32");
  EXPECT_EQ(npy(HostTensor(DType::f32, {5, 0})), "data npy:" + file + ": expected samples with elements, got [5, 0]");
  HostTensor bad(DType::f32, {2, 2, 2});
  bad.as<float>()[5] = std::nanf("");
  EXPECT_EQ(npy(bad), "data npy:" + file + ": element 5: expected a finite f32, got nan");
  bad.as<float>()[5] = 1.5f;
  EXPECT_EQ(npy(bad), "data npy:" + file + ": element 5: expected images in [0, 1], got 1.5");
  HostTensor huge(DType::f64, {2, 2});
  huge.as<double>()[1] = 1e300;
  EXPECT_EQ(npy(huge), "data npy:" + file + ": element 1: expected a finite f32, got inf");
}

constexpr const char* point_sets[] = {"gaussians8", "gaussians25", "moons", "swissroll", "pinwheel", "checkerboard"};

TEST(Points, LieAroundTheOrigin) {
  for (const char* name : point_sets) {
    const Array a = made_points(name, 20000);
    ASSERT_EQ(a.values.shape, Shape({20000, 2}));
    double sums[2] = {}, squares = 0;
    for (int64_t i = 0; i < a.values.count(); ++i) {
      const double v = a.values.as<float>()[i];
      ASSERT_LT(std::fabs(v), 6) << name;
      sums[i % 2] += v / 20000;
      squares += v * v / 20000;
    }
    EXPECT_NEAR(sums[0], 0, name == std::string("swissroll") ? 0.5 : 0.06) << name;
    EXPECT_NEAR(sums[1], 0, name == std::string("swissroll") ? 0.5 : 0.06) << name;
    EXPECT_TRUE(squares > 0.5 && squares < 12) << name << squares;
    EXPECT_EQ(a.values.bytes, made_points(name, 20000).values.bytes);
  }
  EXPECT_EQ(error_of([] { made_points("stars", 3); }), "points: no set is called 'stars'");
}

TEST(Points, OfMixturesFollowTheirTruth) {
  for (const auto& [name, modes, entropy] :
       {std::tuple("gaussians8", 8u, 2.838), std::tuple("gaussians25", 25u, -2.0142)}) {
    const Array a = made_points(name, 20000);
    ASSERT_EQ(a.truth.centres.size(), 2 * modes);
    EXPECT_NEAR(*a.truth.entropy, entropy, 1e-3);
    std::vector<int> seen(modes, 0);
    double squares = 0;
    for (int64_t i = 0; i < 20000; ++i) {
      const auto mode = static_cast<size_t>(a.labels[static_cast<size_t>(i)]);
      ++seen[mode];
      for (size_t d = 0; d < 2; ++d) {
        const double away =
            static_cast<double>(a.values.as<float>()[2 * i + static_cast<int64_t>(d)]) - a.truth.centres[2 * mode + d];
        squares += away * away / 40000;
      }
    }
    EXPECT_NEAR(std::sqrt(squares) / a.truth.deviation, 1, 0.02) << name;
    for (const int n : seen) EXPECT_NEAR(n, 20000.0 / modes, 5 * std::sqrt(20000.0 / modes)) << name;
  }
}

TEST(Points, OfTheCheckerboardLieOnOneColour) {
  const Array a = made_points("checkerboard", 5000);
  for (int64_t i = 0; i < 5000; ++i) {
    const float* p = a.values.as<float>() + 2 * i;
    const int column = static_cast<int>(std::floor(p[0] / 2)), row = static_cast<int>(std::floor(p[1] / 2));
    EXPECT_EQ((column + row) & 1, 0);
  }
}

TEST(Shapes, AreInTheMiddleAndOfTheirArea) {
  const Array a = made_shapes(300);
  ASSERT_EQ(a.values.shape, Shape({300, 32, 32}));
  for (int64_t i = 0; i < 300; ++i) {
    double ink = 0, rim = 0;
    for (int64_t p = 0; p < 1024; ++p) {
      const double v = a.values.as<uint8_t>()[i * 1024 + p] / 255.0;
      ink += v;
      if (p < 32 || p >= 992 || p % 32 == 0 || p % 32 == 31) rim += v;
    }
    EXPECT_TRUE(ink > 20 && ink < 270) << i << " " << ink;
    EXPECT_LT(rim, 4) << i;
  }
}

TEST(Sines, Oscillate) {
  const Array a = made_sines(50);
  ASSERT_EQ(a.values.shape, Shape({50, 24, 5}));
  for (int64_t i = 0; i < 50; ++i)
    for (int64_t c = 0; c < 5; ++c) {
      // x(t + 1) + x(t - 1) = 2 cos(f) x(t), of values around 0.
      const auto x = [&](int64_t t) { return 2.0 * a.values.as<float>()[(i * 24 + t) * 5 + c] - 1; };
      for (int64_t t = 1; t + 2 < 24; ++t)
        EXPECT_NEAR((x(t + 1) + x(t - 1)) * x(t + 1), (x(t + 2) + x(t)) * x(t), 1e-5);
    }
}

}  // namespace
}  // namespace gmc::data::testing
