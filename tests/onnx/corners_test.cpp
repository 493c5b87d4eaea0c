// What the standard says and its own tests do not try, against values worked out by hand.
#include "tests/onnx/wire.h"

#include "tools/onnx/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace gmc::test {
namespace {

using namespace wire;
using testing::ElementsAre;

std::string integers(const std::string& name, const std::vector<int64_t>& values) {
  std::string packed;
  for (const int64_t v : values) packed += varint(static_cast<uint64_t>(v));
  return bytes(5, number(1, values.size()) + number(2, 7) + bytes(7, packed) + bytes(8, name));
}
std::string packed(const std::vector<float>& values) {
  std::string out;
  for (const float v : values)
    for (int i = 0; i < 4; ++i) out += static_cast<char>(std::bit_cast<uint32_t>(v) >> (8 * i) & 0xff);
  return out;
}
std::string floats(const std::string& name, const std::vector<float>& values, std::vector<uint64_t> extents = {}) {
  std::string of;
  if (extents.empty()) extents = {values.size()};
  for (const uint64_t e : extents) of += number(1, e);
  return bytes(5, of + number(2, 1) + bytes(4, packed(values)) + bytes(8, name));
}
std::string input(const std::string& name, const std::vector<uint64_t>& extents, uint64_t element = 1) {
  return bytes(11, value(name, extents, element));
}
const std::string output = bytes(12, value("y", {}));

// What the program computes of `x`.
HostTensor result(const std::string& file, DType dtype, const Shape& shape, const std::vector<double>& x) {
  const onnx::Model m = read(file);
  const onnx::Imported imported = onnx::import_model(m);
  return onnx::run_interpreted(imported, {{"x", onnx::host_tensor(dtype, shape, x)}}).at("y");
}
HostTensor result(const std::string& graph, uint64_t opset, const Shape& shape, const std::vector<double>& x) {
  return result(model(graph + input("x", {shape.begin(), shape.end()}) + output, opset), f32, shape, x);
}

constexpr int64_t all = std::numeric_limits<int64_t>::max();

TEST(OnnxCorners, ASliceUpToTheLargestInteger) {
  const std::string n = bytes(1, node("Slice", {"x", "s", "e", "a"}, "y"));
  EXPECT_THAT(onnx::numbers_of(
                  result(n + integers("s", {1}) + integers("e", {all}) + integers("a", {0}), 13, {4}, {1, 2, 3, 4})),
              ElementsAre(2, 3, 4));
  // Through what exporters put between.
  const std::string ends = bytes(1, node("Constant", {}, "c", attribute("value_int", all))) +
                           bytes(1, node("Unsqueeze", {"c", "zero"}, "u")) +
                           bytes(1, node("Concat", {"two", "u"}, "e", attribute("axis", int64_t{0})));
  EXPECT_EQ(
      result(ends + n + integers("zero", {0}) + integers("two", {2}) + integers("s", {0, 1}) + integers("a", {0, 1}),
             13, {3, 4}, std::vector<double>(12, 1))
          .shape,
      (Shape{2, 3}));
}

TEST(OnnxCorners, IntegersBeyondDoublesAreNotComputedWith) {
  const std::string x = input("x", {2}, 7);
  // Computed with, handed on to an output, and on the way to a shape.
  for (const std::string& n :
       {bytes(1, node("Add", {"x", "big"}, "y")), bytes(1, node("Identity", {"big"}, "y")),
        bytes(1, node("Add", {"big", "big"}, "s")) + bytes(1, node("ConstantOfShape", {"s"}, "y"))})
    try {
      result(model(n + integers("big", {all, 1}) + x + output), i64, {2}, {0, 0});
      ADD_FAILURE() << "accepted";
    } catch (const onnx::Unsupported& e) {
      EXPECT_THAT(e.what(), testing::HasSubstr("an integer beyond 2^53"));
    }
}

TEST(OnnxCorners, ABackwardSliceStartsInside) {
  const std::string n = bytes(1, node("Slice", {"x", "s", "e", "a", "t"}, "y"));
  const auto slice = [&](int64_t start, int64_t end) {
    return onnx::numbers_of(
        result(n + integers("s", {start}) + integers("e", {end}) + integers("a", {0}) + integers("t", {-1}), 13, {3},
               {1, 2, 3}));
  };
  EXPECT_THAT(slice(-5, -10), ElementsAre(1));
  EXPECT_THAT(slice(all, -all), ElementsAre(3, 2, 1));
  EXPECT_THAT(slice(0, 1), ElementsAre());
}

TEST(OnnxCorners, ShapesAreComputedInTheirOwnDtype) {
  // floor(10 * 0.7) is 7 in f32; the nearest double to 0.7f is below 0.7.
  const std::string n =
      bytes(1, node("Shape", {"x"}, "s")) + bytes(1, node("Cast", {"s"}, "f", attribute("to", int64_t{1}))) +
      bytes(1, node("Mul", {"f", "k"}, "m")) + bytes(1, node("Floor", {"m"}, "r")) +
      bytes(1, node("Cast", {"r"}, "i", attribute("to", int64_t{7}))) + bytes(1, node("ConstantOfShape", {"i"}, "y"));
  EXPECT_EQ(result(n + floats("k", {0.7f}), 13, {10}, std::vector<double>(10, 1)).shape, Shape{7});
  const std::string resize = bytes(1, node("Resize", {"x", "", "k"}, "y"));
  EXPECT_EQ(result(resize + floats("k", {0.7f}), 13, {10}, std::vector<double>(10, 1)).shape, Shape{7});
}

TEST(OnnxCorners, ALoopWithoutAConditionIgnoresItsBodys) {
  const std::string body = bytes(1, node("Identity", {"no"}, "out")) + bytes(1, node("Add", {"v", "v"}, "w")) +
                           bytes(2, "b") + bytes(5, number(2, 9) + bytes(5, std::string(1, '\0')) + bytes(8, "no")) +
                           bytes(11, value("i", {}, 7)) + bytes(11, value("c", {}, 9)) + bytes(11, value("v", {1})) +
                           bytes(12, value("out", {}, 9)) + bytes(12, value("w", {1}));
  const std::string n = bytes(1, node("Loop", {"trips", "", "x"}, "y", graph_attribute("body", body)));
  const std::string trips = bytes(5, number(2, 7) + bytes(7, varint(3)) + bytes(8, "trips"));
  EXPECT_THAT(onnx::numbers_of(result(n + trips, 13, {1}, {1})), ElementsAre(8));
}

TEST(OnnxCorners, ACallPassesItsAttributesOnAndLeavesOutWhatNobodyGives) {
  const auto function = [](const char* name, const std::string& inner, const std::string& more) {
    return bytes(25, bytes(1, name) + bytes(4, "v") + bytes(5, "w") + bytes(7, inner) +
                         bytes(9, bytes(1, "") + number(2, 17)) + bytes(9, bytes(1, "own") + number(2, 1)) +
                         bytes(10, "own") + more);
  };
  const auto given_by = [](const char* name, const char* reference) {
    return bytes(5, bytes(1, name) + bytes(21, reference) + number(20, 1));
  };
  const auto call = [](const char* op, const char* in, const char* out, const std::string& attributes) {
    return bytes(1, in) + bytes(2, out) + bytes(4, op) + bytes(7, "own") + attributes;
  };
  const std::string g = function("G", node("LeakyRelu", {"v"}, "w", given_by("alpha", "b")), bytes(6, "b"));
  const std::string f =
      function("F", call("G", "v", "w", given_by("b", "a")), bytes(11, attribute("a", 0.25f).substr(2)));
  const std::string bare = function("F", call("G", "v", "w", given_by("b", "a")), bytes(6, "a"));
  const auto slope = [&](const std::string& functions, const std::string& attributes) {
    const std::string graph = bytes(1, call("F", "x", "y", attributes)) + input("x", {1}) + output;
    return onnx::numbers_of(
        result(model(graph) + bytes(8, bytes(1, "own") + number(2, 1)) + functions, f32, {1}, {-1}))[0];
  };
  EXPECT_EQ(slope(f + g, attribute("a", 0.5f)), -0.5);
  EXPECT_EQ(slope(f + g, ""), -0.25);
  EXPECT_FLOAT_EQ(static_cast<float>(slope(bare + g, "")), -0.01f);
}

TEST(OnnxCorners, ActivationsTakeTheParametersThatTheyHave) {
  // One unit whose candidate is LeakyRelu(-1): gates are sigmoid(0) and sigmoid takes no alpha.
  const std::string names = bytes(5, bytes(1, "activations") + bytes(9, "Sigmoid") + bytes(9, "LeakyRelu") +
                                         bytes(9, "Affine") + number(20, 8));
  const auto list = [](const char* name, const std::vector<float>& values) {
    return bytes(5, bytes(1, name) + bytes(7, packed(values)) + number(20, 6));
  };
  // Gates i, o, f, c: only the candidate reads x.
  const std::string n = bytes(1, bytes(1, "x") + bytes(1, "w") + bytes(1, "r") + bytes(2, "y") + bytes(4, "LSTM") +
                                     names + list("activation_alpha", {0.5f, 8.0f}) + list("activation_beta", {3.0f}) +
                                     attribute("hidden_size", int64_t{1}));
  const HostTensor y =
      result(n + floats("w", {0, 0, 0, 1}, {1, 4, 1}) + floats("r", {0, 0, 0, 0}, {1, 4, 1}), 14, {1, 1, 1}, {-1});
  // c = 0.5 * (-1 * 0.5), h = 0.5 * (8 c + 3)
  EXPECT_THAT(onnx::numbers_of(y), ElementsAre(0.5));
}

TEST(OnnxCorners, WhatChangedBetweenVersions) {
  // ConvTranspose: where an odd one of the padding goes.
  const auto transposed = [](uint64_t opset) {
    const auto ints = [](const char* name, uint64_t v) {
      return bytes(5, bytes(1, name) + bytes(8, varint(v)) + number(20, 7));
    };
    return onnx::numbers_of(
        result(bytes(1, node("ConvTranspose", {"x", "w"}, "y", ints("strides", 2) + ints("output_shape", 3))) +
                   floats("w", {10, 1}, {1, 1, 2}),
               opset, {1, 1, 2}, {1, 2}));
  };
  EXPECT_THAT(transposed(10), ElementsAre(10, 1, 20));
  EXPECT_THAT(transposed(11), ElementsAre(1, 20, 2));
  // OneHot: negative indices.
  const auto hot = [](uint64_t opset) {
    return onnx::numbers_of(result(bytes(1, node("OneHot", {"x", "d", "v"}, "y")) +
                                       bytes(5, number(2, 7) + bytes(7, varint(3)) + bytes(8, "d")) +
                                       floats("v", {0, 1}),
                                   opset, {1}, {-1}));
  };
  EXPECT_THAT(hot(10), ElementsAre(0, 0, 0));
  EXPECT_THAT(hot(11), ElementsAre(0, 0, 1));
}

TEST(OnnxCorners, QuantisedInTheTypeOfTheScale) {
  const std::string x = input("x", {1}, 10);
  const std::string scale = floats("k", {70000.0f});
  EXPECT_THAT(onnx::numbers_of(result(model(bytes(1, node("QuantizeLinear", {"x", "k"}, "y")) + scale + x + output, 23),
                                      f16, {1}, {65504})),
              ElementsAre(1));
  const HostTensor y =
      result(model(bytes(1, node("DequantizeLinear", {"x", "k"}, "y", attribute("output_dtype", int64_t{10}))) +
                       floats("k", {0.5f}) + input("x", {1}, 2) + output,
                   23),
             u8, {1}, {3});
  EXPECT_EQ(y.dtype, f16);
  EXPECT_THAT(onnx::numbers_of(y), ElementsAre(1.5));
}

TEST(OnnxCorners, ABatchNormOfVectorsHasOneChannel) {
  const std::string n =
      bytes(1, node("BatchNormalization", {"x", "s", "b", "m", "v"}, "y", attribute("epsilon", 0.0f)));
  EXPECT_THAT(onnx::numbers_of(result(n + floats("s", {3}) + floats("b", {1}) + floats("m", {2}) + floats("v", {4}), 15,
                                      {2}, {2, 4})),
              ElementsAre(1, 4));
}

}  // namespace
}  // namespace gmc::test
