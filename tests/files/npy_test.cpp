#include "runtime/files/npy.h"

#include "tests/files/testing.h"

#include <numeric>

namespace gmc::files::testing {
namespace {

using ::testing::HasSubstr;

std::vector<std::byte> file_with(const std::string& header, const std::string& data = "", int major = 1) {
  std::string text("\x93NUMPY", 6);
  text += static_cast<char>(major);
  text += '\0';
  for (size_t i = 0; i < (major == 1 ? 2u : 4u); ++i) text += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes_of(text + header + data);
}

std::string header_of(const std::string& descr, const std::string& fortran, const std::string& shape) {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n", descr, fortran, shape);
}

std::string error_in(const std::vector<std::byte>& file) {
  return error_of([&] { parse_npy(file, "file"); });
}

HostTensor counting(Shape shape) {
  HostTensor result(f32, std::move(shape));
  std::iota(result.as<float>(), result.as<float>() + result.count(), 0.5f);
  return result;
}

TEST(Npy, RoundTrip) {
  const TemporaryFolder folder;
  for (const DType dtype : {f64, f32, f16, i64, i32, i8, u8, boolean})
    for (const Shape& shape : {Shape{}, Shape{7}, Shape{2, 3, 4}, Shape{2, 0}}) {
      HostTensor tensor(dtype, shape);
      for (size_t i = 0; i < tensor.bytes.size(); ++i)
        tensor.bytes[i] = std::byte(dtype == DType::boolean ? i % 2 : i * 37 + 11);
      save_npy(folder / "a.npy", tensor);
      const HostTensor read = load_npy(folder / "a.npy");
      EXPECT_EQ(read.dtype, dtype);
      EXPECT_EQ(read.shape, shape);
      EXPECT_EQ(read.bytes, tensor.bytes);
    }
}

TEST(Npy, BytesAreWhatNumpyWrites) {
  const std::string text = text_of(format_npy(counting({2, 3})));
  EXPECT_EQ(text.substr(0, 10), std::string("\x93NUMPY\x01\0\x76\0", 10));
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  EXPECT_EQ(text.substr(10, 118), header + std::string(117 - header.size(), ' ') + "\n");
  EXPECT_EQ(text.size(), 128u + 24u);
  EXPECT_THAT(text_of(format_npy(counting({5}))), HasSubstr("'shape': (5,), }"));
  EXPECT_THAT(text_of(format_npy(counting({}))), HasSubstr("'shape': (), }"));
}

TEST(Npy, ReadsBothVersionsAndAnyOrderOfKeys) {
  const std::string data(4, '\0');
  EXPECT_EQ(error_in(file_with(header_of("<f4", "False", "(1,)"), data, 2)), "no error");
  EXPECT_EQ(error_in(file_with("{\"shape\":(1,),\"descr\":\"<f4\",\"fortran_order\":True}", data)), "no error");
  EXPECT_EQ(error_in(file_with("{'shape':(1,1,), 'descr':'<i4', 'fortran_order':False}   \n", data)), "no error");
}

TEST(Npy, FortranOrderBecomesRowOrder) {
  const HostTensor tensor = counting({2, 3, 4});
  std::string columns;
  for (int64_t k = 0; k < 4; ++k)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t i = 0; i < 2; ++i)
        columns += text_of(Bytes(tensor.bytes).subspan(static_cast<size_t>(4 * ((i * 3 + j) * 4 + k)), 4));
  const HostTensor read = parse_npy(file_with(header_of("<f4", "True", "(2, 3, 4)"), columns), "file");
  EXPECT_EQ(read.shape, tensor.shape);
  EXPECT_EQ(read.bytes, tensor.bytes);
  EXPECT_EQ(error_in(file_with(header_of("<f4", "True", "(2, 0)"))), "no error");
  EXPECT_EQ(error_in(file_with(header_of("<f4", "True", "()"), "abcd")), "no error");
}

TEST(Npy, EveryTruncationIsRefused) { expect_truncations_refused(format_npy(counting({2, 3})), parse_npy); }

TEST(Npy, BitFlipsNeverCrash) {
  const std::vector<std::byte> file = format_npy(counting({2, 3}));
  EXPECT_GT(refused_bit_flips(file, 128, parse_npy), 900u);
}

TEST(Npy, Start) {
  EXPECT_EQ(error_in(bytes_of("\x93NUM")), "file: byte 0, magic: expected 6 bytes, got 4");
  EXPECT_EQ(error_in(bytes_of("PK\x03\x04\x05\x06\x07")),
            "file: byte 0, magic: expected '\\x93NUMPY', got 'PK\\x03\\x04\\x05\\x06'");
  EXPECT_EQ(error_in(file_with("{}", "", 3)), "file: byte 6, version: expected 1.0 or 2.0, got 3.0");
  EXPECT_EQ(error_in(bytes_of(std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12))),
            "file: byte 8, header length: expected at most 65536, got 4294967295");
  EXPECT_EQ(error_in(bytes_of(std::string("\x93NUMPY\x01\0\x22\0{}", 12))),
            "file: byte 10, header: expected 34 bytes, got 2");
}

TEST(Npy, TypesAreFixed) {
  const auto with = [](const char* descr) { return error_in(file_with(header_of(descr, "False", "(0,)"))); };
  EXPECT_EQ(with("<f4"), "no error");
  EXPECT_EQ(with("|O"),
            "file: byte 20, descr: expected one of <f8 <f4 <f2 <i8 <i4 |i1 |u1 |b1, got '|O' (Python objects "
            "are never loaded)");
  for (const char* descr : {">f4", "=f4", "<c8", "<u4", "<i2", "<U4", "|S8", "<M8[s]", "", "f4"})
    EXPECT_THAT(with(descr),
                HasSubstr(fmt::format("descr: expected one of <f8 <f4 <f2 <i8 <i4 |i1 |u1 |b1, got '{}'", descr)));
  EXPECT_EQ(error_in(file_with("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (0,)}")),
            "file: byte 20, header: expected a string, got '[('a', '<f4''");
}

TEST(Npy, HeaderIsASmallGrammar) {
  const auto with = [](const std::string& header) { return error_in(file_with(header)); };
  EXPECT_EQ(with(""), "file: byte 10, header: expected '{', got its end");
  EXPECT_EQ(with("{"), "file: byte 11, header: expected a string, got its end");
  EXPECT_EQ(with("{}"), "file: byte 12, header: expected the key 'descr', got its end");
  EXPECT_EQ(with("{'descr': '<f4', 'shape': (0,)}"),
            "file: byte 41, header: expected the key 'fortran_order', got its end");
  EXPECT_EQ(with("{'descr': '<f4', 'fortran_order': False}"),
            "file: byte 50, header: expected the key 'shape', got its end");
  EXPECT_EQ(with("{'descr': '<f4', 'descr': '<f8'}"),
            "file: byte 27, header: expected the keys descr, fortran_order and shape once each, got 'descr'");
  EXPECT_EQ(with("{'evil': 1}"),
            "file: byte 11, header: expected the keys descr, fortran_order and shape once each, got 'evil'");
  EXPECT_EQ(with("{'descr"), "file: byte 11, header: expected a string that ends, got ''descr'");
  EXPECT_EQ(with("{'fortran_order': 0}"), "file: byte 28, header: expected True or False, got '0}'");
  EXPECT_EQ(with("{'descr': '<f4' 'shape': ()}"), "file: byte 26, header: expected ',' or '}', got ''shape': ()}'");
  EXPECT_EQ(with(header_of("<f4", "False", "(0,)") + "x"),
            "file: byte 68, header: expected the end of the header, got 'x'");
}

TEST(Npy, ShapesAreTuplesOfNumbers) {
  const auto with = [](const std::string& shape) { return error_in(file_with(header_of("|u1", "False", shape))); };
  EXPECT_THAT(with("(-1,)"), HasSubstr("header: expected a number from 0, got '-1,)"));
  EXPECT_THAT(with("(0)"), HasSubstr("header: expected ',', got ')"));
  EXPECT_THAT(with("(,)"), HasSubstr("header: expected a number from 0, got ',)"));
  EXPECT_THAT(with("[0]"), HasSubstr("header: expected '(', got '[0]"));
  EXPECT_THAT(with("(9223372036854775808,)"), HasSubstr("shape: expected a number below 2^63, got a larger one"));
  EXPECT_THAT(with("(4294967296, 4294967296)"), HasSubstr("shape: expected a size below 2^63 bytes"));
  std::string deep = "(";
  for (int i = 0; i < 65; ++i) deep += "1, ";
  EXPECT_THAT(with(deep + ")"), HasSubstr("header: expected at most 64 extents, got"));
}

TEST(Npy, DataHaveExactlyTheirSize) {
  const std::string header = header_of("<f4", "False", "(2,)");
  EXPECT_EQ(error_in(file_with(header, "1234567")), "file: byte 68, data: expected 8 bytes for [2] of f32, got 7");
  EXPECT_EQ(error_in(file_with(header, "123456789")), "file: byte 68, data: expected 8 bytes for [2] of f32, got 9");
  EXPECT_EQ(error_in(file_with(header_of("<f4", "False", "(1000000000000,)"))),
            "file: byte 80, data: expected 4000000000000 bytes for [1000000000000] of f32, got 0");
  EXPECT_EQ(error_in(file_with(header_of("|b1", "False", "(2,)"), "\x01\x07")),
            "file: byte 69, data: expected 0 or 1, got 7");
}

TEST(Npy, RefusesToWriteWhatHasNoName) {
  EXPECT_EQ(error_of([] { format_npy(HostTensor(bf16, {1})); }), "npy: no type for bf16; convert to f32 first");
  HostTensor torn(f32, {2});
  torn.bytes.pop_back();
  EXPECT_EQ(error_of([&] { format_npy(torn); }), "npy: tensor of f32 [2]: expected 8 bytes, got 7");
}

}  // namespace
}  // namespace gmc::files::testing
