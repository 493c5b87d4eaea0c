#include "runtime/files/safetensors.h"

#include "tests/files/testing.h"

namespace gmc::files::testing {
namespace {

using ::testing::HasSubstr;

// A file with this header and that many bytes of data.
std::vector<std::byte> file_with(const std::string& header, size_t data = 0) {
  std::string text;
  for (size_t i = 0; i < 8; ++i) text += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes_of(text + header + std::string(data, '\0'));
}

// The header of a file whose tensors are `entries`.
std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& span) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape, span);
}

std::string error_in(const std::vector<std::byte>& file) {
  return error_of([&] { parse_safetensors(file, "file"); });
}
std::string error_in(const std::string& entries, size_t data) { return error_in(file_with("{" + entries + "}", data)); }

HostTensor filled(DType dtype, Shape shape) {
  HostTensor result(dtype, std::move(shape));
  for (size_t i = 0; i < result.bytes.size(); ++i)
    result.bytes[i] = std::byte(dtype == DType::boolean ? i % 2 : i * 37 + 11);
  return result;
}

TensorMap one_of_each() {
  TensorMap tensors;
  for (const DType dtype : {f64, f32, f16, bf16, i64, i32, i8, u8, boolean})
    tensors[fmt::format("of {}", name_of(dtype))] = filled(dtype, {3, 1});
  tensors["scalar"] = filled(f32, {});
  tensors["empty"] = filled(f32, {2, 0, 3});
  tensors["\"quoted\"\n\xc3\xa9"] = filled(u8, {5});
  tensors[""] = filled(u8, {1});
  return tensors;
}

void expect_same(const TensorMap& a, const TensorMap& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, x] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_EQ(x.dtype, b.at(name).dtype) << name;
    EXPECT_EQ(x.shape, b.at(name).shape) << name;
    EXPECT_EQ(x.bytes, b.at(name).bytes) << name;
  }
}

TEST(Safetensors, RoundTrip) {
  const TemporaryFolder folder;
  const Metadata metadata{{"format", "pt"}, {"odd \"key\"", "two\nlines \xe2\x82\xac"}};
  save_safetensors(folder / "a", one_of_each(), metadata);
  Metadata read{{"stale", "x"}};
  expect_same(one_of_each(), load_safetensors(folder / "a", &read));
  EXPECT_EQ(read, metadata);
  EXPECT_EQ(read_file(folder / "a"), format_safetensors(one_of_each(), metadata));
}

TEST(Safetensors, EmptyFilesHoldNothing) {
  EXPECT_TRUE(parse_safetensors(format_safetensors({}), "file").empty());
  Metadata metadata{{"stale", "x"}};
  EXPECT_TRUE(parse_safetensors(file_with("{}"), "file", &metadata).empty());
  EXPECT_TRUE(metadata.empty());
}

TEST(Safetensors, BytesAreFixedAndAligned) {
  TensorMap tensors;
  tensors["b"] = filled(u8, {3});
  tensors["a"] = filled(u8, {1});
  tensors["w"] = filled(f32, {2});
  const std::vector<std::byte> file = format_safetensors(tensors, {{"k", "v"}});
  const std::string header = R"({"__metadata__":{"k":"v"},"a":{"dtype":"U8","shape":[1],"data_offsets":[8,9]},)"
                             R"("b":{"dtype":"U8","shape":[3],"data_offsets":[9,12]},)"
                             R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_EQ(text_of(file).substr(8, header.size()), header);
  EXPECT_EQ((file.size() - 12) % 64, 0u);
  EXPECT_EQ(text_of(file).find_first_not_of(' ', 8 + header.size()), file.size() - 12);
}

TEST(Safetensors, ReadsWhatOthersWrite) {
  const std::string entries = tensor("a", "F32", "[1]", "[4,8]") + "," + tensor("b", "U8", "[4]", "[0,4]");
  EXPECT_EQ(error_in(entries, 8), "no error");
  EXPECT_EQ(error_in(file_with(" \n\t\r{" + entries + "}  ", 8)), "no error");
  EXPECT_EQ(error_in(tensor("z", "F32", "[0,4]", "[0,0]") + "," + tensor("y", "F32", "[1]", "[0,4]"), 4), "no error");
}

TEST(Safetensors, EveryTruncationIsRefused) {
  expect_truncations_refused(format_safetensors(one_of_each(), {{"key", "value"}}),
                             [](Bytes bytes, const std::string& source) { parse_safetensors(bytes, source); });
}

TEST(Safetensors, BitFlipsNeverCrash) {
  TensorMap tensors;
  tensors["weight"] = filled(f32, {2, 3});
  tensors["flag"] = filled(boolean, {4});
  const std::vector<std::byte> file = format_safetensors(tensors, {{"key", "value"}});
  // All but those inside names and texts change the meaning.
  EXPECT_GT(refused_bit_flips(file, file.size() - 28,
                              [](Bytes bytes, const std::string& source) { return parse_safetensors(bytes, source); }),
            file.size());
}

TEST(Safetensors, HeaderLength) {
  EXPECT_EQ(error_in(bytes_of("")), "file: byte 0, header length: expected 8 bytes, got 0");
  EXPECT_EQ(error_in(bytes_of("\x01\x02\x03")), "file: byte 0, header length: expected 8 bytes, got 3");
  EXPECT_EQ(error_in(bytes_of(std::string(8, '\xff'))),
            "file: byte 0, header length: expected at most 100000000, got 18446744073709551615");
  EXPECT_EQ(error_in(bytes_of(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10))),
            "file: byte 0, header length: expected at most 100000000, got 100000001");
  EXPECT_EQ(error_in(bytes_of(std::string("\x3c\0\0\0\0\0\0\0{}", 10))),
            "file: byte 8, header: expected 60 bytes, got 2");
  EXPECT_EQ(error_in(file_with("")), "file: byte 8, header: expected '{', got the end of the header");
}

TEST(Safetensors, HeaderIsStrictJson) {
  EXPECT_EQ(error_in(file_with("[]")), "file: byte 8, header: expected '{', got '['");
  EXPECT_EQ(error_in(file_with("\xef\xbb\xbf{}")), "file: byte 8, header: expected '{', got '\\xef'");
  EXPECT_EQ(error_in(file_with("{}x")), "file: byte 10, header: expected UTF-8 JSON, got 'x'");
  EXPECT_EQ(error_in(file_with(std::string("{}\0", 3))), "file: byte 10, header: expected UTF-8 JSON, got '\\x00'");
  EXPECT_EQ(error_in(file_with("{} {}")), "file: byte 11, header: expected UTF-8 JSON, got '{'");
  EXPECT_EQ(error_in(file_with("{")), "file: byte 9, header: expected UTF-8 JSON, got the end of the header");
  EXPECT_THAT(error_in(file_with("{\"\xff\xfe\":1}")), HasSubstr("byte 10, header: expected UTF-8 JSON"));
  EXPECT_EQ(error_in(R"("a":1)", 0), "file: byte 14, tensor 'a': expected an object, got 1");
  EXPECT_EQ(error_in(R"("a":null)", 0), "file: byte 16, tensor 'a': expected an object, got null");
  EXPECT_THAT(error_in(R"("a":{"dtype":{}})", 0), HasSubstr("dtype of tensor 'a': expected a string, got an object"));
  EXPECT_THAT(error_in(R"("a":[)" + std::string(100'000, '['), 0),
              HasSubstr("tensor 'a': expected an object, got an array"));
  EXPECT_THAT(error_in(R"("a":{"shape":[[1]]})", 0),
              HasSubstr("shape of tensor 'a': expected a number from 0, got an array"));
}

TEST(Safetensors, FieldsAreStrictlyTyped) {
  const auto with = [](const char* shape, const char* span) { return error_in(tensor("a", "U8", shape, span), 1); };
  EXPECT_EQ(with("[1]", "[0,1]"), "no error");
  EXPECT_THAT(with("[-1]", "[0,1]"), HasSubstr("shape of tensor 'a': expected a number from 0, got -1"));
  EXPECT_THAT(with("[1.0]", "[0,1]"), HasSubstr("shape of tensor 'a': expected a number from 0, got 1.0"));
  EXPECT_THAT(with("[\"1\"]", "[0,1]"), HasSubstr("shape of tensor 'a': expected a number from 0, got a string"));
  EXPECT_THAT(with("[true]", "[0,1]"), HasSubstr("shape of tensor 'a': expected a number from 0, got true"));
  EXPECT_THAT(with("1", "[0,1]"), HasSubstr("shape of tensor 'a': expected an array, got 1"));
  EXPECT_THAT(with("[9223372036854775808]", "[0,1]"),
              HasSubstr("shape of tensor 'a': expected a number below 2^63, got 9223372036854775808"));
  EXPECT_THAT(with("[1]", "[0]"), HasSubstr("data_offsets of tensor 'a': expected 2 numbers, got 1"));
  EXPECT_THAT(with("[1]", "[0,1,1]"), HasSubstr("data_offsets of tensor 'a': expected at most 2 numbers, got more"));
  EXPECT_THAT(with("[1]", "[0,1e0]"), HasSubstr("expected a number from 0, got 1e0"));
  EXPECT_THAT(error_in(R"("a":{"dtype":"U8","shape":[1]})", 1),
              HasSubstr("tensor 'a': expected data_offsets, got none"));
  EXPECT_THAT(error_in(R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1})", 1),
              HasSubstr("tensor 'a': expected dtype, shape or data_offsets, got 'more'"));
}

TEST(Safetensors, ForeignTypesAreNamed) {
  for (const char* dtype : {"F8_E4M3", "F8_E5M2", "F4", "U16", "U32", "U64", "I16", "C64", "f32", "F32 ", ""})
    EXPECT_THAT(error_in(tensor("a", dtype, "[0]", "[0,0]"), 0),
                HasSubstr(fmt::format(
                    "dtype of tensor 'a': expected one of F64 F32 F16 BF16 I64 I32 I8 U8 BOOL, got '{}'", dtype)));
}

TEST(Safetensors, NamesAreUnique) {
  const std::string a = tensor("a", "U8", "[1]", "[0,1]");
  EXPECT_THAT(error_in(a + "," + a, 1), HasSubstr("tensor name: expected each key once, got 'a' twice"));
  EXPECT_THAT(error_in(a + R"(,"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]})", 2),
              HasSubstr("tensor name: expected each key once, got 'a' twice"));
  EXPECT_THAT(error_in(R"("a":{"shape":[1],"shape":[1],"dtype":"U8","data_offsets":[0,1]})", 1),
              HasSubstr("tensor 'a': expected each key once, got 'shape' twice"));
  EXPECT_THAT(error_in(R"("__metadata__":{"k":"1","k":"2"})", 0),
              HasSubstr("__metadata__: expected each key once, got 'k' twice"));
  EXPECT_THAT(error_in(R"("__metadata__":{},"__metadata__":{})", 0), HasSubstr("got '__metadata__' twice"));
}

TEST(Safetensors, MetadataHoldTextOnly) {
  EXPECT_THAT(error_in(R"("__metadata__":{"k":1})", 0), HasSubstr("__metadata__ 'k': expected a string, got 1"));
  EXPECT_THAT(error_in(R"("__metadata__":{"k":{}})", 0),
              HasSubstr("__metadata__ 'k': expected a string, got an object"));
  EXPECT_THAT(error_in(R"("__metadata__":[])", 0), HasSubstr("__metadata__: expected an object, got an array"));
}

TEST(Safetensors, DataAreCoveredExactly) {
  const std::string a = tensor("a", "F32", "[1]", "[0,4]");
  EXPECT_EQ(error_in(tensor("a", "F32", "[2]", "[0,4]"), 4),
            "file: byte 13, data_offsets of tensor 'a': expected 8 bytes for [2] of f32, got [0, 4]");
  EXPECT_EQ(error_in(tensor("a", "F32", "[1]", "[4,0]"), 4),
            "file: byte 13, data_offsets of tensor 'a': expected a begin of 0, got 4");
  EXPECT_EQ(error_in(tensor("a", "F32", "[1]", "[4,8]"), 8),
            "file: byte 13, data_offsets of tensor 'a': expected a begin of 0, got 4");
  // Overlap and hole.
  EXPECT_THAT(error_in(a + "," + tensor("b", "F32", "[1]", "[2,6]"), 8),
              HasSubstr("data_offsets of tensor 'b': expected a begin of 4, got 2"));
  EXPECT_THAT(error_in(a + "," + tensor("b", "F32", "[1]", "[0,4]"), 4),
              HasSubstr("data_offsets of tensor 'b': expected a begin of 4, got 0"));
  EXPECT_THAT(error_in(a + "," + tensor("b", "F32", "[1]", "[6,10]"), 10),
              HasSubstr("data_offsets of tensor 'b': expected a begin of 4, got 6"));
  // Trailing and missing bytes.
  EXPECT_EQ(error_in(a, 5), "file: byte 62, data: expected 4 bytes, got 5");
  EXPECT_EQ(error_in(a, 3), "file: byte 62, data: expected 4 bytes, got 3");
  EXPECT_EQ(error_in("", 1), "file: byte 10, data: expected 0 bytes, got 1");
}

TEST(Safetensors, SizesCannotOverflow) {
  EXPECT_EQ(
      error_in(tensor("a", "F32", "[2097152,2097152,1048576]", "[0,0]"), 0),
      "file: byte 13, shape of tensor 'a': expected a size below 2^63 bytes, got [2097152, 2097152, 1048576] of f32");
  EXPECT_THAT(error_in(tensor("a", "F32", "[4611686018427387904]", "[0,0]"), 0), HasSubstr("below 2^63 bytes"));
  EXPECT_THAT(error_in(tensor("a", "U8", "[9223372036854775807]", "[0,9223372036854775807]"), 0),
              HasSubstr("data: expected 9223372036854775807 bytes, got 0"));
  std::string shape = "[1";
  for (int i = 0; i < 64; ++i) shape += ",1";
  EXPECT_THAT(error_in(tensor("a", "U8", shape + "]", "[0,1]"), 1),
              HasSubstr("shape of tensor 'a': expected at most 64 numbers, got more"));
}

TEST(Safetensors, BoolsAreZeroOrOne) {
  TensorMap tensors;
  tensors["a"] = filled(boolean, {3});
  std::vector<std::byte> file = format_safetensors(tensors);
  file.back() = std::byte{2};
  EXPECT_EQ(error_in(file), fmt::format("file: byte {}, tensor 'a': expected 0 or 1, got 2", file.size() - 1));
}

TEST(Safetensors, RefusesToWriteWhatCannotBeRead) {
  const auto writing = [](const std::string& name, HostTensor t, const Metadata& metadata = {}) {
    TensorMap tensors;
    tensors[name] = std::move(t);
    return error_of([&] { format_safetensors(tensors, metadata); });
  };
  HostTensor torn = filled(f32, {2});
  torn.bytes.pop_back();
  EXPECT_EQ(writing("a", torn), "safetensors: tensor 'a' of f32 [2]: expected 8 bytes, got 7");
  EXPECT_EQ(writing("__metadata__", filled(f32, {2})), "safetensors: a tensor cannot be named '__metadata__'");
  EXPECT_EQ(writing("\xff", filled(f32, {2})), "safetensors: tensor name '\\xff' is not UTF-8");
  EXPECT_EQ(writing("a", filled(f32, {2}), {{"k", "\xff"}}), "safetensors: metadata text '\\xff' is not UTF-8");
}

TEST(Safetensors, ManyTensors) {
  TensorMap tensors;
  for (int i = 0; i < 5000; ++i) tensors[fmt::format("layer.{}.weight", i)] = filled(f32, {2, 2});
  expect_same(tensors, parse_safetensors(format_safetensors(tensors), "file"));
}

}  // namespace
}  // namespace gmc::files::testing
