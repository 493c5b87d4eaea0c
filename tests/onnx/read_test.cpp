// Malformed models: refused with the field, and the offset where the encoding is broken; nothing else happens.
#include "tests/onnx/wire.h"

#include "runtime/files/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace gmc::test {
namespace {

using testing::HasSubstr;
using namespace wire;

std::string simple(const std::string& nodes, const std::string& initializers = "") {
  return model(nodes + bytes(2, "g") + initializers + bytes(11, value("x", {2, 3})) + bytes(12, value("y", {2, 3})));
}

std::string refusal(const std::string& file) {
  try {
    onnx::import_model(read(file));
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(OnnxRead, TakesASmallModel) {
  const onnx::Imported m = onnx::import_model(read(simple(bytes(1, node("Relu", {"x"}, "y")))));
  ASSERT_EQ(m.inputs.size(), 1u);
  EXPECT_EQ(m.inputs[0].name, "x");
  EXPECT_EQ(m.opset, 17);
  EXPECT_EQ(to_string(m.graph.type(m.graph.outputs().at(0).value)), "f32[2,3]");
}

TEST(OnnxRead, RefusesEveryTruncationWithOffset) {
  const std::string file = simple(bytes(1, node("Relu", {"x"}, "y")));
  for (size_t length = 0; length < file.size(); ++length) {
    const std::string text = refusal(file.substr(0, length));
    EXPECT_THAT(text, testing::StartsWith("byte ")) << length << ": " << text;
    EXPECT_THAT(text, HasSubstr("field")) << length << ": " << text;
  }
}

TEST(OnnxRead, SurvivesEveryChangedByte) {
  const std::string file = simple(bytes(1, node("Relu", {"x"}, "y")));
  for (size_t i = 0; i < file.size(); ++i)
    for (const int flip : {0x01, 0x08, 0x80, 0xff}) {
      std::string other = file;
      other[i] = static_cast<char>(other[i] ^ flip);
      refusal(other);
    }
}

TEST(OnnxRead, NamesTheBrokenField) {
  EXPECT_EQ(refusal(model(bytes(1, bytes(5, "\x0a\x05q")))),
            "byte 10, field graph.node[0].attribute[0].name: 5 bytes are announced, 1 are left of its message");
  EXPECT_THAT(refusal(number(1, 8) + "\x3f"), HasSubstr("there is no encoding 7"));
  EXPECT_THAT(refusal(std::string(11, '\xff')), HasSubstr("the tag has more than 10 bytes"));
}

TEST(OnnxRead, BoundsTheDepth) {
  std::string graph = bytes(2, "g");
  for (int i = 0; i < 40; ++i) graph = bytes(1, bytes(4, "If") + bytes(5, bytes(1, "then_branch") + bytes(6, graph)));
  EXPECT_THAT(refusal(model(graph)), HasSubstr("messages lie too deep inside each other"));
}

TEST(OnnxRead, ChecksTheSizeOfTensors) {
  const auto with = [](const std::string& tensor) {
    return refusal(simple(bytes(1, node("Add", {"x", "w"}, "y")), bytes(5, tensor)));
  };
  const std::string twelve(12, '\0');
  EXPECT_EQ(with(number(1, 3) + number(2, 1) + bytes(8, "w") + bytes(9, twelve)), "accepted");
  EXPECT_EQ(with(number(1, 4) + number(2, 1) + bytes(8, "w") + bytes(9, twelve)),
            "graph: tensor 'w', field raw_data: float32[4] asks for 16 bytes, got 12");
  EXPECT_EQ(with(number(1, 3) + number(2, 1) + bytes(8, "w") + bytes(4, twelve.substr(8))),
            "graph: tensor 'w', field data: float32[3] asks for 3 elements, got 1");
  EXPECT_THAT(with(number(1, ~uint64_t{0}) + number(2, 1) + bytes(8, "w")),
              HasSubstr("field dims: [-1] holds a negative"));
  EXPECT_THAT(with(number(1, uint64_t{1} << 40) + number(1, uint64_t{1} << 40) + number(2, 1) + bytes(8, "w")),
              HasSubstr("field dims: number of elements overflows"));
  EXPECT_THAT(with(number(1, 3) + bytes(8, "w")), HasSubstr("field data_type: it is missing"));
  EXPECT_THAT(with(number(1, 3) + number(2, 99) + bytes(8, "w") + bytes(9, twelve)),
              HasSubstr("its elements are of type 99"));
}

TEST(OnnxRead, OpensNoFileThatAModelNames) {
  const auto with = [](const std::string& location) {
    const std::string external = bytes(13, bytes(1, "location") + bytes(2, location)) + number(14, 1);
    return refusal(simple(bytes(1, node("Add", {"x", "w"}, "y")),
                          bytes(5, number(1, 3) + number(2, 1) + bytes(8, "w") + external)));
  };
  EXPECT_EQ(with("weights.bin"),
            "tensor 'w': its values are in another file, 'weights.bin', and other files are not read");
  for (const char* path : {"/etc/passwd", "../weights.bin", "a/../../b", "..\\b", ""})
    EXPECT_THAT(with(path), HasSubstr("which is not beneath the model's folder")) << path;
}

TEST(OnnxRead, NamesAreMadePlain) {
  EXPECT_EQ(onnx::plain_name("../../etc/passwd"), "_.._.._etc_passwd");
  EXPECT_EQ(onnx::plain_name("onnx::Conv_3"), "onnx::Conv_3");
  EXPECT_EQ(onnx::plain_name(std::string("a\0b\n", 4)), "a_b_");
  EXPECT_EQ(onnx::plain_name(""), "_");
  EXPECT_EQ(onnx::plain_name("-o"), "_-o");
}

TEST(OnnxImport, NamesNodeOpAndField) {
  const auto with = [](const std::string& n) { return refusal(simple(bytes(1, n))); };
  EXPECT_EQ(with(node("Relu", {"z"}, "y")), "node 'the node' (Relu): input 'z' is the output of no node before it");
  EXPECT_EQ(with(node("Relu", {}, "y")), "node 'the node' (Relu): input 0 is missing");
  EXPECT_EQ(with(node("Frobnicate", {"x"}, "y")), "node 'the node' (Frobnicate): there is no operator of this name");
  EXPECT_EQ(with(node("Relu", {"x"}, "x")), "node 'the node' (Relu): output 'x' is given twice");
  EXPECT_EQ(with(node("Concat", {"x"}, "y")), "node 'the node' (Concat): attribute 'axis' is missing");
  EXPECT_EQ(with(node("Concat", {"x"}, "y", bytes(5, bytes(1, "axis") + number(3, 5) + number(20, 2)))),
            "node 'the node' (Concat): axis 5 is out of range for 2 dimensions");
  EXPECT_EQ(with(node("Concat", {"x"}, "y", bytes(5, bytes(1, "axis") + bytes(4, "1") + number(20, 3)))),
            "node 'the node' (Concat): attribute 'axis' is a string, expected an int");
  EXPECT_THAT(with(node("Reshape", {"x", "x"}, "y")), HasSubstr("input 1 has more than one dimension: [2, 3]"));
}

TEST(OnnxImport, BoundsWhatAModelAsksFor) {
  // ConstantOfShape of 2^60 elements.
  const std::string shape =
      number(1, 2) + number(2, 7) + bytes(7, varint(uint64_t{1} << 30) + varint(uint64_t{1} << 30)) + bytes(8, "s");
  EXPECT_THAT(
      refusal(model(bytes(1, node("ConstantOfShape", {"s"}, "y")) + bytes(5, shape) + bytes(12, value("y", {})))),
      HasSubstr("more than 68719476736 bytes"));
}

TEST(OnnxImport, AsksForWhatMustBeKnown) {
  const std::string graph = bytes(1, node("Reshape", {"x", "s"}, "y")) + bytes(11, value("x", {2, 3})) +
                            bytes(11, value("s", {1}, 7)) + bytes(12, value("y", {6}));
  const onnx::Model m = read(model(graph));
  try {
    onnx::import_model(m);
    FAIL();
  } catch (const onnx::NeedsConstant& e) {
    EXPECT_EQ(e.inputs, std::vector<std::string>{"s"});
  }
  onnx::Request request;
  request.bound["s"] = onnx::host_tensor(i64, {1}, {6});
  EXPECT_EQ(to_string(onnx::import_model(m, request).graph.nodes().back().types[0]), "f32[6]");
}

}  // namespace
}  // namespace gmc::test
